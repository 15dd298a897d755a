"""An agent whose trials are child processes, several at once.

The caller's thread waits for all children in one place: it starts them (they die with the thread that forks them),
keeps their output, ends those that are to end. It never waits for Redis; that do one thread which takes turns and
claims trials when slots are free, and one for each trial that is being reported.
"""

from __future__ import annotations

import logging
import os
import queue
import selectors
import threading
import time
from collections.abc import Callable
from typing import Final

from besom.agent.beat import Beat
from besom.agent.command_trial import Child, CommandTrials, Why
from besom.agent.gpus import Gpus
from besom.agent.held import Held
from besom.agent.limits import Tally
from besom.agent.signals import GOODBYE_SECONDS, Signals
from besom.agent.sources import Source
from besom.broker.connection import BLOCK_SECONDS
from besom.broker.ledger import Ending
from besom.broker.turns import Turn
from besom.errors import ConfigError, TrialPreempted, Unreachable
from besom.messages import Claim, SweepSpec

__all__ = ["Slots"]

log = logging.getLogger("besom")

_LOOK_SECONDS: Final = 1.0
"""Between two looks at limits."""
_LEAVE_SECONDS: Final = 2 * GOODBYE_SECONDS
"""How long an agent that was told to hand back waits for what is being reported."""


class Slots:
    """Runs trials until nothing is left.

    Args:
        source: Where turns come from.
        trials_of: How trials of a sweep are started.
        held: Claims and reports.
        tally: When to end.
        beat: Told when something has changed.
        signals: The agent's.
        gpus: How many at once, and what each may use.
    """

    def __init__(
        self,
        source: Source,
        trials_of: Callable[[SweepSpec], CommandTrials],
        held: Held,
        tally: Tally,
        beat: Beat,
        signals: Signals,
        gpus: Gpus,
    ) -> None:
        self._source = source
        self._trials_of = trials_of
        self._held = held
        self._tally = tally
        self._beat = beat
        self._signals = signals
        self._gpus = gpus
        self._claimed: queue.SimpleQueue[tuple[SweepSpec, Claim]] = queue.SimpleQueue()
        self._children: dict[str, Child] = {}  # by token
        self._trials: dict[str, CommandTrials] = {}  # by token
        self._by_fd: dict[int, Child] = {}
        self._changed = threading.Condition()  # guards what follows
        self._free = gpus.slots
        self._taking = True
        self._claiming = False
        self._problem: BaseException | None = None
        self._leaves_at = float("inf")
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(self._waker, False)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def run(self) -> None:
        """In the caller's thread.

        Raises:
            BesomError: Redis refuses, or no trial can be started here.
        """
        taker = threading.Thread(target=self._take, name="besom-taker", daemon=True)
        taker.start()
        try:
            while self._goes_on():
                self._wait()
                self._start_claimed()
                for child in [child for child in self._children.values() if child.is_over()]:
                    self._ended(child)
                self._look_at_limits()
        finally:
            self._stop_taking()
            self._source.close()
            taker.join(1)
            self._close()
        if self._problem is not None:
            raise self._problem

    def signalled(self) -> None:
        """A signal may have come; from the watch thread."""
        self.wake()

    def wake(self) -> None:
        """Make the loop look around; from any thread."""
        try:
            os.write(self._waker, b"\0")
        except OSError:
            return  # it is awake, or over

    def interrupt(self, claim: Claim, why: Why) -> None:
        """End one trial; from any thread."""
        child = self._children.get(claim.token)
        if child is not None:
            child.end(why)
            self.wake()

    def forward(self, number: int) -> None:
        """Pass a signal on to all trials; from the watch thread."""
        for child in list(self._children.values()):
            child.forward(number)

    # ---- the loop, in the caller's thread

    def _goes_on(self) -> bool:
        with self._changed:
            at_work = self._taking or self._claiming or self._free < self._gpus.slots
        return at_work and time.monotonic() < self._leaves_at

    def _wait(self) -> None:
        pause = min((child.pause() for child in self._children.values()), default=_LOOK_SECONDS)
        for key, _ in self._selector.select(min(pause, _LOOK_SECONDS)):
            if key.fd == self._wake:
                self._drain()
                continue
            child = self._by_fd[key.fd]
            child.read(key.fd)
            if key.fd not in child.fds:
                self._unregister(key.fd)

    def _drain(self) -> None:
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            return

    def _start_claimed(self) -> None:
        started = False
        while True:
            try:
                spec, claim = self._claimed.get_nowait()
            except queue.Empty:
                break
            if self._signals.ending.is_set() or self._problem is not None:
                self._beside(lambda claim=claim: self._held.release(claim, began=False), claim)  # type: ignore[misc]
            else:
                self._start(spec, claim)
                started = True
        if started:
            self._beat.soon()

    def _start(self, spec: SweepSpec, claim: Claim) -> None:
        trials, gpus = self._trials_of(spec), self._gpus.take()
        try:
            child = trials.start(claim, gpus)
        except ConfigError as error:
            self._gpus.give_back(gpus)
            ending = Ending(claim, "failed", {"error": str(error)})
            self._beside(lambda: self._report(ending, 0.0), claim)
            return
        except (Unreachable, OSError) as error:
            self._gpus.give_back(gpus)
            self._fail(error if isinstance(error, Unreachable) else Unreachable(f"no trial can start here: {error}"))
            self._beside(lambda: self._held.release(claim), claim)
            return
        self._children[claim.token], self._trials[claim.token] = child, trials
        for fd in child.fds:
            self._by_fd[fd] = child
            self._selector.register(fd, selectors.EVENT_READ)

    def _ended(self, child: Child) -> None:
        claim, seconds = child.claim, time.monotonic() - child.started
        for fd in [fd for fd, whose in self._by_fd.items() if whose is child]:
            self._unregister(fd)
        del self._children[claim.token]
        trials = self._trials.pop(claim.token)
        self._gpus.give_back(child.gpus)
        patience = GOODBYE_SECONDS if self._signals.handing_back.is_set() else float("inf")

        def settle() -> None:
            ending = trials.settle(child, patience)
            if ending is None:
                self._held.release(claim)
            else:
                self._report(ending, seconds)

        self._beside(settle, claim)

    def _unregister(self, fd: int) -> None:
        del self._by_fd[fd]
        self._selector.unregister(fd)  # also when it is closed already

    def _look_at_limits(self) -> None:
        now = time.monotonic()
        self._signals.quiet = not self._children
        if self._children:
            self._tally.busy()
        runtime_over = now >= self._tally.hand_back_at
        if self._signals.handing_back.is_set() or runtime_over or self._problem is not None:
            for child in self._children.values():
                child.end(TrialPreempted)
            if not self._children:
                self._leaves_at = min(self._leaves_at, now + _LEAVE_SECONDS)
        with self._changed:
            idle = self._free == self._gpus.slots
        if (
            self._signals.ending.is_set()
            or (runtime_over and not self._tally.may_take())
            or self._tally.reason
            or self._problem is not None
            or (idle and self._tally.is_idle())
        ):
            self._stop_taking()

    def _close(self) -> None:
        for child in self._children.values():  # only when the loop was left by an exception
            child.kill()
        self._selector.close()
        os.close(self._wake)
        os.close(self._waker)
        self._waker = -1

    # ---- reports, each in a thread of its own

    def _beside(self, action: Callable[[], None], claim: Claim) -> None:
        """Do what may wait for Redis; then the slot is free."""

        def work() -> None:
            try:
                action()
            except Exception:
                log.exception("trial %s can neither be reported nor handed back; its lease runs out", claim.run_id)
                self._held.forget(claim)
            finally:
                self._tally.busy()
                self._is_free()

        threading.Thread(target=work, name="besom-report", daemon=True).start()

    def _report(self, ending: Ending, seconds: float) -> None:
        self._tally.ended(ending.state, ending.details.get("error", ""), seconds)
        state, _ = self._held.report([ending], sweep=ending.claim.sweep)
        self._source.noted(ending.claim.sweep, state)

    def _is_free(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()
        self.wake()

    # ---- the taker's thread

    def _take(self) -> None:
        try:
            turn: Turn | None = None
            left, until = 0, 0.0
            while self._has_room() and self._tally.may_take() and not self._source.over():
                if turn is None or left <= 0 or time.monotonic() >= until:
                    turn = self._source.next_turn(self._tally.patience(BLOCK_SECONDS))
                    if turn is None:
                        continue
                    left, until = turn.trials, time.monotonic() + turn.milliseconds / 1000
                wanted = self._wanted(left)
                taken = self._claim(turn.sweep, wanted) if wanted > 0 else 0
                left -= taken
                if taken < wanted:
                    turn = None  # nothing is ready
        except BaseException as error:
            self._fail(error)
        finally:
            self._stop_taking()

    def _has_room(self) -> bool:
        """Wait for a free slot; False when no more trials are to be taken."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taking or self._may_have_room())
            return self._taking

    def _may_have_room(self) -> bool:
        # With `count` used up, a trial that is handed back makes room again.
        return self._free > 0 and (self._tally.left > 0 or self._free == self._gpus.slots)

    def _wanted(self, left: int) -> int:
        """How many trials to claim now; from here on the loop waits for them."""
        with self._changed:
            count = min(left, self._tally.left, self._free) if self._taking else 0
            self._claiming = count > 0
        return count

    def _claim(self, sweep: str, count: int) -> int:
        try:
            state, claims = self._held.claim(sweep, count)
            self._source.noted(sweep, state)
            with self._changed:
                self._free -= len(claims)
            for claim in claims:
                self._claimed.put((self._source.spec_of(sweep), claim))
        finally:
            with self._changed:
                self._claiming = False
            self.wake()
        return len(claims)

    def _stop_taking(self) -> None:
        with self._changed:
            self._taking = False
            self._changed.notify_all()
        self.wake()

    def _fail(self, error: BaseException) -> None:
        if self._problem is None:
            self._problem = error
        self._stop_taking()  # before what is handed back here can be taken here again
