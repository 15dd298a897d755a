"""What all messages have in common: frozen, validated, versioned.

A reader takes its own version and the one before; any other is refused with both named.
"""

from __future__ import annotations

import json
from typing import Any

import msgpack
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from besom.errors import BesomError

__all__ = ["VERSION", "FromJson", "Message", "Unreadable", "foreign", "is_known", "unpack", "unreadable"]

VERSION = 1
"""Written into every message."""


class Unreadable(BesomError):
    """A message in Redis that this version cannot read."""


class Message(BaseModel):
    """Base of all messages; an unknown key is a fault of the writer and refused."""

    # Built at first use: an agent needs few of them, and starts sooner.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def _from_json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str | bytes) else value
    except RecursionError:
        raise ValueError("JSON nested too deep") from None


FromJson = BeforeValidator(_from_json)
"""A field that is JSON text on the wire."""


def is_known(version: int) -> bool:
    """Whether messages of this version can be read here."""
    return version >= 1 and version in (VERSION, VERSION - 1)


def foreign(version: object) -> str:
    """What is said of a message of another version."""
    return f"a message of version {version}, this besom reads version {VERSION}; upgrade the older side"


def unreadable(kind: str, error: ValidationError) -> Unreadable:
    """The error for a message of this kind that does not fit."""
    problem = error.errors()[0]
    return Unreadable(f"{kind}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}")


def unpack(body: bytes) -> dict[str, Any]:
    """The map in a body.

    Raises:
        Unreadable: the bytes are no msgpack map.
    """
    try:
        content = msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException) as error:
        raise Unreadable(f"a body that is not msgpack: {error}") from None
    if not isinstance(content, dict):
        raise Unreadable(f"a body that is no map but {type(content).__name__}")
    return content
