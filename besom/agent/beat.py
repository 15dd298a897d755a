"""What runs beside an agent's work: one thread that beats and reaps, one that watches for signals and alarms.

Two, since a beat waits as long as Redis is away, and a signal must not.
"""

from __future__ import annotations

import logging
import math
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from besom.agent.signals import Signals
from besom.broker.ledger import Ledger, Verdict
from besom.errors import BesomError, TrialCancelled, TrialPreempted, TrialStopped
from besom.messages import Claim
from besom.settings import Settings

__all__ = ["WHY", "Beat"]

log = logging.getLogger("besom")

_GOODBYE_SECONDS: Final = 2.0
_OFTEN_SECONDS: Final = 1.0
"""Between two beats while a trial is held that a stopping rule may end."""


WHY: Final[Mapping[Verdict, type[TrialStopped | TrialPreempted | TrialCancelled]]] = {
    "cancel": TrialCancelled,
    "stop": TrialStopped,
    "stale": TrialPreempted,
}
"""What a verdict means for the code of its trial."""


class Beat:
    """A context around an agent's work.

    Args:
        ledger: Where to beat.
        agent: The agent's id.
        sweep: The sweep it serves; '' when it serves those of a project.
        settings: Lengths; the lease itself stands in Redis, written by the controller.
        signals: Told when a signal comes.
        on_verdict: Called with a claim and 'stale', 'cancel' or 'stop', from the beat thread.
        on_signal: Called when a signal came, from the watch thread.
        info: What else the agent says of itself: slots, gpus, project.
    """

    def __init__(
        self,
        ledger: Ledger,
        agent: str,
        sweep: str,
        settings: Settings,
        signals: Signals,
        on_verdict: Callable[[Claim, Verdict], None],
        on_signal: Callable[[], None],
        info: Mapping[str, Any] | None = None,
    ) -> None:
        self._ledger = ledger
        self._agent = agent
        self._signals = signals
        self._on_verdict = on_verdict
        self._on_signal = on_signal
        self._lease = _lease_seconds(ledger, settings)
        self._info: dict[str, Any] = {
            "sweep": sweep, "slots": 1, "host": socket.gethostname(), "pid": os.getpid(), "since": time.time(),
            **(info or {}),
        }  # fmt: skip
        self._claims: dict[str, Claim] = {}
        self._often: set[str] = set()  # tokens of trials that a stopping rule may end
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._changed = threading.Condition()
        self._beat_now = False
        self._alarms: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._wake_at = math.inf
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in (("besom-beat", self._work), ("besom-watch", self._watch))
        ]

    def __enter__(self) -> Beat:
        self._beat()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.soon()
        self._signals.wake()
        for thread in self._threads:
            thread.join(5)
        try:
            self._ledger.connection.script("leave", self._agent, patience=_GOODBYE_SECONDS)
        except BesomError as error:
            log.debug("the agent's beat runs out by itself: %s", error)

    def hold(self, claims: list[Claim], *, often: bool = False) -> None:
        """Keep these leases from now on; `often` when a stopping rule may end them, and they should hear of it soon."""
        with self._lock:
            self._claims.update((claim.token, claim) for claim in claims)
            if often:
                self._often.update(claim.token for claim in claims)
        if often:
            with self._changed:
                self._changed.notify()

    def drop(self, claim: Claim) -> None:
        """This one is over."""
        with self._lock:
            self._claims.pop(claim.token, None)
            self._often.discard(claim.token)

    def soon(self) -> None:
        """Beat at once, so that others see what this agent does now."""
        with self._changed:
            self._beat_now = True
            self._changed.notify()

    def alarm(self, key: Hashable, seconds: float, action: Callable[[], None]) -> None:
        """Call `action`, which must not wait for Redis, in the watch thread after so long; one for each key."""
        at = time.monotonic() + seconds
        with self._lock:
            self._alarms[key] = (at, action)
            is_first = at < self._wake_at
            self._wake_at = min(at, self._wake_at)
        if is_first:
            self._signals.wake()

    def cancel(self, key: Hashable) -> None:
        """Forget an alarm."""
        with self._lock:
            self._alarms.pop(key, None)

    # ---- signals and alarms

    def _watch(self) -> None:
        while not self._done.is_set():
            with self._lock:
                self._wake_at = min((at for at, _ in self._alarms.values()), default=math.inf)
            pause = None if self._wake_at == math.inf else max(0.0, self._wake_at - time.monotonic())
            readable, _, _ = select.select([self._signals.wakeup], [], [], pause)
            try:
                if readable:
                    self._signals.woken()
                    self._on_signal()
                for action in self._due():
                    action()
            except Exception:
                log.exception("watch: going on")

    def _due(self) -> list[Callable[[], None]]:
        now = time.monotonic()
        with self._lock:
            due = [key for key, (at, _) in self._alarms.items() if at <= now]
            return [self._alarms.pop(key)[1] for key in due]

    # ---- beats

    def _work(self) -> None:
        next_beat = next_reap = time.monotonic() + self._lease / 6
        while True:
            with self._changed:
                if not self._beat_now:
                    next_beat = min(next_beat, time.monotonic() + self._pace())
                    self._changed.wait(max(0.0, min(next_beat, next_reap) - time.monotonic()))
                now, at_once = time.monotonic(), self._beat_now
                self._beat_now = False
            if self._done.is_set():
                return
            try:
                if at_once or now >= next_beat:
                    next_beat = now + self._pace()
                    self._beat()
                if now >= next_reap:
                    next_reap = now + self._lease / 6
                    self._ledger.reap()
            except BesomError as error:
                log.debug("beat: %s", error)
            except Exception:
                log.exception("beat: going on")

    def _pace(self) -> float:
        return min(self._lease / 3, _OFTEN_SECONDS) if self._often else self._lease / 3

    def _beat(self) -> None:
        with self._lock:
            claims = list(self._claims.values())
        running = [[claim.sweep, claim.number] for claim in claims[:100]]
        verdicts = self._ledger.beat(self._agent, int(self._lease * 1000), claims, {**self._info, "running": running})
        for claim, verdict in zip(claims, verdicts, strict=True):
            if verdict not in ("ok", "unknown") and claim.token in self._claims:
                self._on_verdict(claim, verdict)


def _lease_seconds(ledger: Ledger, settings: Settings) -> float:
    key = ledger.keys.timing()
    held = ledger.connection.call(lambda: ledger.connection.redis.hget(key, "lease_ms"))
    return int(held) / 1000 if held else settings.lease_seconds
