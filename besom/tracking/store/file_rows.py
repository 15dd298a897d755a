"""The files of a run in the store: what it saved by path, and the media it logged."""

from __future__ import annotations

from collections.abc import Iterator

import msgpack
from sqlalchemy import Connection, select

from besom.tracking.media.media import files_in
from besom.tracking.store.points import packed_objects
from besom.tracking.store.rows import Row
from besom.tracking.store.schema import chunks, files, series, tail

__all__ = ["files_of"]


def files_of(conn: Connection, run: str) -> list[Row]:
    """name, sha256, size in bytes and updated (seconds since the epoch; None for media) of each, by name."""
    found: dict[str, Row] = {}
    for path, sha256, size in _media(conn, run):
        found[path] = {"name": path, "sha256": sha256, "size": size, "updated": None}
    columns = (files.c.name, files.c.sha256, files.c.size, files.c.updated)
    for row in conn.execute(select(*columns).where(files.c.run == run)).mappings():
        found[row["name"]] = dict(row)
    return [found[name] for name in sorted(found)]


def _media(conn: Connection, run: str) -> Iterator[tuple[str, str, int]]:
    for table in (chunks, tail):
        query = select(table.c.kind, table.c["values"]).join(series, series.c.id == table.c.series)
        query = query.where(series.c.run == run, table.c.kind.in_(("j", "J"))).order_by(
            table.c.series, table.c.position
        )
        for kind, values in conn.execute(query):
            yield from files_in(msgpack.unpackb(packed_objects(kind, values), strict_map_key=False))
