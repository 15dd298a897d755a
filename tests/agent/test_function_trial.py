"""Every way in which a train function can end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import besom
from besom.agent.function_trial import FunctionTrials, trial_directory
from besom.agent.signals import Signals
from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.broker.ledger import Ending
from besom.errors import TrialCancelled, TrialPreempted, TrialStopped
from besom.settings import read_settings
from besom.tracking.run.active import active_run
from besom.tracking.run.trial import current_trial
from tests.agent.conftest import Lend

Run = Callable[[Callable[[], Any]], Ending | None]


@pytest.fixture
def run(fake: Connection, lend: Lend, signals: Signals) -> Run:
    """Runs a function as a trial."""

    def call(function: Callable[[], Any]) -> Ending | None:
        spec, claim = lend({"x": 3})
        trials = FunctionTrials(function, fake, spec, read_settings(), signals)
        try:
            return trials.run(claim)
        finally:
            assert current_trial() is None
            assert active_run() is None
            assert not signals.in_function
            trials.close()

    return call


def raising(error: BaseException) -> Callable[[], Any]:
    def function() -> None:
        raise error

    return function


class Odd(BaseException):
    """Neither an Exception nor one of besom's."""


@pytest.mark.parametrize("result", [None, 1, "x", {"loss": 1}])
def test_returns(run: Run, result: Any) -> None:
    """Whatever the function returns, the trial is finished."""
    ending = run(lambda: result)
    assert ending is not None
    assert (ending.state, dict(ending.details)) == ("finished", {})


@pytest.mark.parametrize(
    ("error", "state", "told", "code"),
    [
        (ValueError("too high"), "failed", "ValueError: too high", 1),
        (Odd("odd"), "failed", "tests.agent.test_function_trial.Odd: odd", 1),
        (MemoryError(), "failed", "MemoryError", 1),
        (SystemExit(3), "failed", "SystemExit: 3", 3),
        (SystemExit("no data"), "failed", "SystemExit: no data", 1),
        (SystemExit(0), "finished", None, None),
        (SystemExit(), "finished", None, None),
        (TrialStopped(), "stopped", None, None),
        (TrialCancelled(), "cancelled", None, None),
    ],
)
def test_raises(run: Run, error: BaseException, state: str, told: str | None, code: str | None) -> None:
    """Each exception has its state; a failed trial carries the last line of its traceback and an exit code."""
    ending = run(raising(error))
    assert ending is not None
    assert ending.state == state
    assert ending.details.get("exit_code") == code
    last = ending.details["error"].splitlines()[-1] if "error" in ending.details else None
    assert last == told


def test_preempted_is_handed_back(run: Run) -> None:
    """TrialPreempted gives no ending: the trial goes back."""
    assert run(raising(TrialPreempted())) is None


@pytest.mark.parametrize(
    ("error", "state"),
    [(ValueError("gone"), None), (SystemExit(1), None), (SystemExit(0), "finished"), (TrialCancelled(), "cancelled")],
)
def test_marked_as_preempting(run: Run, error: BaseException, state: str | None) -> None:
    """What fails after `mark_preempting()` is handed back; what ends well, or was cancelled, has ended."""

    def function() -> None:
        with besom.init():
            besom.mark_preempting()
        raise error

    ending = run(function)
    assert (ending.state if ending else None) == state


def test_keyboard_interrupt_rises(run: Run) -> None:
    """KeyboardInterrupt is the user's, and reaches the caller."""
    with pytest.raises(KeyboardInterrupt):
        run(raising(KeyboardInterrupt()))


@pytest.mark.parametrize(
    "error", [None, ValueError("x"), SystemExit(3), TrialStopped(), TrialPreempted(), KeyboardInterrupt()]
)
def test_run_that_is_left_open_is_finished(run: Run, fake: Connection, error: BaseException | None) -> None:
    """A run that the function did not finish ends with the trial, whatever ends it, its row sent first."""
    runs: list[besom.Run] = []

    def function() -> None:
        runs.append(besom.init())
        besom.log({"loss": 1.0})
        if error is not None:
            raise error

    try:
        ending = run(function)
    except KeyboardInterrupt:
        ending = None
    assert runs[0].state == ("failed" if isinstance(error, ValueError | SystemExit | KeyboardInterrupt) else "finished")
    kinds = [entry.fields[b"kind"] for entry in Journal(fake).read("0-0")]
    assert kinds.count(b"batch") == 1
    if ending is not None:
        assert list(ending.details["writers"].values()) == [1]


def test_params_are_the_run_s_config(run: Run) -> None:
    """`besom.init()` in the function finds params, sweep and number, and a second one goes on with the same run id."""
    found: list[Any] = []

    def function() -> None:
        for _ in range(2):
            with besom.init(config={"own": 1}) as inside:
                found.append((inside.id, inside.sweep_id, inside.config["x"], inside.config["own"]))
                inside.log({"loss": 1.0})

    ending = run(function)
    assert found == [("s-1", "s", 3, 1)] * 2
    assert ending is not None
    assert list(ending.details["writers"].values()) == [1, 1]


@pytest.mark.parametrize("why", [TrialStopped, TrialPreempted, TrialCancelled])
def test_interrupt_from_outside(fake: Connection, lend: Lend, signals: Signals, why: Any) -> None:
    """What is told from outside is raised at the next log, past `except Exception`; one for another attempt is not."""
    spec, claim = lend()
    steps: list[int] = []

    def function() -> None:
        with besom.init() as inside:
            trials.interrupt(claim.model_copy(update={"token": "of another"}), TrialCancelled)
            for step in range(5):
                try:
                    inside.log({"loss": 1.0})
                except Exception:
                    steps.append(-1)
                steps.append(step)
                if step == 1:
                    assert not inside.should_stop()
                    trials.interrupt(claim, why)
                    assert inside.should_stop()

    trials = FunctionTrials(function, fake, spec, read_settings(), signals)
    ending = trials.run(claim)
    states = {TrialStopped: "stopped", TrialCancelled: "cancelled"}
    assert steps == [0, 1]
    assert (ending.state if ending else None) == states.get(why)


def test_interrupt_between_trials(fake: Connection, lend: Lend, signals: Signals) -> None:
    """A word about a trial that is over is ignored."""
    spec, claim = lend()
    trials = FunctionTrials(lambda: None, fake, spec, read_settings(), signals)
    trials.run(claim)
    trials.interrupt(claim, TrialCancelled)
    assert current_trial() is None


def test_every_attempt_has_the_same_folder(tmp_path: Path) -> None:
    """A trial's folder depends on sweep and number, is absolute, and is not made before it is needed."""
    folder = trial_directory(read_settings(dir=tmp_path), "s", 7)
    assert folder == tmp_path / "besom-runs" / "sweep-s" / "trial-7"
    assert not folder.exists()
    assert trial_directory(read_settings(dir=Path("work")), "s", 7).is_absolute()
