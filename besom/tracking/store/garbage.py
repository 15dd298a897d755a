"""Sweeps out what nothing refers to any more: blobs of removed runs and artifacts.

Any 64 hex digits in what a run logged, in an artifact or a saved file count as a reference; too many of them only keep
a blob too long. A blob is spared while it is younger than the grace: its event may still be under way.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgpack
from sqlalchemy import Connection, select

from besom.errors import UsageError
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.place import Keeping, is_name
from besom.tracking.store import schema
from besom.tracking.store.points import packed_objects
from besom.tracking.store.store import Store
from besom.tracking.swept import Swept

__all__ = ["has_batches", "references", "sweep_blobs"]

_SHA256: Final = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_CONTAINER: Final = ".json"
"""Files that may name others: tables with media in their cells, boxes, manifests of artifacts."""


def sweep_blobs(store: Store, place: Keeping, before: float, *, dry_run: bool, patience: float = 0.0) -> Swept:
    """Delete the blobs that the store does not refer to and that are older than `before`, seconds since the epoch.

    Args:
        store: What refers to blobs.
        place: Where they are.
        before: What is younger is spared.
        dry_run: Only count.
        patience: Seconds to wait for a controller, just started, to say that the place is its store's.

    Raises:
        UsageError: other stores refer to blobs of this place too, or none has said that it does.
        Unreachable: a table or a manifest cannot be read, so that nobody knows what it refers to.
    """
    users, deadline = place.claimed_by(), time.monotonic() + patience
    while not users and time.monotonic() < deadline:
        time.sleep(0.05)
        users = place.claimed_by()
    if users != {store.id}:
        raise UsageError(
            f"blobs at {place.shown} are used by {_named(users, store.id)}; to be swept a place must belong to one "
            "store: give each controller a BESOM_BLOBS of its own"
        )
    old = [(name, size) for name, size, written in place.names() if written < before]
    with store.read() as conn:  # after the list: what is new by now is not on it
        wanted = references(conn, Blobs(place))
    gone = [(name, size) for name, size in old if name not in wanted]
    if not dry_run:
        gone = [(name, size) for name, size in gone if place.delete(name, before)]
    return Swept(len(gone), sum(size for _, size in gone))


def references(conn: Connection, blobs: Blobs) -> set[str]:
    """Names of all blobs that the store refers to, those named in tables and manifests included."""
    found: set[str] = set()
    containers: set[str] = set(conn.scalars(select(schema.artifacts.c.digest)))
    for content, decoded in _told(conn):
        names = _names_in(content)
        if names - found:
            containers.update(_containers_in(decoded()))
        found |= names
    left = {name for name in containers if is_name(name)}
    while left:
        name = left.pop()
        found.add(name)
        if name in blobs:
            content = blobs.read(name)
            inner = set(_containers_in(_json(content)))
            left |= inner - found
            found |= _names_in(content)
    return found


def has_batches(store: Store, run: str, writers: Mapping[str, int]) -> bool:
    """Whether the store has so many batches of each of the run's writers."""
    table = schema.writers.c
    with store.read() as conn:
        rows = conn.execute(select(table.id, table.seq).where(table.run == run))
        held = {row.id: row.seq for row in rows}
    return all(held.get(writer, 0) >= count for writer, count in writers.items())


def _told(conn: Connection) -> Iterator[tuple[bytes, Any]]:
    """Everything in the store that may name blobs: its bytes, and what decodes them."""
    for column in (
        schema.last.c["value"], schema.runs.c.config, schema.runs.c.metadata, schema.artifacts.c.metadata,
        schema.files.c.sha256,
    ):  # fmt: skip
        for text in conn.execution_options(yield_per=1000).scalars(select(column)):
            yield text.encode(), lambda text=text: _json(text)
    for table in (schema.tail, schema.chunks):
        query = select(table.c.kind, table.c["values"]).where(table.c.kind.in_(("j", "J")))
        for kind, values in conn.execution_options(yield_per=100).execute(query):
            content = packed_objects(kind, values)
            yield content, lambda content=content: msgpack.unpackb(content, strict_map_key=False)


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None  # a bare sha256, or a file that is called .json and is none


def _names_in(content: bytes) -> set[str]:
    return {name.decode() for name in _SHA256.findall(content)}


def _containers_in(told: Any) -> Iterator[str]:
    """The sha256 of each file in this JSON that may name others."""
    if isinstance(told, dict):
        if is_name(told.get("sha256")) and str(told.get("path", "")).endswith(_CONTAINER):
            yield told["sha256"]
        for name, inner in told.items():
            if isinstance(inner, dict) and is_name(inner.get("sha256")) and str(name).endswith(_CONTAINER):
                yield inner["sha256"]  # a manifest's entry: its path is its key
            yield from _containers_in(inner)
    elif isinstance(told, list):
        for inner in told:
            yield from _containers_in(inner)


def _named(users: set[str], own: str) -> str:
    others = sorted(users - {own})
    return f"the stores {', '.join(others)} too" if others else "no store as far as is known"
