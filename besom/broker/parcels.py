"""Blobs through Redis, in pieces: for machines that reach nothing else of the controller's.

A sender posts pieces in order; the controller takes them and answers by the parcel's id. A few megabytes are under way
at most, whoever sends; `total` in each piece is the length of all that was ever sent, so what is under way is a
difference of two numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from besom.broker.connection import Connection

__all__ = ["ASK", "IN_FLIGHT_BYTES", "PIECE_BYTES", "Parcels", "Piece", "Posted"]

PIECE_BYTES: Final = 48_000
IN_FLIGHT_BYTES: Final = 8_000_000
ASK: Final = -1
"""The place of a piece that asks whether a blob is there."""
_ANSWER_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Posted:
    """Redis' answer to a sender."""

    taken: bool
    """False: too much is under way, try again."""
    said: str
    """What the controller said of the parcel: '' so far, 'here BYTES', 'gone', 'again' or 'no REASON'."""
    epoch: int
    """The controller's."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece as the controller takes it."""

    id: str
    parcel: str
    total: int
    name: str
    size: int
    place: int
    """How many bytes of the blob come before; `ASK` for a question."""
    data: bytes


class Parcels:
    """Post, look, take, answer."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def post(self, parcel: str, name: str, size: int, place: int, data: bytes, *, patience: float) -> Posted:
        """Send a piece; one that comes twice is told from the first by its place."""
        fields = ["name", name, "size", size, "place", place, "data", data]
        return _posted(self.connection.script("post", parcel, IN_FLIGHT_BYTES, *fields, patience=patience))

    def look(self, parcel: str, *, patience: float) -> Posted:
        """What the controller has said so far."""
        return _posted(self.connection.script("post", parcel, 0, "", patience=patience))

    def take(self, *, count: int = 50, block_ms: int | None = None) -> list[Piece]:
        """The oldest pieces; waits up to `block_ms` for the first. What `unload` has not named comes again."""
        client, key = self.connection.redis, self.connection.keys.parcels()
        answer = self.connection.call(lambda: client.xread({key: "0-0"}, count=count, block=block_ms or None))
        streams = list(answer.values()) if isinstance(answer, Mapping) else [entries for _, entries in answer or []]
        return [_piece(entry, fields) for stream in streams for entry, fields in _flat(stream)]

    def unload(self, epoch: int, last: Piece | None, answers: Mapping[str, str]) -> None:
        """Let go of the pieces up to `last`, and answer senders.

        Raises:
            Fenced: another controller has taken over.
        """
        flat = [part for pair in answers.items() for part in pair]
        read = (last.id, last.total) if last is not None else ("", 0)
        self.connection.script("unload", epoch, *read, _ANSWER_SECONDS, *flat)


def _posted(answer: Any) -> Posted:
    status, said, epoch = (part.decode() for part in answer)
    return Posted(status == "ok", said, int(epoch))


def _piece(entry: bytes, fields: Mapping[bytes, bytes]) -> Piece:
    held = {name.decode(): value for name, value in fields.items()}
    return Piece(
        id=entry.decode(), parcel=held["parcel"].decode(), total=int(held["total"]), name=held["name"].decode(),
        size=int(held["size"]), place=int(held["place"]), data=held["data"],
    )  # fmt: skip


def _flat(stream: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    # RESP3 wraps a stream's entries in one more list.
    entries: list[tuple[bytes, dict[bytes, bytes]]] = stream
    return stream[0] if stream and stream[0] and isinstance(stream[0][0], list | tuple) else entries
