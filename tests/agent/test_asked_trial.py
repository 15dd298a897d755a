"""How a trial of one's own loop is reported, and every way in which it can end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import besom
from besom.agent.ask import OpenSweep
from besom.agent.asked_trial import AskedTrial
from besom.broker.connection import Connection
from besom.broker.ledger import Ledger
from besom.errors import TrialCancelled, TrialPreempted, TrialStopped, UsageError
from besom.messages import AttemptReleased, Metric, RunStarted, SweepSpec, TrialEnded, TrialRetried
from besom.settings import read_settings
from tests.tracking.desk import decoded, events
from tests.waiting import until

Open = Callable[..., OpenSweep]
BY_LOSS = Metric(name="loss")


@pytest.fixture
def opened(fake: Connection) -> Iterator[Open]:
    """Opens a new sweep `s` with three trials ready; there is no controller."""
    made: list[OpenSweep] = []

    def make(config: dict[str, Any] | None = None, metric: Metric | None = BY_LOSS, **spec: Any) -> OpenSweep:
        sweep = SweepSpec(
            id="s", entity="e", project="p", name="n", created=1.0, config=config or {}, metric=metric, **spec
        )
        ledger = Ledger(fake)
        assert ledger.create(sweep)
        ledger.issue(0, "s", [(number, {"x": number}) for number in (1, 2, 3)])
        made.append(OpenSweep(fake, sweep, read_settings()))
        return made[0]

    yield make
    for sweep in made:
        sweep.close()


def asked(sweep: OpenSweep) -> AskedTrial:
    trial = sweep.ask()
    assert trial is not None
    return trial


def endings(fake: Connection) -> list[tuple[int, str, str]]:
    return [
        (end.number, end.state, end.error.splitlines()[-1] if end.error else "") for end in events(fake, TrialEnded)
    ]


def test_tell(fake: Connection, opened: Open) -> None:
    """A trial has its number and params; what is told is logged to its run, sent before the end, and ends it."""
    trial = asked(opened())
    assert (trial.number, trial.id, trial.params, trial.is_over) == (1, "s-1", {"x": 1}, False)
    trial.tell(0.25)
    assert trial.is_over
    assert endings(fake) == [(1, "finished", "")]
    assert decoded(fake, "s-1")["loss"] == [(0, 0.25)]
    [started], [end] = events(fake, RunStarted), events(fake, TrialEnded)
    assert (started.run, started.number, started.info()["config"]) == ("s-1", 1, {"x": 1})
    assert list(end.writers.values()) == [1], "one batch, which the recorder waits for"


def test_report_then_tell(fake: Connection, opened: Open) -> None:
    """Each report is a row of its own, at its step or the next one; tell() without a value adds none."""
    trial = asked(opened())
    trial.report(0.5)
    trial.report(np.float32(0.25), step=4)
    trial.report({"loss": 0.125, "acc": 1})
    trial.tell()
    columns = decoded(fake, "s-1")
    assert columns["loss"] == [(0, 0.5), (4, 0.25), (5, 0.125)]
    assert columns["acc"] == [(5, 1.0)]
    assert endings(fake) == [(1, "finished", "")]


def test_a_report_is_sent_at_once(fake: Connection, opened: Open) -> None:
    """A stopping rule sees it while the trial goes on, with a step as well as without."""
    trial = asked(opened())
    trial.report(0.5, step=7)
    until(lambda: "loss" in decoded(fake, "s-1"), "the report")
    assert decoded(fake, "s-1")["loss"] == [(7, 0.5)]


def test_several_values(fake: Connection, opened: Open) -> None:
    """A sweep without one metric is told values by name; a bare number is refused, and the trial goes on."""
    trial = asked(opened(metric=None))
    with pytest.raises(UsageError, match=r"no one metric; write names too: \{'loss': 1.5\}"):
        trial.tell(1.5)
    trial.tell({"acc": 0.9, "seconds": 3})
    assert {name: points for name, points in decoded(fake).items() if name[0] != "_"} == {
        "acc": [(0, 0.9)],
        "seconds": [(0, 3.0)],
    }


@pytest.mark.parametrize("value", ["0.5", True, [1, 2], np.zeros(3), 1j, b"1", {"loss": "x"}])
def test_no_number(opened: Open, value: Any) -> None:
    """It is refused by both calls with what to do, and the trial is not over."""
    trial = asked(opened())
    for call in (trial.report, trial.tell):
        with pytest.raises(UsageError, match=r"loss=.* is no number; write one, or call fail\(\)"):
            call(value)
    assert not trial.is_over


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400])
def test_a_value_that_is_not_finite(fake: Connection, opened: Open, value: Any) -> None:
    """It is logged as it is; what it is worth is the recorder's business, as of every run."""
    asked(opened()).tell(value)
    [(step, told)] = decoded(fake, "s-1")["loss"]
    assert step == 0
    assert not np.isfinite(told)
    assert endings(fake) == [(1, "finished", "")]


@pytest.mark.parametrize(
    ("error", "shown"),
    [("", "told to have failed"), ("no data", "no data"), (ValueError("too high"), "ValueError: too high")],
)
def test_fail(fake: Connection, opened: Open, error: Any, shown: str) -> None:
    """The trial has failed, with what went wrong."""
    asked(opened()).fail(error)
    assert endings(fake) == [(1, "failed", shown)]
    assert [end.exit_code for end in events(fake, TrialEnded)] == [1]


def test_a_failed_trial_is_tried_again(fake: Connection, opened: Open) -> None:
    """Where the sweep has retries it waits behind the others, and comes as another attempt."""
    sweep = opened(retries=1)
    asked(sweep).fail()
    assert [event.failures for event in events(fake, TrialRetried)] == [1]
    again = [asked(sweep) for _ in range(3)]
    assert [(trial.number, trial.trial.claim.attempt) for trial in again] == [(2, 1), (3, 1), (1, 2)]


def test_release(fake: Connection, opened: Open) -> None:
    """It is handed back, and the next to ask gets it first."""
    sweep = opened()
    asked(sweep).release()
    assert [event.number for event in events(fake, AttemptReleased)] == [1]
    assert asked(sweep).number == 1


def test_marked_as_preempting(fake: Connection, opened: Open) -> None:
    """A trial whose run says so is handed back when it fails."""
    trial = asked(opened())
    trial.run.mark_preempting()
    trial.fail("the machine goes away")
    assert (len(events(fake, AttemptReleased)), endings(fake)) == (1, [])


@pytest.mark.parametrize("call", ["tell", "fail", "release"])
def test_a_trial_ends_once(fake: Connection, opened: Open, call: str) -> None:
    """Whatever is told after the end is refused, and changes nothing."""
    trial = asked(opened())
    trial.tell(1.0)
    with pytest.raises(UsageError, match=rf"trial s-1 is over, so {call}\(\) does nothing; ask for the next"):
        getattr(trial, call)()
    with pytest.raises(UsageError, match="s-1 is finished"):
        trial.report(2.0)
    assert endings(fake) == [(1, "finished", "")]


# ---- as a context manager


def test_a_block_that_ends(fake: Connection, opened: Open) -> None:
    """What was reported counts; a block that told by itself tells no more."""
    sweep = opened()
    with asked(sweep) as trial:
        trial.report(0.5)
    with asked(sweep) as trial:
        trial.tell(0.25)
    assert endings(fake) == [(1, "finished", ""), (2, "finished", "")]


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (ValueError("too high"), [(1, "failed", "ValueError: too high")]),
        (SystemExit(3), [(1, "failed", "SystemExit: 3")]),
        (SystemExit(0), [(1, "finished", "")]),
        (KeyboardInterrupt(), []),
        (GeneratorExit(), []),
    ],
)
def test_a_block_that_raises(fake: Connection, opened: Open, error: BaseException, ended: list[Any]) -> None:
    """The exception goes on; an error makes the trial failed, an interruption hands it back."""

    def work() -> None:
        with asked(opened()):
            raise error

    with pytest.raises(type(error)):
        work()
    assert endings(fake) == ended
    assert len(events(fake, AttemptReleased)) == (not ended)


@pytest.mark.parametrize(
    ("error", "state"), [(TrialStopped(), "stopped"), (TrialCancelled(), "cancelled"), (TrialPreempted(), "")]
)
def test_a_block_that_meets_its_end(fake: Connection, opened: Open, error: BaseException, state: str) -> None:
    """What `run.log` raises of a trial that is to stop ends the block, and the loop goes on."""
    with asked(opened()):
        raise error
    assert [found for _, found, _ in endings(fake)] == ([state] if state else [])
    assert len(events(fake, AttemptReleased)) == (not state)


# ---- to be stopped


def test_a_stopping_rule(fake: Connection, opened: Open) -> None:
    """The loop learns of it by asking; report() raises nothing, and what is told still counts."""
    trial = asked(opened({"early_terminate": {"type": "hyperband"}}))
    trial.report(3.0)
    assert not trial.should_stop()
    Ledger(fake).stop(0, "s", [1])
    until(trial.should_stop, "word that it is to stop")
    trial.report(2.0)
    with pytest.raises(TrialStopped):
        trial.run.log({"other": 1})
    trial.tell(1.0)
    assert endings(fake) == [(1, "stopped", "")]
    logged = decoded(fake, "s-1")
    assert (logged["loss"], logged["other"]) == ([(0, 3.0), (2, 1.0)], [(1, 1)])


def test_a_cancelled_sweep(fake: Connection, opened: Open) -> None:
    """Its trials are to stop, and end cancelled; nothing more is given."""
    fake.redis.hset(fake.keys.timing(), "lease_ms", 300)
    sweep = opened()
    trial = asked(sweep)
    Ledger(fake).set_state("s", "cancelled")
    until(trial.should_stop, "word that it is to stop")
    trial.tell(1.0)
    assert (1, "cancelled", "") in endings(fake)
    assert sweep.ask() is None


def test_a_timeout(fake: Connection, opened: Open) -> None:
    """A trial that runs longer than its sweep allows is to stop, and says why."""
    trial = asked(opened(timeout=0.05))
    until(trial.should_stop, "word that it is to stop")
    trial.tell(1.0)
    assert endings(fake) == [(1, "stopped", "timeout: ran longer than 0.05 s")]


def test_another_has_taken_it(fake: Connection, opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A trial that was lost meanwhile is to stop; what is told of it does not count, and a line says so."""
    fake.redis.hset(fake.keys.timing(), "lease_ms", 300)
    trial, ledger = asked(opened()), Ledger(fake)
    assert ledger.release(trial.trial.claim, "as if its lease had run out")
    ledger.claim("s", "other", 1, "nonce")
    until(trial.should_stop, "word that it is to stop")
    with caplog.at_level(logging.WARNING, "besom"):
        trial.tell(1.0)
    assert endings(fake) == []
    assert "trial s-1: another agent has taken it over; this attempt does not count" in caplog.text


def test_it_is_no_active_run(opened: Open) -> None:
    """Several may be held side by side; none of them is what `besom.log` writes to."""
    sweep = opened()
    trials = [asked(sweep), asked(sweep)]
    assert besom.run is None
    assert [trial.run.config["x"] for trial in trials] == [1, 2]
