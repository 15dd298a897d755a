"""A trial in the user's own loop: its params, what is reported of it, and how it ends.

Its run is written as every other; how the end gets into the ledger is its sweep's (`ask.py`).
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, SupportsFloat

from besom.broker.ledger import Ending
from besom.errors import TrialCancelled, TrialInterrupted, TrialPreempted, TrialStopped, UsageError
from besom.tracking.run.run import Run
from besom.tracking.run.tracebacks import traceback_of
from besom.tracking.run.trial import Trial, goes_back

__all__ = ["AskedTrial"]

Value = SupportsFloat | Mapping[str, SupportsFloat]

_STATES: Final[dict[type[TrialInterrupted], str]] = {TrialStopped: "stopped", TrialCancelled: "cancelled"}


class AskedTrial:
    """A trial from `sweep.ask()`: report what it reaches, and tell once how it ended.

    As a context manager it tells by itself: at the end of the block what was reported counts; an exception makes it
    failed and goes on; Ctrl-C hands it back.

    Args:
        trial: The attempt.
        run: What records it.
        end: Called once, with the ending, or None to hand the trial back.
    """

    def __init__(self, trial: Trial, run: Run, end: Callable[[AskedTrial, Ending | None], None]) -> None:
        self.run = run
        """Its run, for whatever else there is to `log`, `save` or `watch`; its `log` raises when the trial is to stop,
        as in a train function."""
        self.trial = trial
        """The attempt, as the ledger lent it."""
        self.params: dict[str, Any] = copy.deepcopy(trial.claim.params)
        """What to try; the loop's own to change."""
        self._end = end
        self._lock = threading.Lock()
        self._over = False
        self._reason = ""

    def __repr__(self) -> str:
        return f"<besom trial {self.id} {self.params}>"

    @property
    def id(self) -> str:
        """`<sweep>-<number>`, the id of its run."""
        return self.trial.claim.run_id

    @property
    def number(self) -> int:
        """Within its sweep, from 1."""
        return self.trial.claim.number

    @property
    def is_over(self) -> bool:
        """Whether it was told, handed back, or lost with its sweep."""
        return self._over

    # ---- while it runs

    def report(self, value: Value, step: int | None = None) -> None:
        """Record a value of the sweep's metric, or values by name, at a step (by default the next one).

        A stopping rule judges by it. Once the trial is to stop nothing is recorded, and nothing is raised; ask
        `should_stop()`.

        Raises:
            UsageError: no number, or a bare one in a sweep without a metric; or the trial is over.
        """
        values = self._by_name(value)
        if self.should_stop() and not self._over:
            return
        with suppress(TrialInterrupted):  # word of it came just now
            self.run.log(values, step=step, commit=True)

    def should_stop(self) -> bool:
        """Whether to end it now: by a stopping rule or `timeout`, because the sweep was cancelled, or because another
        agent has it. Then `tell()` what there is; its state says how it ended."""
        return self.run.should_stop()

    # ---- how it ends

    def tell(self, value: Value | None = None) -> None:
        """It has ended well, with this value, values by name, or what was reported.

        A trial that was to stop ends `stopped` or `cancelled`. One that never had a finite value of the sweep's metric
        is `failed`, as everywhere.

        Raises:
            UsageError: no number, or a bare one in a sweep without a metric; or the trial is over.
        """
        values = {} if value is None else self._by_name(value)
        self._begin_end("tell()")
        self.run.add_to_row(values)  # without the interrupt that log() raises: what was reached counts
        why = self.run.interrupted()
        self._finish("finished" if why is None else _STATES.get(why, "finished"), self._reason)

    def fail(self, error: str | BaseException = "") -> None:
        """It has failed; where the sweep has `retries`, it is tried again.

        Args:
            error: What went wrong, for those who look at the trial.

        Raises:
            UsageError: the trial is over.
        """
        self._begin_end("fail()")
        if isinstance(error, BaseException):
            error = traceback_of(error)
        if goes_back(self.trial.directory, self.trial.claim):
            self._finish("", error, 1)
        else:
            self._finish("failed", error or "told to have failed", 1)

    def release(self) -> None:
        """Hand it back: another asker or agent takes it, before new trials.

        Raises:
            UsageError: the trial is over.
        """
        self._begin_end("release()")
        self.trial.interrupt = TrialPreempted
        self._finish("")

    def __enter__(self) -> AskedTrial:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._over:
            return False
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.tell()
        elif isinstance(error, TrialInterrupted):  # from the run's log(): this is what it is for
            self._begin_end("the end of its block")
            self._finish(_STATES.get(type(error), ""), self._reason)
            return True
        elif isinstance(error, Exception | SystemExit):
            self.fail(error)
        else:
            self.release()
        return False

    # ---- for its sweep

    def interrupt(self, why: type[TrialInterrupted], reason: str = "") -> None:
        """It is to stop; `reason` then stands as its error."""
        if self.trial.interrupt is None:
            self._reason = reason
            self.trial.interrupt = why

    # ---- inside

    def _begin_end(self, call: str) -> None:
        with self._lock:
            if self._over:
                raise UsageError(f"trial {self.id} is over, so {call} does nothing; ask for the next with sweep.ask()")
            self._over = True

    def _finish(self, state: str, error: str = "", exit_code: int = 0) -> None:
        """End its run, then the trial; without a state it is handed back."""
        self.run.finish(exit_code, error=error)
        details: dict[str, Any] = {"writers": self.trial.writers} if self.trial.writers else {}
        if error:
            details |= {"error": error, "exit_code": exit_code}
        self._end(self, Ending(self.trial.claim, state, details) if state else None)  # type: ignore[arg-type]

    def _by_name(self, value: Value) -> dict[str, float]:
        if isinstance(value, Mapping):
            return {name: _number(name, one) for name, one in value.items()}
        spec, metric = self.trial.spec, self.trial.spec.metric
        if metric is None:
            first, *others = [one["name"] for one in spec.config.get("metrics") or [{"name": "loss"}]]
            rest = "".join(f", {name!r}: ..." for name in others)
            raise UsageError(f"sweep {spec.id} has no one metric; write names too: {{{first!r}: {value!r}{rest}}}")
        return {metric.name: _number(metric.name, value)}


def _number(name: str, value: SupportsFloat) -> float:
    try:
        if isinstance(value, bool | str | bytes):
            raise TypeError
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        raise UsageError(
            f"{name}={value!r} is no number; write one, or call fail() for a trial without a value"
        ) from None
