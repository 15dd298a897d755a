"""`besom.agent()`: take trials of one sweep, run them, report, until nothing is left.

Runs in the caller's thread; only the beat and the flusher are threads of besom's. Trials come in turns: within one,
trials are claimed from the ledger, several at once when they end in milliseconds.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from redis.exceptions import RedisError

from besom.agent.beat import Beat
from besom.agent.command_line import check_allowed
from besom.agent.command_trial import CommandTrials
from besom.agent.function_trial import FunctionTrials
from besom.agent.signals import IdleAgentInterrupted, Signals
from besom.broker.connection import BLOCK_SECONDS, Connection
from besom.broker.find import find_sweep
from besom.broker.journal import Journal, entry_order
from besom.broker.lead import read_leader
from besom.broker.ledger import Ending, Ledger, Verdict
from besom.broker.turns import Turn, TurnWorker
from besom.errors import TrialCancelled, TrialPreempted, TrialStopped, UsageError
from besom.messages import Claim, SweepSpec
from besom.settings import Settings, read_settings
from besom.tracking.init import shared_connection

__all__ = ["Agent", "agent"]

log = logging.getLogger("besom")

_BATCH_SECONDS: Final = 0.05
"""Work claimed at once, and results kept back, at most."""
_BATCH_TRIALS: Final = 64
_NO_CONTROLLER_SECONDS: Final = 15.0
_OVER: Final = ("stopping", "finished", "cancelled")

_WHY: Final[dict[str, type[TrialStopped | TrialPreempted | TrialCancelled]]] = {
    "cancel": TrialCancelled,
    "stop": TrialStopped,
    "stale": TrialPreempted,
}


class Trials(Protocol):
    """A way to run trials: a function, or a command."""

    batches: bool

    def run(self, claim: Claim) -> Ending | None:
        """Run one; None when it is to be handed back."""

    def interrupt(self, claim: Claim, why: type[TrialStopped | TrialPreempted | TrialCancelled]) -> None:
        """End it from outside."""

    def close(self) -> None:
        """Give back what it holds."""


def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    count: int | None = None,
    project: str | None = None,
    entity: str | None = None,
) -> None:
    """Run trials of a sweep here until none is left or `count` have run; returns when they are recorded.

    Args:
        sweep_id: `id`, `project/id` or `entity/project/id`.
        function: Called without arguments for each trial; `besom.init()` in it finds the params. Without it the
            sweep's `program` or `command` is executed.
        count: How many trials to run at most.
        project: Of the sweep, when the id does not say.
        entity: Of the sweep, when the id does not say.

    Raises:
        UsageError: an argument that cannot be.
        NotFound: there is no such sweep.
        Unreachable: Redis refuses the password, or the service cannot start.
    """
    if function is not None and not callable(function):
        raise UsageError(f"function={function!r} cannot be called; pass the function itself, without ()")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise UsageError(f"count={count!r} cannot be; write a whole number above 0, or leave it out")
    settings = read_settings()
    connection = shared_connection(settings)
    spec = find_sweep(Ledger(connection), sweep_id, project=project, entity=entity)
    Agent(connection, spec, settings, function=function, count=count).run()


class Agent:
    """One agent of one sweep.

    Args:
        connection: Redis.
        spec: The sweep.
        settings: Times, directories, what signals mean.
        function: The train function, or None for the sweep's command.
        count: How many trials at most.
        allow_command: Run any command that the sweep names.
        echo: Show what commands print, besides keeping it.
        say: Prints a line for the user.
    """

    def __init__(
        self,
        connection: Connection,
        spec: SweepSpec,
        settings: Settings,
        *,
        function: Callable[[], Any] | None = None,
        count: int | None = None,
        allow_command: bool = False,
        echo: bool = True,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> None:
        self.connection = connection
        self.spec = spec
        self.id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.ran = 0
        """Trials that ended here."""
        self._settings = settings
        self._ledger = Ledger(connection)
        self._say = say
        self._left = count if count is not None else sys.maxsize
        self._signals = Signals(settings, say)
        self._trials: Trials
        if function is None:
            check_allowed(spec, settings, allow_command=allow_command)
            self._trials = CommandTrials(connection, spec, settings, self._signals, echo=echo)
        else:
            self._trials = FunctionTrials(function, connection, spec, settings, self._signals)
        self._beat = Beat(self._ledger, self.id, spec.id, settings, self._signals, self._told, self._signalled)
        self._running: Claim | None = None
        self._seconds = 0.0  # smoothed length of a trial
        self._last_entry = ""  # journal id of the last report

    def run(self) -> int:
        """Take turns until the sweep is over, `count` is reached, or a signal ends it; how many trials ran."""
        worker = TurnWorker(self.connection, self.spec.id)
        with self._signals:
            try:
                with self._beat:
                    self._take_turns(worker)
                    self._wait_until_recorded()
            except IdleAgentInterrupted:
                log.debug("interrupted while idle")
            finally:
                worker.close()
                self._trials.close()
        self._signals.deliver_again()
        return self.ran

    # ---- turns

    def _take_turns(self, worker: TurnWorker) -> None:
        waits_since = time.monotonic()
        said = False
        while self._left > 0 and not self._signals.ending.is_set():
            state = self._ledger.state(self.spec.id)
            if state is None or state in _OVER:
                return
            turn = self._next_turn(worker)
            if turn is not None:
                waits_since = time.monotonic()
                self._carry_out(turn)
            elif not said and time.monotonic() - waits_since > _NO_CONTROLLER_SECONDS:
                said = self._complain_of_no_controller()

    def _next_turn(self, worker: TurnWorker) -> Turn | None:
        try:
            self._signals.idle = True
            return worker.take(BLOCK_SECONDS)
        except (RedisError, OSError):
            self.connection.call(self.connection.redis.ping)  # waits until it answers
            return None
        finally:
            self._signals.idle = False

    def _complain_of_no_controller(self) -> bool:
        if read_leader(self.connection).alive:
            return False
        self._say(f"no controller at {self.connection.shown}; start one with: besom controller")
        return True

    def _carry_out(self, turn: Turn) -> None:
        """Claim and run trials until the turn is used up or nothing is ready."""
        until = time.monotonic() + turn.milliseconds / 1000
        left = turn.trials
        claims = self._claim(min(left, self._batch()))
        while claims:
            left -= len(claims)
            endings = self._run_batch(claims)
            more = min(left, self._batch()) if time.monotonic() < until else 0
            claims = self._report(endings, more)

    def _batch(self) -> int:
        """How many trials to claim at once."""
        if self._signals.ending.is_set():
            return 0
        fitting = int(_BATCH_SECONDS / self._seconds) if self._seconds and self._trials.batches else 1
        return max(0, min(self._left, max(1, min(_BATCH_TRIALS, fitting))))

    def _claim(self, count: int) -> list[Claim]:
        if count <= 0:
            return []
        _, claims = self._ledger.claim(self.spec.id, self.id, count, secrets.token_hex(8))
        self._beat.hold(claims)
        self._left -= len(claims)
        return claims

    # ---- trials

    def _run_batch(self, claims: list[Claim]) -> list[Ending]:
        """Run these one after the other; endings that are not reported yet. What is not run is handed back."""
        endings: list[Ending] = []
        reported = time.monotonic()
        for position, claim in enumerate(claims):
            if self._signals.handing_back.is_set() or (position and self._signals.ending.is_set()):
                self._release(claim)
                continue
            try:
                ending = self._run(claim)
            except BaseException:
                self._report(endings, 0)
                for rest in claims[position:]:
                    self._release(rest)
                raise
            if ending is None:
                self._release(claim)
                continue
            self.ran += 1
            endings.append(ending)
            if time.monotonic() - reported > _BATCH_SECONDS and position + 1 < len(claims):
                self._report(endings, 0)
                endings, reported = [], time.monotonic()
        return endings

    def _run(self, claim: Claim) -> Ending | None:
        self._running = claim
        started = time.monotonic()
        try:
            return self._trials.run(claim)
        finally:
            self._running = None
            seconds = time.monotonic() - started
            self._seconds = self._seconds * 0.8 + seconds * 0.2 if self._seconds else seconds

    def _report(self, endings: list[Ending], more: int) -> list[Claim]:
        """Report endings and claim up to `more` in the same call."""
        if not endings:
            return self._claim(more)
        then = (self.spec.id, self.id, more, secrets.token_hex(8)) if more > 0 else None
        replies, _, claims = self._ledger.complete(endings, then=then)
        self._beat.hold(claims)
        self._left -= len(claims)
        for ending, (reply, entry) in zip(endings, replies, strict=True):
            self._beat.drop(ending.claim)
            self._last_entry = entry or self._last_entry
            if reply == "stale":
                self._say(f"trial {ending.claim.run_id}: another agent has taken it over; this attempt does not count")
        return claims

    def _release(self, claim: Claim) -> None:
        self._beat.drop(claim)
        self._left += 1
        if self._ledger.release(claim, "preempted"):
            self._say(f"trial {claim.run_id} is handed back")

    # ---- what comes from outside, in the beat thread

    def _told(self, claim: Claim, verdict: Verdict) -> None:
        self._trials.interrupt(claim, _WHY[verdict])

    def _signalled(self) -> None:
        running = self._running
        if running is not None and self._signals.handing_back.is_set():
            self._trials.interrupt(running, TrialPreempted)
            # A function deep in one C call does not come back in time; the trial does.
            late = threading.Timer(self._settings.kill_delay_seconds, self._release_late, (running,))
            late.daemon = True
            late.start()

    def _release_late(self, claim: Claim) -> None:
        if self._running is claim and isinstance(self._trials, FunctionTrials):
            self._beat.drop(claim)
            self._ledger.release(claim, "preempted")

    def _wait_until_recorded(self) -> None:
        """What this agent reported is in the store, unless no controller is there to put it."""
        if not self._last_entry:
            return
        journal, pause = Journal(self.connection), threading.Event()
        wanted = entry_order(self._last_entry)
        alive_at = time.monotonic()
        while entry_order(journal.recorded_id()) < wanted:
            if read_leader(self.connection).alive:
                alive_at = time.monotonic()
            elif time.monotonic() - alive_at > _NO_CONTROLLER_SECONDS:
                self._complain_of_no_controller()
                return
            if self._signals.ending.is_set():
                return
            pause.wait(0.02)
