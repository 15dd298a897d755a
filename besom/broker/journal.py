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
from besom.messages import Batch, Claim, Event, encode

__all__ = ["Appended", "Entry", "Journal", "entry_order"]

KEEP_MS: Final = 60_000
"""The journal is trimmed so far behind the store, for a Redis that loses its tail; sooner above KEEP_BYTES."""
KEEP_BYTES: Final = 64_000_000


class Entry(NamedTuple):
    """One entry as read: id, length in bytes of the journal up to it, fields."""

    id: str
    total: int
    fields: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Appended:
    """Redis' answer to a writer."""

    status: str
    """'ok', 'full', or 'gap': an earlier batch is missing, send from the first one kept."""
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

    def append(self, event: Event, *, patience: float | None = None) -> str:
        """Append one event that is never refused; its journal id."""
        kind, flat = _flattened(event)
        answer = self.connection.script("append", 0, "", "", 0, 1, "", 0, "", kind, *flat, patience=patience)
        return str(answer[1].decode())

    def append_batch(
        self, batch: Batch, *, first: bool, limit: int, claim: Claim | None = None, patience: float = 0.0
    ) -> Appended:
        """Append a writer's batch, in order and once.

        Args:
            batch: Numbered from 1 by its writer.
            first: The writer keeps no earlier batch, so there can be no gap before this one.
            limit: Bytes unread above which the journal answers `full`.
            claim: The trial it belongs to; the answer then tells what is wanted of it.
            patience: Seconds to wait through an outage.
        """
        kind, flat = _flattened(batch)
        whose: Sequence[Any] = (claim.sweep, claim.number, claim.token) if claim else ("", 0, "")
        answer = self.connection.script(
            "append", limit, batch.run, batch.writer, batch.seq, int(first), *whose, kind, *flat, patience=patience
        )
        status, entry, recorded, control = (part.decode() for part in answer)
        return Appended(status, entry, int(recorded), control)

    def wanted(self, claim: Claim, run: str, writer: str) -> tuple[str, int]:
        """`control` and `recorded` as the answer to a batch would have them, without a batch.

        Raises:
            Unreachable: Redis is away; nobody waits for it.
        """
        whose = (claim.sweep, claim.number, claim.token, run, writer)
        control, recorded = self.connection.script("wanted", *whose, patience=0.0)
        return control.decode(), int(recorded)

    def end(self) -> str:
        """Id of the last entry, '0-0' when there is none."""
        last = self.connection.call(lambda: self.connection.redis.xrevrange(self.keys.journal(), count=1))
        return last[0][0].decode() if last else "0-0"

    def holds(self, entry: str) -> bool:
        """Whether this entry is there. What the recorder read last always is: only what is before it is trimmed."""
        return bool(self.connection.call(lambda: self.connection.redis.xrange(self.keys.journal(), entry, entry)))

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
            lambda: client.xread({self.keys.journal(): after}, count=count, block=block_ms or None)
        )
        streams = list(answer.values()) if isinstance(answer, Mapping) else [entries for _, entries in answer or []]
        entries = [entry for stream in streams for entry in _flat(stream)]
        return [Entry(entry.decode(), int(fields.get(b"total", b"0")), fields) for entry, fields in entries]

    def settle(
        self,
        epoch: int,
        last: Entry | None,
        recorded: Mapping[tuple[str, str], int],
        closed: Iterable[str] = (),
        keep_ms: int = KEEP_MS,
    ) -> None:
        """Say that the store has everything up to `last`, and trim what is older by `keep_ms`.

        Args:
            epoch: The controller's.
            last: The newest entry committed, None when there was none since the last call.
            recorded: (run, writer) to its highest batch in the store, where that changed.
            closed: Runs that are over; their writers are gone.
            keep_ms: How far behind to trim.
        """
        if last is not None:
            self._read.append((last.id, last.total))
        if not self._read:
            return
        newest, total = self._read[-1]
        horizon = _milliseconds(newest) - keep_ms
        trim = ""
        while len(self._read) > 1 and (
            _milliseconds(self._read[0][0]) < horizon or total - self._read[0][1] > KEEP_BYTES
        ):
            trim = self._read.popleft()[0]
        flat = [part for (run, writer), seq in recorded.items() for part in (run, writer, seq)]
        self.connection.script("settle", epoch, newest, total, trim, len(recorded), *flat, *closed)


def _flattened(event: Event) -> tuple[str, list[Any]]:
    fields = encode(event)
    kind = fields.pop("kind")
    fields.pop("v")
    return kind, [part for pair in fields.items() for part in pair]


def _flat(stream: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    # RESP3 wraps a stream's entries in one more list.
    entries: list[tuple[bytes, dict[bytes, bytes]]] = stream
    return stream[0] if stream and stream[0] and isinstance(stream[0][0], list | tuple) else entries


def entry_order(entry: str) -> tuple[int, int]:
    """What journal ids sort by."""
    milliseconds, _, count = entry.partition("-")
    return int(milliseconds), int(count or 0)


def _milliseconds(entry: str) -> int:
    return entry_order(entry)[0]
