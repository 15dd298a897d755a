"""Where an agent's turns come from: the queue of one sweep; and what is said when nobody plans any."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, Protocol

from redis.exceptions import RedisError

from besom.broker.connection import BLOCK_SECONDS, Connection
from besom.broker.lead import read_leader
from besom.broker.ledger import Ledger
from besom.broker.turns import Turn, TurnWorker
from besom.messages import SweepSpec

__all__ = [
    "NO_CONTROLLER_SECONDS",
    "UNKNOWN_SECONDS",
    "OneSweep",
    "Patient",
    "Source",
    "is_planned",
    "no_controller",
]

NO_CONTROLLER_SECONDS: Final = 15.0
"""How long an agent waits before it says that nobody plans trials."""

UNKNOWN_SECONDS: Final = 10.0
"""How long a sweep may be unknown to Redis, which may have lost it, before it is taken for removed."""

_OVER: Final = ("stopping", "finished", "cancelled")
_SHORT_SECONDS: Final = 1.0
"""How long to wait before the sweep's state is asked for, when the last reply did not tell it."""


class Source(Protocol):
    """Gives turns."""

    def next_turn(self, seconds: float) -> Turn | None:
        """Wait up to so long for a turn; None when there was none, also when Redis was away meanwhile."""

    def noted(self, sweep: str, state: str) -> None:
        """A reply told a sweep's state; '' when it did not."""

    def over(self) -> bool:
        """Whether there will be no more turns."""

    def spec_of(self, sweep: str) -> SweepSpec:
        """A sweep that a turn was for."""

    def close(self) -> None:
        """Give the connection back; ends a wait in another thread."""


class OneSweep:
    """Turns of one sweep, until it is over.

    The state comes with the replies to claims and reports; it is asked for only when these did not tell it and no turn
    came.
    """

    def __init__(self, connection: Connection, spec: SweepSpec) -> None:
        self.spec = spec
        self._connection = connection
        self._ledger = Ledger(connection)
        self._worker = TurnWorker(connection, spec.id)
        self._state = ""
        self._is_fresh = False
        self._unknown_since = math.inf

    def next_turn(self, seconds: float = BLOCK_SECONDS) -> Turn | None:
        """Wait up to `seconds` for a turn."""
        try:
            turn = self._worker.take(seconds if self._is_fresh else min(_SHORT_SECONDS, seconds))
        except (RedisError, OSError):
            self._connection.call(self._connection.redis.ping)  # waits until it answers
            return None
        if turn is None or turn.trials == 0:  # an empty turn says: look at the state
            self._ask()
        return turn

    def noted(self, sweep: str, state: str) -> None:
        """A reply told the state, or did not."""
        self._state, self._is_fresh = state or self._state, state not in ("", "unknown")
        if self._state == "unknown":
            self._unknown_since = min(self._unknown_since, time.monotonic())
        else:
            self._unknown_since = math.inf

    def over(self) -> bool:
        """Whether the sweep takes no more trials; asked first when the agent has made itself known."""
        if not self._state:
            self._ask()
        return self._state in _OVER or time.monotonic() - self._unknown_since > UNKNOWN_SECONDS

    def spec_of(self, sweep: str) -> SweepSpec:
        """The sweep."""
        return self.spec

    def close(self) -> None:
        """Give the private connection back."""
        self._worker.close()

    def _ask(self) -> None:
        self.noted(self.spec.id, self._ledger.state(self.spec.id) or "unknown")


class Patient:
    """A source that says once, after a while without turns, that no controller is there."""

    def __init__(self, source: Source, connection: Connection, say: Callable[[str], None]) -> None:
        self._source = source
        self._connection = connection
        self._say = say
        self._waits_since = time.monotonic()
        self._said = False
        self.noted = source.noted
        self.over = source.over
        self.spec_of = source.spec_of
        self.close = source.close

    def next_turn(self, seconds: float) -> Turn | None:
        """As the source's."""
        turn = self._source.next_turn(seconds)
        if turn is not None:
            self._waits_since = time.monotonic()
        elif not self._said and time.monotonic() - self._waits_since > NO_CONTROLLER_SECONDS:
            self._said = not is_planned(self._connection)
            if self._said:
                self._say(no_controller(self._connection))
        return turn


def is_planned(connection: Connection) -> bool:
    """Whether a controller is alive."""
    return read_leader(connection).alive


def no_controller(connection: Connection) -> str:
    """What to say when there is none."""
    return f"no controller at {connection.shown}; start one with: besom controller"
