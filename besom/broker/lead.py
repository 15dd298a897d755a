"""The controller's lease: one works for a namespace, others stand by.

The epoch grows with each change of hands; every script and transaction of a controller checks it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from besom.broker.connection import Connection, to_json
from besom.errors import Unreachable

__all__ = ["Lead", "Leader", "http_address", "read_leader"]


@dataclass(frozen=True, slots=True)
class Leader:
    """Who holds the lease."""

    epoch: int
    alive: bool
    info: Mapping[str, Any]


class Lead:
    """One process' claim to be the controller."""

    def __init__(self, connection: Connection, seconds: float, info: Mapping[str, Any]) -> None:
        self._connection = connection
        self._milliseconds = int(seconds * 1000)
        self._info = to_json(dict(info))
        self._holder = secrets.token_hex(8)
        self._renewal = 0
        self.epoch = 0
        self.forgotten = False
        """Redis has lost its tail while this one held the lease; whoever has looked after that sets it back."""

    def hold(self, known: int = 0) -> bool:
        """Take or renew the lease; False while another holds it.

        The epoch is never below `known`, the store's. It grows as well when Redis has forgotten a renewal: then it
        lost its tail.
        """
        epoch, *_, renewal, forgot = self._connection.script(
            "lead", self._holder, self._milliseconds, self._info, "hold", known, self._renewal
        )
        self.epoch = int(epoch)
        self._renewal = int(renewal) or self._renewal
        self.forgotten |= forgot == b"1"
        return self.epoch > 0

    def leave(self) -> None:
        """Give the lease up, so that a stand-by need not wait for its end."""
        self._connection.script("lead", self._holder, 0, "", "leave", 0, 0, patience=2)
        self.epoch = 0


def read_leader(connection: Connection, *, patience: float | None = None) -> Leader:
    """The controller of this namespace, alive or not; `patience` seconds through an outage, if not the connection's."""
    client = connection.redis

    def read() -> Leader:
        epoch, until, info = client.hmget(connection.keys.controller(), ["epoch", "until", "info"])
        seconds, micro = client.time()
        alive = int(until or 0) > seconds * 1000 + micro // 1000
        return Leader(int(epoch or 0), alive, json.loads(info or "{}"))

    return connection.call(read, patience=patience)


def http_address(connection: Connection | None) -> str:
    """Of the controller's HTTP read API; '' when there is none, or nobody to ask."""
    try:
        return str(read_leader(connection, patience=0.0).info.get("http") or "") if connection is not None else ""
    except Unreachable:
        return ""
