"""A trial that is a function of this process: called in the caller's thread, its end turned into an `Ending`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from besom.agent.signals import GOODBYE_SECONDS, Signals
from besom.broker.connection import Connection
from besom.broker.ledger import Ending
from besom.errors import TrialCancelled, TrialPreempted, TrialStopped
from besom.messages import Claim, SweepSpec
from besom.settings import Settings
from besom.tracking.run.active import active_run
from besom.tracking.run.tracebacks import traceback_of
from besom.tracking.run.trial import Trial, goes_back, set_trial

__all__ = ["FunctionTrials", "trial_directory"]

log = logging.getLogger("besom")


def trial_directory(settings: Settings, sweep: str, number: int) -> Path:
    """The same folder for every attempt of a trial; made when first written to."""
    return (settings.dir / "besom-runs" / f"sweep-{sweep}" / f"trial-{number}").absolute()


class FunctionTrials:
    """Runs trials by calling one function without arguments."""

    batches = True
    """Several short trials may be claimed at once."""

    def __init__(
        self, function: Callable[[], Any], connection: Connection, spec: SweepSpec, settings: Settings, signals: Signals
    ) -> None:
        self._function = function
        self._connection = connection
        self._spec = spec
        self._signals = signals
        self._folder = trial_directory(settings, spec.id, 0).parent
        self._current: Trial | None = None
        self._reason = ""  # why it was stopped

    def run(self, claim: Claim) -> Ending | None:
        """Call the function; None when the trial is to be handed back.

        Raises:
            KeyboardInterrupt: the user interrupted a second time.
        """
        self._reason = ""  # first: once there is a trial, the watch thread may set it
        trial = self._current = Trial(self._spec, claim, self._folder / f"trial-{claim.number}", self._connection)
        set_trial(trial)
        try:
            return self._call(trial)
        finally:
            self._signals.in_function = False
            self._current = None
            set_trial(None)

    def interrupt(
        self, claim: Claim, why: type[TrialStopped | TrialPreempted | TrialCancelled], reason: str = ""
    ) -> None:
        """The function meets this at its next `log()`; `reason` then stands as the trial's error."""
        trial = self._current
        if trial is not None and trial.claim.token == claim.token and trial.interrupt is None:
            self._reason = reason
            trial.interrupt = why
            if why is TrialPreempted:  # whoever is told to go does not wait for a Redis that is away
                trial.patience = GOODBYE_SECONDS

    def close(self) -> None:
        """Nothing to give back."""

    def _call(self, trial: Trial) -> Ending | None:
        state, error, exit_code = "finished", "", 0
        try:
            self._signals.in_function = True
            try:
                self._function()
            finally:
                self._signals.leave_function()
        except TrialPreempted:
            state = ""
        except TrialCancelled:
            state = "cancelled"
        except TrialStopped:
            state = "stopped"
        except KeyboardInterrupt:
            self._finish_run(1, "")
            raise
        except SystemExit as ended:
            code = ended.code if ended.code is None or isinstance(ended.code, int) else 1
            if code:
                state, error, exit_code = "failed", f"SystemExit: {ended.code}", code
        except BaseException as problem:
            error = traceback_of(problem)
            state, exit_code = "failed", 1
            log.warning("trial %s failed:\n%s", trial.claim.run_id, error)
        self._signals.in_function = False
        self._finish_run(exit_code, error)
        if not state or (state == "failed" and goes_back(trial.directory, trial.claim)):
            return None
        if self._reason and state in ("finished", "stopped"):
            state, error = "stopped", self._reason
        details: dict[str, Any] = {"writers": trial.writers} if trial.writers else {}
        if error:
            details |= {"error": error, "exit_code": exit_code}
        return Ending(trial.claim, state, details)  # type: ignore[arg-type]

    def _finish_run(self, exit_code: int, error: str) -> None:
        run = active_run()
        while run is not None and run.trial is self._current:
            run.finish(exit_code, error=error)
            run = active_run()
