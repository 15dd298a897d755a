"""What one writer logged within a fraction of a second, in columns."""

from __future__ import annotations

from typing import Any

import msgpack
from pydantic import Field, ValidationError

from besom.messages.events import Event
from besom.messages.message import Message, unpack, unreadable

__all__ = ["SYSTEM", "Batch", "BatchBody"]

SYSTEM = "_system/"
"""Names in a run's history that begin so are the machine's; their steps are seconds since the epoch."""


class Batch(Event):
    """What one writer logged within a fraction of a second."""

    kind = "batch"
    run: str
    attempt: int
    writer: str
    seq: int
    body: bytes

    def columns(self) -> BatchBody:
        """The decoded body.

        Raises:
            Unreadable: the bytes are no such body.
        """
        try:
            return BatchBody.model_validate(unpack(self.body))
        except ValidationError as error:
            raise unreadable(self.kind, error) from None


class BatchBody(Message):
    """A batch's content, columnar.

    `history` maps a key to (kind, steps, values): steps are little-endian int64 bytes; values are float64 bytes for
    kind "d", int64 bytes for kind "q", a list of plain values for kind "j".
    """

    history: dict[str, tuple[str, bytes, Any]] = Field(default_factory=dict)
    summary: dict[str, Any] = Field(default_factory=dict)
    """Values set explicitly after the last log of their key in this batch."""
    config: dict[str, Any] = Field(default_factory=dict)
    console: list[tuple[str, float, str]] = Field(default_factory=list)
    """(stream, seconds since the epoch, line) as captured."""

    def pack(self) -> bytes:
        """msgpack bytes, empty parts left out."""
        parts = {name: value for name in type(self).model_fields if (value := getattr(self, name))}
        return bytes(msgpack.packb(parts))
