"""`besom.open_sweep()`: ask for trials and tell their values from a loop of one's own.

On the same ledger as every agent: to ask is to claim, to tell is to complete, and while a trial is held its lease is
kept alive in the background. So agents and askers work on one sweep side by side, and what a lost asker held is taken
up again.
"""

from __future__ import annotations

import atexit
import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

from besom.agent.asked_trial import AskedTrial
from besom.agent.beat import WHY, Beat
from besom.agent.function_trial import trial_directory
from besom.agent.held import Held
from besom.agent.limits import Limits, Tally, read_seconds
from besom.agent.signals import Signals
from besom.agent.sources import OneSweep, Patient
from besom.broker.connection import Connection
from besom.broker.find import find_sweep, read_address
from besom.broker.ledger import Ending, Ledger, Verdict
from besom.errors import BesomError, TrialStopped, UsageError
from besom.messages import Claim, SweepSpec
from besom.settings import Settings, read_settings
from besom.tracking.run.new_run import trial_run
from besom.tracking.run.settings import RunSettings, from_environment
from besom.tracking.run.trial import Trial
from besom.tracking.writing.connections import shared_connection

__all__ = ["OpenSweep", "open_sweep"]

log = logging.getLogger("besom")

_WAIT_SECONDS: Final = 1.0
"""For a turn at once: the least that Redis waits, so that `close` in another thread need not wait for long."""
_POLL_SECONDS: Final = 0.05
"""Between two looks in the last second of a timeout."""
_LONG_SECONDS: Final = 10.0
"""A wait after which is said that trials asked here are not told yet."""


def open_sweep(sweep_id: str, *, project: str | None = None, entity: str | None = None, slots: int = 1) -> OpenSweep:
    """A sweep to ask for trials; as a context manager it is closed at the end.

        with besom.open_sweep(sweep_id) as sweep:
            for trial in sweep:
                with trial:
                    trial.tell(train(**trial.params))

    It needs Redis alone, as an agent does; to look at a sweep there is `besom.Api().sweep(id)`. Each process opens its
    own; threads may share one.

    Args:
        sweep_id: `id`, `project/id` or `entity/project/id`.
        project: Of the sweep, when the id does not say.
        entity: Of the sweep, when the id does not say.
        slots: How many trials are to be held at once, so that as many are planned ahead. It is no limit.

    Raises:
        UsageError: an argument that cannot be.
        NotFound: there is no such sweep.
        Unreachable: Redis refuses the password, or the service cannot start.
    """
    if isinstance(slots, bool) or not isinstance(slots, int) or slots < 1:
        raise UsageError(f"slots={slots!r} cannot be; write how many trials are held at once, from 1")
    read_address(sweep_id)  # before anything is opened
    settings = read_settings()
    connection = shared_connection(settings)
    spec = find_sweep(Ledger(connection), sweep_id, project=project, entity=entity)
    return OpenSweep(connection, spec, settings, slots=slots)


class OpenSweep:
    """Gives a sweep's trials to whoever asks.

    Args:
        connection: Redis.
        spec: The sweep.
        settings: Times and directories.
        slots: Trials at once.
    """

    def __init__(self, connection: Connection, spec: SweepSpec, settings: Settings, *, slots: int = 1) -> None:
        self.id = spec.id
        self._spec = spec
        self._settings = settings
        self._connection = connection
        self._pid = os.getpid()
        self._asked: dict[str, AskedTrial] = {}  # by token; those that are not over
        self._asking = threading.Lock()
        self._closed = threading.Event()
        self._signals = Signals(settings, _say)  # never entered: the loop's signals are its owner's
        agent = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._beat = Beat(
            Ledger(connection), agent, spec.id, settings, self._signals, self._told, lambda: None, {"slots": slots}
        )
        self._held = Held(
            connection, agent, self._beat, Tally(Limits()), self._signals, _say, lambda _: spec.may_stop_early
        )
        self._source = Patient(OneSweep(connection, spec), connection, _say)
        self._beat.__enter__()
        atexit.register(self.close)

    def __repr__(self) -> str:
        return f"<besom sweep {self._spec.path}, {len(self._asked)} trials asked for here>"

    # ---- asking

    def ask(self, timeout: float | str | None = None) -> AskedTrial | None:
        """The next trial; None when the sweep is over: finished, stopping or cancelled.

        Waits while it is paused, and while all trials are with others, since one of them may come back.

        Args:
            timeout: How long to wait: seconds, or such as "10m"; 0 does not wait. By default until there is a trial.

        Raises:
            TimeoutError: there was none for so long.
            UsageError: it is closed, or was opened by another process; or a timeout that cannot be.
        """
        self._check_open()
        seconds = math.inf if timeout is None else 0.0 if timeout == 0 else read_seconds(timeout, "timeout")
        deadline = time.monotonic() + seconds
        if not self._asking.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)):
            raise self._none_within(seconds)
        try:
            claim = self._claim(deadline)
            if claim is not None:
                return self._begin(claim)
        finally:
            self._asking.release()
        self._check_open()
        if self._source.over():
            return None
        raise self._none_within(seconds)

    def ask_batch(self, count: int, timeout: float | str = 2.0) -> list[AskedTrial]:
        """Up to `count` trials; waits for the first as `ask` does, and `timeout` in all for the others.

        Fewer when there are no more, as at the end; none when the sweep is over. Open it with `slots=count`.

        Raises:
            UsageError: as in `ask`, or a count below 1.
        """
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UsageError(f"count={count!r} cannot be; write how many trials to ask for, from 1")
        deadline = time.monotonic() + read_seconds(timeout, "timeout")
        batch: list[AskedTrial] = []
        try:
            while len(batch) < count:
                left = max(0.0, deadline - time.monotonic())
                trial = self.ask(left if batch else None)
                if trial is None:
                    break
                batch.append(trial)
        except TimeoutError:
            log.debug("%d of %d trials", len(batch), count)
        return batch

    def __iter__(self) -> Iterator[AskedTrial]:
        """Trials until the sweep is over."""
        while (trial := self.ask()) is not None:
            yield trial

    # ---- the end

    def close(self) -> None:
        """Hand back what was not told, and take leave; also done when the process ends. Repeating it is harmless."""
        if self._closed.is_set() or os.getpid() != self._pid:
            return
        self._closed.set()
        atexit.unregister(self.close)
        with self._asking:  # whoever waits comes back within a second, and nothing is claimed afterwards
            self._source.close()
        for trial in list(self._asked.values()):
            try:
                trial.release()
            except BesomError as error:  # told by another thread just now
                log.debug("%s", error)
        self._beat.__exit__()
        self._signals.__exit__()

    def __enter__(self) -> OpenSweep:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- inside

    def _claim(self, deadline: float) -> Claim | None:
        """A claim, or None: the sweep is over, the time is, or it was closed meanwhile."""
        long = time.monotonic() + _LONG_SECONDS
        while not self._closed.is_set():
            state, claims = self._held.claim(self.id, 1)
            self._source.noted(self.id, state)
            if claims and self._closed.is_set():
                self._held.release(claims[0], began=False)
                break
            left = deadline - time.monotonic()
            if claims or self._source.over() or left <= 0:
                return next(iter(claims), None)
            if time.monotonic() > long and self._asked:
                long = math.inf
                log.warning(
                    "ask() waits for a trial of sweep %s; there may be none before the %d asked for here are told",
                    self.id, len(self._asked),
                )  # fmt: skip
            self._wait(left)
        return None

    def _wait(self, seconds: float) -> None:
        """Until there may be a trial."""
        if seconds < _WAIT_SECONDS:
            self._closed.wait(min(seconds, _POLL_SECONDS))
        else:
            self._source.next_turn(_WAIT_SECONDS)

    def _begin(self, claim: Claim) -> AskedTrial:
        folder = trial_directory(self._settings, self.id, claim.number)
        trial = Trial(self._spec, claim, folder, self._connection)
        try:
            asked = RunSettings().over(from_environment())
            run = trial_run(trial, self._settings, {}, asked, changeable=False)
        except BaseException:
            self._held.release(claim, began=False)
            raise
        run.settings = asked
        begun = self._asked[claim.token] = AskedTrial(trial, run, self._end)
        if (timeout := self._spec.timeout) is not None:
            reason = f"timeout: ran longer than {timeout:g} s"
            self._beat.alarm(claim.token, timeout, lambda: begun.interrupt(TrialStopped, reason))
        return begun

    def _end(self, trial: AskedTrial, ending: Ending | None) -> None:
        claim = trial.trial.claim
        self._asked.pop(claim.token, None)
        self._beat.cancel(claim.token)
        if ending is None:
            self._held.release(claim)
        else:
            self._held.report([ending])

    def _told(self, claim: Claim, verdict: Verdict) -> None:
        trial = self._asked.get(claim.token)
        if trial is not None:
            trial.interrupt(WHY[verdict])

    def _check_open(self) -> None:
        if os.getpid() != self._pid:
            raise UsageError(f"sweep {self.id} was opened by another process; call besom.open_sweep() in this one")
        if self._closed.is_set():
            raise UsageError(f"sweep {self.id} was closed here; call besom.open_sweep() again")

    def _none_within(self, seconds: float) -> TimeoutError:
        return TimeoutError(f"no trial of sweep {self.id} within {seconds:g} s")


def _say(line: str) -> None:
    log.warning("%s", line)
