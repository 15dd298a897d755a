"""An agent whose trials are calls of one function, in the caller's thread, one after the other.

Several trials are claimed at once when they end in milliseconds; their results go back together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from besom.agent.beat import Beat
from besom.agent.function_trial import FunctionTrials
from besom.agent.held import Held
from besom.agent.limits import Tally
from besom.agent.signals import Signals
from besom.agent.sources import Source
from besom.broker.connection import BLOCK_SECONDS
from besom.broker.ledger import Ending
from besom.broker.turns import Turn
from besom.errors import TrialCancelled, TrialPreempted, TrialStopped
from besom.messages import Claim, SweepSpec

__all__ = ["FunctionLoop"]

_BATCH_SECONDS: Final = 0.05
"""Work claimed at once, and results kept back, at most."""
_BATCH_TRIALS: Final = 64


class FunctionLoop:
    """Takes turns until nothing is left.

    Args:
        trials: Calls the function.
        spec: The sweep.
        source: Where turns come from.
        held: Claims and reports.
        tally: When to end.
        beat: For alarms.
        signals: The agent's.
        kill_delay: Seconds that a function has to come back once it was told to.
    """

    def __init__(
        self,
        trials: FunctionTrials,
        spec: SweepSpec,
        source: Source,
        held: Held,
        tally: Tally,
        beat: Beat,
        signals: Signals,
        kill_delay: float,
    ) -> None:
        self._trials = trials
        self._source = source
        self._held = held
        self._tally = tally
        self._beat = beat
        self._signals = signals
        self._timeout: float | None = spec.timeout
        self._kill_delay = kill_delay
        self._running: Claim | None = None
        self._handed_back: Claim | None = None
        self._sweep = spec.id

    def run(self) -> None:
        """In the caller's thread."""
        if self._tally.hand_back_at < float("inf"):
            self._beat.alarm("runtime", max(0.0, self._tally.hand_back_at - time.monotonic()), self._runtime_over)
        while self._tally.may_take() and not self._signals.ending.is_set() and not self._source.over():
            turn = self._next_turn()
            if turn is not None:
                self._carry_out(turn)
                self._tally.busy()
            elif self._tally.is_idle():
                return

    def interrupt(self, claim: Claim, why: type[TrialStopped | TrialPreempted | TrialCancelled]) -> None:
        """End one trial from outside, from whatever thread."""
        self._trials.interrupt(claim, why)

    def signalled(self) -> None:
        """A signal may have come; from the watch thread."""
        if self._signals.handing_back.is_set():
            self._hand_back()

    def _hand_back(self) -> None:
        """Hand back what runs: at its next `log()`, or when the kill delay is over; from the watch thread."""
        claim = self._running
        if claim is not None and claim is not self._handed_back:
            self._handed_back = claim
            self._trials.interrupt(claim, TrialPreempted)
            # A function deep in one C call does not come back in time; the trial does.
            self._beat.alarm("late", self._kill_delay, lambda: self._release_late(claim))

    # ---- turns

    def _next_turn(self) -> Turn | None:
        try:
            self._signals.idle = True
            return self._source.next_turn(self._tally.patience(BLOCK_SECONDS))
        finally:
            self._signals.idle = False

    def _carry_out(self, turn: Turn) -> None:
        """Claim and run trials until the turn is used up or nothing is ready."""
        until = time.monotonic() + turn.milliseconds / 1000
        left = turn.trials
        claims = self._claim(min(left, self._batch()))
        while claims:
            left -= len(claims)
            endings = self._run_batch(claims)
            more = min(left, self._batch()) if time.monotonic() < until else 0
            state, claims = self._held.report(endings, sweep=self._sweep, more=more)
            self._source.noted(self._sweep, state)

    def _batch(self) -> int:
        """How many trials to claim at once."""
        if self._signals.ending.is_set() or not self._tally.may_take():
            return 0
        fitting = int(_BATCH_SECONDS / self._tally.seconds) if self._tally.seconds else 1
        return min(self._tally.left, max(1, min(_BATCH_TRIALS, fitting)))

    def _claim(self, count: int) -> list[Claim]:
        if count <= 0:
            return []
        state, claims = self._held.claim(self._sweep, count)
        self._source.noted(self._sweep, state)
        return claims

    # ---- trials

    def _run_batch(self, claims: list[Claim]) -> list[Ending]:
        """Run these one after the other; endings that are not reported yet. What is not run is handed back."""
        endings: list[Ending] = []
        reported = time.monotonic()
        for position, claim in enumerate(claims):
            if self._signals.handing_back.is_set() or (position and self._is_ending()):
                self._held.release(claim, began=False)
                continue
            try:
                ending = self._run(claim)
            except BaseException:
                self._held.report(endings)
                self._held.release(claim)
                for rest in claims[position + 1 :]:
                    self._held.release(rest, began=False)
                raise
            if ending is None:
                self._held.release(claim)
                continue
            endings.append(ending)
            if time.monotonic() - reported > _BATCH_SECONDS and position + 1 < len(claims):
                self._held.report(endings)
                endings, reported = [], time.monotonic()
        return endings

    def _is_ending(self) -> bool:
        return self._signals.ending.is_set() or bool(self._tally.reason)

    def _run(self, claim: Claim) -> Ending | None:
        self._running = claim
        started = time.monotonic()
        if self._timeout is not None:
            self._beat.alarm("timeout", self._timeout, lambda: self._timed_out(claim))
        try:
            ending = self._trials.run(claim)
        finally:
            self._running = None
            if self._timeout is not None:
                self._beat.cancel("timeout")
        if ending is not None and not self._held.is_over(claim):
            self._tally.ended(ending.state, ending.details.get("error", ""), time.monotonic() - started)
        return ending

    # ---- what does not come back, in the watch thread

    def _timed_out(self, claim: Claim) -> None:
        """First a word at the next `log()`, then an exception at the next bytecode, then without the function."""
        if self._running is not claim:
            return
        self._trials.interrupt(claim, TrialStopped, _timeout_reason(self._timeout))
        self._beat.alarm("timeout", self._kill_delay, lambda: self._raise(claim))

    def _raise(self, claim: Claim) -> None:
        if self._running is claim:
            self._signals.raise_in_function(TrialStopped)
            self._beat.alarm("timeout", max(self._kill_delay, 0.5), lambda: self._stop_late(claim))

    def _stop_late(self, claim: Claim) -> None:
        if self._running is claim and self._held.end_running(claim):
            ending = Ending(claim, "stopped", {"error": _timeout_reason(self._timeout)})
            self._tally.ended("stopped", "", self._timeout or 0.0)
            _beside(lambda: self._held.report_running(ending))

    def _release_late(self, claim: Claim) -> None:
        if self._running is claim and self._held.end_running(claim):
            _beside(lambda: self._held.release_running(claim))

    def _runtime_over(self) -> None:
        self._tally.may_take()  # sets the reason
        self._signals.ending.set()
        self._hand_back()


def _timeout_reason(timeout: float | None) -> str:
    return f"timeout: ran longer than {timeout or 0:g} s"


def _beside(action: Callable[[], None]) -> None:
    threading.Thread(target=action, name="besom-late", daemon=True).start()
