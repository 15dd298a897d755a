"""An entry of the journal: the flat fields of an event, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError

from besom.messages.batch import Batch
from besom.messages.events import EVENTS, Event, TrialClaimed, TrialEnded
from besom.messages.message import VERSION, Unreadable, foreign, is_known, unreadable

__all__ = ["encode", "read_events"]

_KINDS: dict[str, type[Event]] = {Batch.kind: Batch, **{event.kind: event for event in EVENTS}}
_ENVELOPE = frozenset({b"kind", b"v", b"total"})


def encode(event: Event) -> dict[str, Any]:
    """The flat fields that an event has in the journal."""
    fields: dict[str, Any] = {"kind": event.kind, "v": VERSION}
    for name in event.model_fields_set:
        value = getattr(event, name)
        if isinstance(value, BaseModel):
            value = value.model_dump_json()
        elif isinstance(value, dict | tuple):
            value = json.dumps(value)
        fields[name] = value
    return fields


def read_events(fields: dict[bytes, bytes]) -> list[Event]:
    """The events in a journal entry: one, or one for each trial that was claimed or ended in the same call.

    Raises:
        Unreadable: unknown kind, foreign version, or a field that does not fit.
    """
    text = fields.get(b"v", b"0").decode("ascii", "replace")
    version = int(text) if text.isdigit() and len(text) < 10 else text
    if not isinstance(version, int) or not is_known(version):
        raise Unreadable(foreign(version))
    kind = fields.get(b"kind", b"").decode("utf-8", "replace")
    values: dict[str, Any] = {
        name.decode("utf-8", "replace"): value if name == b"body" else value.decode("utf-8", "replace")
        for name, value in fields.items()
        if name not in _ENVELOPE
    }
    try:
        if kind in _SEVERAL:
            return _SEVERAL[kind](values)
        if kind not in _KINDS:
            raise Unreadable(f"unknown kind of message {kind!r}")
        return [_KINDS[kind].model_validate(values)]
    except ValidationError as error:
        raise unreadable(kind, error) from None
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{kind}: {type(error).__name__}: {error}") from None


def _claims(values: dict[str, Any]) -> list[Event]:
    shared = {name: values[name] for name in ("sweep", "agent")} | {"at_ms": values.get("at_ms", 0)}
    return [
        TrialClaimed.model_validate({**shared, "number": number, "attempt": attempt, "token": token, "params": params})
        for number, attempt, token, params in json.loads(values["items"])
    ]


def _ends(values: dict[str, Any]) -> list[Event]:
    at = values.get("at_ms", 0)
    return [
        TrialEnded.model_validate(
            {"at_ms": at, "sweep": sweep, "number": number, "attempt": attempt, "token": token, "state": state, **more}
        )
        for sweep, number, attempt, token, state, more in json.loads(values["items"])
    ]


_SEVERAL: dict[str, Callable[[dict[str, Any]], list[Event]]] = {"claims": _claims, "ends": _ends}
"""Entries that tell of several trials (`lua/common.lua`)."""
