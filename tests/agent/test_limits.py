"""When an agent, or one trial of a function, ends by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from besom.agent import agent as module
from besom.agent.agent import Agent
from besom.agent.limits import Limits, Tally, read_limits, read_seconds
from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.broker.ledger import Ledger
from besom.broker.turns import Turn, Turns
from besom.errors import TrialInterrupted, TrialStopped, UsageError
from besom.messages import SweepSpec, TrialEnded, read_events
from besom.settings import read_settings
from besom.tracking.run.trial import current_trial
from tests.clock import Clock

# ---- durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (90, 90),
        (0.5, 0.5),
        ("90", 90),
        ("1.5", 1.5),
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("2H", 7200),
        ("10:00", 600),  # from here as `man sbatch` has it
        ("01:30:00", 5400),
        ("1-0", 86400),
        ("1-12", 129600),
        ("2-01:30", 2 * 86400 + 5400),
        ("1-00:00:30", 86430),
    ],
)
def test_durations(text: float | str, seconds: float) -> None:
    """Seconds, units, and the forms that SLURM's --time takes mean what they say."""
    assert read_seconds(text, "max_runtime") == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", 0, -3, "0", "nan", "inf", "1:2:3:4", "1-", "h2", True, "1 0"])
def test_no_durations(text: Any) -> None:
    """What is no time above 0 is refused, with its name and what was written."""
    with pytest.raises(UsageError, match=r"max_runtime=.* cannot be; write seconds"):
        read_seconds(text, "max_runtime")


# ---- what was asked for


@pytest.mark.parametrize("name", ["BESOM_AGENT_DISABLE_FLAPPING", "WANDB_AGENT_DISABLE_FLAPPING"])
@pytest.mark.parametrize(("value", "flapping"), [("true", False), ("1", False), ("false", True), ("", True)])
def test_flapping_can_be_turned_off(monkeypatch: pytest.MonkeyPatch, name: str, value: str, flapping: bool) -> None:
    """Besom's and W&B's variable turn it off, and only when they say so."""
    monkeypatch.setenv(name, value)
    assert read_limits(read_settings()).flapping is flapping


def test_initial_failures_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Besom's variable wins over W&B's; the default is 5."""
    assert read_limits(read_settings()).initial_failures == 5
    monkeypatch.setenv("WANDB_AGENT_MAX_INITIAL_FAILURES", "7")
    assert read_limits(read_settings()).initial_failures == 7
    monkeypatch.setenv("BESOM_AGENT_MAX_INITIAL_FAILURES", "0")
    assert read_limits(read_settings()).initial_failures == 0


@pytest.mark.parametrize("name", ["count", "max_failures", "max_consecutive_failed_runs"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "3"])
def test_bad_numbers(name: str, value: Any) -> None:
    """Only whole numbers above 0 are numbers of trials."""
    with pytest.raises(UsageError, match=f"{name}={value!r} cannot be"):
        read_limits(read_settings(), **{name: value})


# ---- the tally


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _played(limits: Limits, clock: Clock, states: list[str], seconds: float = 1.0) -> list[bool]:
    """Whether another trial may be taken after each of these endings."""
    tally = Tally(limits, clock=clock)
    answers = []
    for state in states:
        clock.now += seconds
        tally.ended(state, f"Traceback\nZeroDivisionError: {state}", seconds)
        answers.append(tally.may_take())
    return answers


def test_three_quick_failures(clock: Clock) -> None:
    """Three failures within the first minute, and no success, end the agent; the sentence has the last error's line."""
    tally = Tally(Limits(), clock=clock)
    for number in (1, 2, 3):
        assert tally.may_take()
        tally.ended("failed", f"Traceback\n  File x\nValueError: {number}\n", 0.1)
    assert not tally.may_take()
    assert tally.gave_up
    assert "3 trials failed" in tally.reason
    assert "ValueError: 3" in tally.reason
    assert "BESOM_AGENT_DISABLE_FLAPPING=true" in tally.reason


def test_failures_after_a_success(clock: Clock) -> None:
    """One success, and failures end the agent no more by themselves."""
    assert _played(Limits(), clock, ["finished", *["failed"] * 20]) == [True] * 21


def test_slow_failures(clock: Clock) -> None:
    """Failures of a minute each are no flapping: the fifth ends the agent, as the first five all failed."""
    assert _played(Limits(), clock, ["failed"] * 5, 60.5) == [True, True, True, True, False]


def test_flapping_off(clock: Clock) -> None:
    """Turned off, quick failures end the agent only at the limit of initial failures; at 0 never."""
    assert _played(Limits(flapping=False), clock, ["failed"] * 5) == [True] * 4 + [False]
    assert _played(Limits(flapping=False, initial_failures=0), clock, ["failed"] * 50) == [True] * 50


def test_max_failures(clock: Clock) -> None:
    """The second failure of all ends the agent with max_failures=2, successes or not."""
    states = ["finished", "failed", "finished", "failed"]
    assert _played(Limits(max_failures=2), clock, states) == [True, True, True, False]


def test_max_consecutive_failed_runs(clock: Clock) -> None:
    """Only failures in a row count."""
    states = ["finished", "failed", "stopped", "failed", "failed"]
    assert _played(Limits(max_consecutive_failed_runs=2), clock, states) == [True] * 4 + [False]


def test_count(clock: Clock) -> None:
    """What is claimed counts, what is handed back does not."""
    tally = Tally(Limits(count=2), clock=clock)
    tally.claimed(2)
    assert not tally.may_take()
    tally.claimed(-1)
    assert tally.may_take()
    assert tally.reason == ""


def test_max_runtime_before_the_first_trial(clock: Clock) -> None:
    """With no trial seen yet, trials are taken until the kill delay and the margin before the limit."""
    tally = Tally(Limits(runtime_seconds=3600), kill_delay=30, clock=clock)
    assert tally.hand_back_at == clock.now + 3600 - 30 - 5
    clock.now += 3560
    assert tally.may_take()
    clock.now += 6
    assert not tally.may_take()
    assert not tally.gave_up
    assert "--max-runtime" in tally.reason


def test_max_runtime_of_known_trials(clock: Clock) -> None:
    """No trial is taken that would not end in time, going by the longest seen."""
    tally = Tally(Limits(runtime_seconds=3600), kill_delay=30, clock=clock)
    tally.ended("finished", "", 600)
    tally.ended("finished", "", 590)
    clock.now += 3600 - 35 - 601
    assert tally.may_take()
    clock.now += 20
    assert not tally.may_take()
    assert "600 s" in tally.reason or "598 s" in tally.reason


def test_idle_timeout(clock: Clock) -> None:
    """Time without work counts from the last claim or running trial."""
    tally = Tally(Limits(idle_seconds=10), clock=clock)
    clock.now += 9
    assert not tally.is_idle()
    tally.claimed(1)
    clock.now += 9
    tally.busy()
    clock.now += 9
    assert not tally.is_idle()
    assert tally.patience(5) == 1
    clock.now += 1
    assert tally.is_idle()
    assert "--idle-timeout" in tally.reason
    assert not tally.gave_up


# ---- function agents


class Bench:
    """A sweep whose trials wait, with a turn, and no controller."""

    def __init__(self, fake: Connection) -> None:
        self.fake = fake
        self.said: list[str] = []
        self.seen: list[int] = []

    def agent(self, trials: int, function: Callable[[int], None], timeout: float | None = None, **limits: Any) -> Agent:
        """An agent whose function is told the trial's number."""
        spec = SweepSpec(id="s", entity="e", project="p", name="n", created=1.0, config={}, timeout=timeout)
        ledger = Ledger(self.fake)
        ledger.create(spec)
        ledger.issue(0, "s", [(number, {"x": number}) for number in range(1, trials + 1)])
        Turns(self.fake).give(Turn("s", 1000, 60_000), 1)

        def call() -> None:
            trial = current_trial()
            assert trial is not None
            self.seen.append(trial.claim.number)
            function(trial.claim.number)

        settings = read_settings(kill_delay_seconds=0.1)
        return Agent(
            self.fake, spec, settings, function=call, limits=read_limits(settings, **limits), say=self.said.append
        )

    def ended(self) -> dict[int, list[tuple[str, str]]]:
        """Each trial's ends as in the journal: state and the error's last line."""
        ends: dict[int, list[tuple[str, str]]] = {}
        for entry in Journal(self.fake).read("0-0"):
            for event in read_events(entry.fields):
                if isinstance(event, TrialEnded):
                    lines = event.error.splitlines() or [""]
                    ends.setdefault(event.number, []).append((event.state, lines[-1]))
        return ends


@pytest.fixture
def bench(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(module, "NO_CONTROLLER_SECONDS", 0.0)
    return Bench(fake)


def _fail(number: int) -> None:
    raise ValueError(number)


def test_function_agent_gives_up(bench: Bench) -> None:
    """Three failures end a function agent normally, with a sentence; trials claimed with them wait for others."""
    agent = bench.agent(20, _fail)
    assert agent.run() == 3
    assert bench.seen == [1, 2, 3]
    assert set(bench.ended()) == {1, 2, 3}
    assert any("3 trials failed" in line and "ValueError: 3" in line for line in bench.said)
    assert Ledger(bench.fake).ready_counts(["s"]) == [17]


def test_flapping_off_in_a_function_agent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """With W&B's variable a function agent goes on after failures, and does not end at the first one."""
    monkeypatch.setenv("WANDB_AGENT_DISABLE_FLAPPING", "true")
    monkeypatch.setenv("WANDB_AGENT_MAX_INITIAL_FAILURES", "0")
    assert bench.agent(20, _fail, count=12).run() == 12


def test_idle_function_agent_ends(bench: Bench) -> None:
    """An agent that finds no work ends after idle_timeout with a sentence, having run what there was."""
    began = time.monotonic()
    assert bench.agent(2, lambda number: None, idle_timeout=0.5).run() == 2
    assert time.monotonic() - began < 10
    assert any("--idle-timeout" in line for line in bench.said)


def test_max_runtime_in_a_function(bench: Bench) -> None:
    """A function that still runs shortly before max_runtime is handed back, and the agent ends."""

    def function(number: int) -> None:
        trial = current_trial()
        while trial is None or trial.interrupt is None:
            threading.Event().wait(0.01)
        raise trial.interrupt

    assert bench.agent(1, function, max_runtime=0.6).run() == 0
    assert "trial s-1 is handed back" in bench.said
    assert Ledger(bench.fake).ready_counts(["s"]) == [1]


@pytest.mark.parametrize("where", ["main thread", "other thread"])
def test_timeout_of_a_function(bench: Bench, where: str) -> None:
    """A function that runs too long without a log() gets TrialStopped raised in it; the next trial runs."""
    met: list[type[BaseException]] = []

    def function(number: int) -> None:
        if number == 1:
            try:
                for _ in range(3000):
                    threading.Event().wait(0.01 if where == "other thread" else 30)
            except TrialInterrupted as error:
                met.append(type(error))
                raise

    agent = bench.agent(2, function, timeout=0.2, count=2)
    if where == "main thread":
        agent.run()
    else:
        thread = threading.Thread(target=agent.run)
        thread.start()
        thread.join(20)
    assert met == [TrialStopped]
    assert bench.ended() == {1: [("stopped", "timeout: ran longer than 0.2 s")], 2: [("finished", "")]}


def test_timeout_of_a_function_that_does_not_come_back(bench: Bench) -> None:
    """For one that cannot be interrupted the trial ends all the same, once; later the agent goes on."""
    ended = threading.Event()

    def function(number: int) -> None:
        deadline = time.monotonic() + 20
        while number == 1 and not ended.is_set() and time.monotonic() < deadline:
            try:
                while not bench.ended():
                    threading.Event().wait(0.01)
                ended.set()
            except TrialStopped:
                continue  # as a C library would

    agent = bench.agent(2, function, timeout=0.2, count=2)
    agent.run()
    assert ended.is_set(), "the trial ended only after its function"
    assert bench.seen == [1, 2]
    assert bench.ended() == {1: [("stopped", "timeout: ran longer than 0.2 s")], 2: [("finished", "")]}
    assert agent.ran == 2


def test_timeout_that_is_not_reached(bench: Bench) -> None:
    """Trials that end in time are not touched, however many there are."""
    assert bench.agent(200, lambda number: None, timeout=0.5, count=200).run() == 200
    assert {end for [end] in bench.ended().values()} == {("finished", "")}
