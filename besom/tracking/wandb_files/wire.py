"""Protocol buffers on the wire, as far as reading a `.wandb` file needs them.

Gives: a message's fields by name, from a table of their numbers. A number that is not in the table is passed over, as
every reader of protocol buffers does, so that newer files can be read.

Source: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["Field", "Malformed", "Schema", "decode", "numbers"]

Kind = Literal["int", "sint", "bool", "double", "text", "bytes", "message"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRE: Final[dict[str, int]] = {
    "int": _VARINT, "sint": _VARINT, "bool": _VARINT, "double": _FIXED64,
    "text": _BYTES, "bytes": _BYTES, "message": _BYTES,
}  # fmt: skip


class Malformed(ValueError):
    """Bytes that are no message."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message.

    Args:
        name: What it is called in the result.
        kind: How its value is written.
        schema: Of the message in it.
        many: Whether it may come several times; its value is a list then.
    """

    name: str
    kind: Kind = "text"
    schema: Schema | None = None
    many: bool = False


Schema = dict[int, Field]
"""A message's fields by number."""


def decode(content: bytes, schema: Schema) -> dict[str, Any]:
    """The message's fields that are there, by name; of one that comes twice and is not `many` the last.

    Raises:
        Malformed: it is cut off, or a field is not of the kind that the table says.
    """
    found: dict[str, Any] = {}
    for number, wire, value in _fields(content):
        field = schema.get(number)
        if field is None:
            continue
        if wire != _WIRE[field.kind]:
            raise Malformed(f"field {number} ({field.name}) is written as type {wire}")
        read = _value(field, value)
        if field.many:
            found.setdefault(field.name, []).append(read)
        else:
            found[field.name] = read
    return found


def numbers(content: bytes) -> set[int]:
    """The numbers of the fields that are there, their values unread.

    Raises:
        Malformed: it is cut off.
    """
    return {number for number, _, _ in _fields(content)}


def _value(field: Field, value: Any) -> Any:
    match field.kind:
        case "int":
            return value - (1 << 64) if value >> 63 else value
        case "sint":
            return (value >> 1) ^ -(value & 1)
        case "bool":
            return bool(value)
        case "double":
            return struct.unpack("<d", value)[0]
        case "text":
            return value.decode("utf-8", "replace")
        case "message":
            return decode(value, field.schema or {})
    return value


def _fields(content: bytes) -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, value): an int for varints, bytes for the rest."""
    at, end = 0, len(content)
    while at < end:
        tag, at = _varint(content, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(content, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            length, at = _varint(content, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise Malformed(f"field {number} is of wire type {wire}, which is not known")
        if at + length > end:
            raise Malformed(f"field {number} is cut off")
        yield number, wire, content[at : at + length]
        at += length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while shift < 70:
        if at >= len(content):
            raise Malformed("a number is cut off")
        byte = content[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise Malformed("a number of more than ten bytes")
