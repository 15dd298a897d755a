"""The beat thread: keeps an agent and its trials alive, and brings back what is wanted of them."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from besom.agent.signals import Signals
from besom.broker.ledger import Ledger, Verdict
from besom.errors import BesomError
from besom.messages import Claim
from besom.settings import Settings

__all__ = ["Beat"]

log = logging.getLogger("besom")


class Beat:
    """A context around an agent's work.

    Args:
        ledger: Where to beat.
        agent: The agent's id.
        sweep: The sweep it serves.
        settings: Lengths; the lease itself stands in Redis, written by the controller.
        signals: Told when a signal comes.
        on_verdict: Called with a claim and anything but 'ok', from the beat thread.
        on_signal: Called when a signal came, from the beat thread.
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
    ) -> None:
        self._ledger = ledger
        self._agent = agent
        self._signals = signals
        self._on_verdict = on_verdict
        self._on_signal = on_signal
        self._lease = _lease_seconds(ledger, settings)
        self._info: dict[str, Any] = {
            "sweep": sweep, "slots": 1, "host": socket.gethostname(), "pid": os.getpid(), "since": time.time(),
        }  # fmt: skip
        self._claims: dict[str, Claim] = {}
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, name="besom-beat", daemon=True)

    def __enter__(self) -> Beat:
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._signals.wake()
        self._thread.join(10)
        try:
            self._ledger.leave(self._agent)
        except BesomError as error:
            log.debug("the agent's beat runs out by itself: %s", error)

    def hold(self, claims: list[Claim]) -> None:
        """Keep these leases from now on."""
        with self._lock:
            self._claims.update((claim.token, claim) for claim in claims)

    def drop(self, claim: Claim) -> None:
        """This one is over."""
        with self._lock:
            self._claims.pop(claim.token, None)

    def _work(self) -> None:
        next_beat = next_reap = time.monotonic() + self._lease / 6
        while not self._done.is_set():
            pause = max(0.0, min(next_beat, next_reap) - time.monotonic())
            readable, _, _ = select.select([self._signals.wakeup], [], [], pause)
            if readable:
                self._signals.woken()
                self._on_signal()
            now = time.monotonic()
            try:
                if now >= next_beat:
                    next_beat = now + self._lease / 3
                    self._beat()
                if now >= next_reap:
                    next_reap = now + self._lease / 6
                    self._ledger.reap()
            except BesomError as error:
                log.debug("beat: %s", error)
            except Exception:
                log.exception("beat: going on")

    def _beat(self) -> None:
        with self._lock:
            claims = list(self._claims.values())
        verdicts = self._ledger.beat(self._agent, int(self._lease * 1000), claims, self._info)
        for claim, verdict in zip(claims, verdicts, strict=True):
            if verdict != "ok" and claim.token in self._claims:
                self._on_verdict(claim, verdict)


def _lease_seconds(ledger: Ledger, settings: Settings) -> float:
    key = ledger.keys.timing()
    held = ledger.connection.call(lambda: ledger.connection.redis.hget(key, "lease_ms"))
    return int(held) / 1000 if held else settings.lease_seconds
