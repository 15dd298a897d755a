"""The journal: the ordered log in Redis of everything that happened and is not yet in the store.

Writers append; one recorder reads. `total` in each entry is the journal's length in bytes up to it, so what is
unread is a difference of two numbers, whatever was trimmed.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from besom.broker.connection import Connection
from besom.messages import Claim, Event, encode

__all__ = ["Appended", "Entry", "Journal"]

KEEP_MS: Final = 60_000
"""The journal is trimmed so far behind the store, for a Redis that loses its tail."""


class Entry(NamedTuple):
    """One entry as read: id, length in bytes of the journal up to it, fields."""

    id: str
    total: int
    fields: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Appended:
    """Redis' answer to a writer."""

    full: bool
    id: str
    recorded: int
    """Highest batch of this writer that is in the store."""
    control: str
    """'', 'cancel', 'stop', 'stale' or 'pause'."""


class Journal:
    """Append, read, settle."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.keys = connection.keys
        self._read: deque[tuple[str, int]] = deque()

    # ---- writers

    def append(
        self, event: Event, *, writer: str = "", claim: Claim | None = None, limit: int = 0, patience: float | None = None
    ) -> Appended:
        """Append one event; with `limit` (bytes) it is refused as full when more than that is unread."""
        fields = encode(event)
        kind = fields.pop("kind")
        fields.pop("v")
        whose: Sequence[Any] = (claim.sweep, claim.number, claim.token) if claim else ("", 0, "")
        flat = [part for pair in fields.items() for part in pair]
        answer = self.connection.script("append", limit, writer, *whose, kind, *flat, patience=patience)
        status, entry, recorded, control = (part.decode() if isinstance(part, bytes) else str(part) for part in answer)
        return Appended(status == "full", entry, int(recorded), control)

    def end(self) -> str:
        """Id of the last entry, '0-0' when there is none."""
        last = self.connection.call(lambda: self.connection.redis.xrevrange(self.keys.journal(), count=1))
        return last[0][0].decode() if last else "0-0"

    def recorded_id(self) -> str:
        """Id up to which the store has everything."""
        key = self.keys.journal_state()
        held = self.connection.call(lambda: self.connection.redis.hget(key, "last_id"))
        return held.decode() if held else "0-0"

    def unread_bytes(self) -> int:
        """How much the store has not seen."""
        key = self.keys.journal_state()
        total, read = self.connection.call(lambda: self.connection.redis.hmget(key, ["total", "read"]))
        return int(total or 0) - int(read or 0)

    # ---- the recorder

    def identity(self) -> str:
        """The journal's id, made with the stream; another one means that Redis lost what it held."""
        key = self.keys.journal_state()
        client = self.connection.redis
        self.connection.call(lambda: client.hsetnx(key, "id", secrets.token_hex(8)))
        return str(self.connection.call(lambda: client.hget(key, "id")).decode())

    def read(self, after: str, *, count: int = 1000, block_ms: int | None = None) -> list[Entry]:
        """Up to `count` entries after an id, oldest first; waits up to `block_ms` for the first."""
        client = self.connection.redis
        answer = self.connection.call(
            lambda: client.xread({self.keys.journal(): after}, count=count, block=block_ms)
        )
        streams = list(answer.values()) if isinstance(answer, Mapping) else [entries for _, entries in answer or []]
        entries = [entry for stream in streams for entry in _flat(stream)]
        return [Entry(entry.decode(), int(fields.get(b"total", b"0")), fields) for entry, fields in entries]

    def settle(
        self, epoch: int, last: Entry, recorded: Mapping[str, int], closed: Iterable[str] = (), keep_ms: int = KEEP_MS
    ) -> None:
        """Say that the store has everything up to `last`, and trim what is older by `keep_ms`."""
        self._read.append((last.id, last.total))
        horizon = _milliseconds(last.id) - keep_ms
        trim = ""
        while self._read and _milliseconds(self._read[0][0]) < horizon:
            trim = self._read.popleft()[0]
        flat = [part for pair in recorded.items() for part in pair]
        self.connection.script("settle", epoch, last.id, last.total, trim, len(recorded), *flat, *closed)


def _flat(stream: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    # RESP3 wraps a stream's entries in one more list.
    return stream[0] if stream and stream[0] and isinstance(stream[0][0], list | tuple) else stream


def _milliseconds(entry: str) -> int:
    return int(entry.split("-")[0])
