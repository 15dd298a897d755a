"""Asking for trials: who gets what, when there is nothing, and what happens to what was not told."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import besom
from besom.agent import ask as module
from besom.agent.ask import OpenSweep, open_sweep
from besom.broker.connection import Connection
from besom.broker.ledger import Ledger
from besom.errors import NotFound, UsageError
from besom.messages import AttemptReleased, SweepSpec, TrialEnded
from besom.settings import read_settings
from tests.agent.test_agent import LOSS, Crew
from tests.tracking.desk import events
from tests.waiting import until


@pytest.fixture
def sweep(fake: Connection) -> Iterator[OpenSweep]:
    """One with two trials ready, and no controller."""
    spec = SweepSpec(id="s", entity="e", project="p", name="n", created=1.0, config={}, metric={"name": "loss"})
    ledger = Ledger(fake)
    ledger.create(spec)
    ledger.issue(0, "s", [(1, {"x": 1}), (2, {"x": 2})])
    with OpenSweep(fake, spec, read_settings(), slots=3) as opened:
        yield opened


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    made = Crew(tmp_path)
    made.start_controller()
    yield made
    made.close()


def opened(crew: Crew, spec: SweepSpec, **more: Any) -> OpenSweep:
    return OpenSweep(crew.connect(), spec, read_settings(), **more)


# ---- what there is


def test_an_asker_is_known_as_an_agent(fake: Connection, sweep: OpenSweep) -> None:
    """With its sweep and slots, so that as many trials are planned; it takes leave when it is closed."""
    [info] = Ledger(fake).agents().values()
    assert (info["sweep"], info["slots"], info["pid"]) == ("s", 3, os.getpid())
    sweep.close()
    assert Ledger(fake).agents() == {}


def test_leases_are_kept(fake: Connection, sweep: OpenSweep) -> None:
    """While a trial is held its lease is renewed, whatever the loop does."""
    first = sweep.ask()
    assert first is not None

    def lease_end() -> float:
        return float(fake.redis.zscore(fake.keys.leases(), "s:1") or 0)

    before = lease_end()
    sweep._beat.soon()
    until(lambda: lease_end() > before, "a beat")


def test_close_hands_back_what_was_not_told(fake: Connection, sweep: OpenSweep) -> None:
    """Others get it at once, with what was told left alone; closing again does nothing."""
    one, two = sweep.ask(), sweep.ask()
    assert one is not None
    assert two is not None
    one.tell(1.0)
    sweep.close()
    sweep.close()
    assert two.is_over
    assert [event.number for event in events(fake, AttemptReleased)] == [2]
    assert [event.number for event in events(fake, TrialEnded)] == [1]
    with pytest.raises(UsageError, match=r"sweep s was closed here; call besom\.open_sweep\(\) again"):
        sweep.ask()


def test_close_ends_a_wait(fake: Connection, sweep: OpenSweep) -> None:
    """A thread that asks comes back with an error."""
    taken = sweep.ask_batch(2)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sweep.ask)
        until(sweep._asking.locked, "the other thread")
        sweep.close()
        with pytest.raises(UsageError, match="was closed here"):
            waiting.result(20)
    assert all(trial.is_over for trial in taken)


@pytest.mark.parametrize("state", ["stopping", "cancelled", "finished"])
def test_none_when_it_is_over(fake: Connection, sweep: OpenSweep, state: Any) -> None:
    """A loop over the sweep ends."""
    Ledger(fake).set_state("s", state)
    assert sweep.ask() is None
    assert list(sweep) == []
    assert sweep.ask_batch(4) == []


@pytest.mark.parametrize("timeout", [0, 0.1, "1s"])
def test_a_timeout(sweep: OpenSweep, timeout: Any) -> None:
    """Nothing for so long is Python's TimeoutError, so that None means one thing only."""
    assert len(sweep.ask_batch(2)) == 2
    with pytest.raises(TimeoutError, match="no trial of sweep s within"):
        sweep.ask(timeout)


def test_zero_gives_what_is_there(sweep: OpenSweep) -> None:
    """It looks once."""
    trial = sweep.ask(timeout=0)
    assert trial is not None
    assert trial.number == 1


def test_a_paused_sweep_waits(fake: Connection, sweep: OpenSweep) -> None:
    """Nothing is given while it is paused; afterwards there is."""
    ledger = Ledger(fake)
    ledger.set_state("s", "paused")
    with pytest.raises(TimeoutError):
        sweep.ask(timeout=0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(sweep.ask, 20)
        until(sweep._asking.locked, "the other thread")
        ledger.set_state("s", "running")
        assert waiting.result(20) is not None


def test_two_threads_get_two_trials(sweep: OpenSweep) -> None:
    """Whoever asks at the same time gets another one; a third has its timeout while one waits."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: sweep.ask(), range(2)))
        assert sorted(trial.number for trial in found if trial) == [1, 2]
        waiting = pool.submit(sweep.ask, 5)
        until(sweep._asking.locked, "the other thread")
        with pytest.raises(TimeoutError):
            sweep.ask(timeout=0.05)
        sweep.close()
        with pytest.raises(UsageError):
            waiting.result(20)


def test_a_wait_for_oneself_is_said(
    sweep: OpenSweep, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Who asks on while trials asked here are not told reads, once, that this may be why there is none."""
    monkeypatch.setattr(module, "_LONG_SECONDS", 0.0)
    held = sweep.ask_batch(2)
    with caplog.at_level(logging.WARNING, "besom"), pytest.raises(TimeoutError):
        sweep.ask(timeout=0.2)
    assert caplog.text.count("there may be none before the 2 asked for here are told") == 1
    assert len(held) == 2


def test_a_batch_is_what_there_is(sweep: OpenSweep) -> None:
    """Near the end it is smaller."""
    assert [trial.number for trial in sweep.ask_batch(5, timeout=0.1)] == [1, 2]


# ---- what cannot be


@pytest.mark.parametrize("count", [0, -1, True, 1.5, None])
def test_a_count_that_cannot_be(sweep: OpenSweep, count: Any) -> None:
    """It is refused with what to write."""
    with pytest.raises(UsageError, match="count="):
        sweep.ask_batch(count)


@pytest.mark.parametrize("timeout", ["soon", -1, float("nan")])
def test_a_timeout_that_cannot_be(sweep: OpenSweep, timeout: Any) -> None:
    """It is refused before a trial is taken."""
    with pytest.raises(UsageError, match="timeout="):
        sweep.ask(timeout)
    trial = sweep.ask()
    assert trial is not None
    assert trial.number == 1


def test_another_process(fake: Connection, sweep: OpenSweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forked child has no beat: it may neither ask nor take what its parent holds back by ending."""
    trial = sweep.ask()
    assert trial is not None
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(UsageError, match=r"opened by another process; call besom\.open_sweep\(\) in this one"):
            sweep.ask()
        sweep.close()
    assert not trial.is_over
    assert events(fake, AttemptReleased) == []


@pytest.mark.parametrize("slots", [0, True, 1.5, "2"])
def test_slots_that_cannot_be(slots: Any) -> None:
    """They are refused before anything is opened."""
    with pytest.raises(UsageError, match="slots="):
        open_sweep("s", slots=slots)


@pytest.mark.parametrize(("name", "problem"), [("a b", UsageError), ("none", NotFound), ("q/s", NotFound)])
def test_a_sweep_that_cannot_be_opened(
    fake: Connection, sweep: OpenSweep, monkeypatch: pytest.MonkeyPatch, name: str, problem: type[Exception]
) -> None:
    """An id that is none, or of no sweep here."""
    monkeypatch.setattr(module, "shared_connection", lambda _: fake)
    with pytest.raises(problem):
        besom.open_sweep(name)
    with besom.open_sweep("e/p/s") as found:
        assert found.id == "s"


# ---- with a controller


def test_a_loop_ends_with_the_sweep(crew: Crew) -> None:
    """Each of run_cap trials is asked for once, and then the loop is over."""
    spec = crew.sweep("random", run_cap=12, metric=LOSS)
    with opened(crew, spec) as sweep:
        for trial in sweep:
            trial.tell(trial.params["x"] ** 2)
    until(lambda: crew.state(spec) == "finished", "the end")
    rows = crew.rows(spec)
    assert [row["number"] for row in rows] == list(range(1, 13))
    assert {row["state"] for row in rows} == {"finished"}
    assert [row["value"] for row in rows] == [row["params"]["x"] ** 2 for row in rows]


def test_what_an_agent_reports_and_what_is_told_are_the_same(crew: Crew) -> None:
    """Two sweeps of one seed, one by an agent and one by asking: the same params, states and values."""

    def curve(x: float) -> list[float]:
        return [x + 1, x, x + 0.5]

    def train() -> None:
        with besom.init() as run:
            for value in curve(run.config["x"]):
                run.log({"loss": value})

    by_agent, by_asking = (crew.sweep("random", run_cap=6, metric=LOSS, seed=5) for _ in range(2))
    crew.agent(by_agent, train)
    crew.join()
    with opened(crew, by_asking) as sweep:
        for trial in sweep:
            with trial:
                for value in curve(trial.params["x"]):
                    trial.report(value)
    until(lambda: crew.state(by_asking) == crew.state(by_agent) == "finished", "the end of both")
    told = [[(row["params"], row["state"], row["value"]) for row in crew.rows(spec)] for spec in (by_agent, by_asking)]
    assert told[0] == told[1]


def test_bayes_with_a_batch_pending(crew: Crew) -> None:
    """Four trials at a time are all different, and every value arrives."""
    spec = crew.sweep("bayes", run_cap=8, metric=LOSS, seed=1)
    with opened(crew, spec, slots=4) as sweep:
        while batch := sweep.ask_batch(4, timeout=20):
            for trial in batch:
                trial.tell((trial.params["x"] - 0.3) ** 2)
    rows = crew.rows(spec)
    assert len({row["params"]["x"] for row in rows}) == 8
    assert crew.states(spec) == {"finished": 8}


def test_a_stopping_rule_ends_a_trial_of_a_loop(crew: Crew) -> None:
    """What is reported reaches the rule: the worst of three trials is to stop, and its state says so."""
    rule = {"type": "hyperband", "min_iter": 2, "eta": 2, "strict": True}
    spec = crew.sweep("random", run_cap=3, metric=LOSS, early_terminate=rule)
    with opened(crew, spec) as sweep:
        for trial in sweep:
            for step in range(3):
                trial.report(float(trial.number), step=step)
            if trial.number == 3:  # the second is at the threshold, and a tie stays
                until(trial.should_stop, "word from the rule")
            trial.tell()
    until(lambda: crew.state(spec) == "finished", "the end")
    assert [(row["state"], row["value"]) for row in crew.rows(spec)] == [
        ("finished", 1.0),
        ("finished", 2.0),
        ("stopped", 3.0),
    ]


def test_askers_and_an_agent_share_a_grid(crew: Crew) -> None:
    """Two askers, one with two threads, and an agent cover it exactly once."""
    spec = crew.sweep("grid", values=range(40), metric=LOSS)
    seen: list[int] = []

    def train() -> None:
        with besom.init() as run:
            seen.append(run.config["x"])
            run.log({"loss": 1.0})

    def loop(sweep: OpenSweep) -> None:
        for trial in sweep:
            seen.append(trial.params["x"])
            trial.tell(1.0)

    crew.agent(spec, train)
    with opened(crew, spec) as one, opened(crew, spec, slots=2) as two:
        threads = [threading.Thread(target=loop, args=(sweep,)) for sweep in (one, two, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(seen) == list(range(40))
    assert crew.states(spec) == {"finished": 40}
