"""Artifacts in the store: which version a content is, which version a name means.

Reads and writes: `artifacts` and `artifact_aliases`.  Knows nothing of files.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, delete, func, select

from besom.messages import ArtifactLogged
from besom.tracking.store.rows import Row, pieces_of, save
from besom.tracking.store.schema import artifact_aliases as aliases
from besom.tracking.store.schema import artifacts

__all__ = ["find", "logged_by", "record_artifact", "remove_versions", "versions"]

_VERSION: Final = re.compile(r"v(\d{1,9})")
_KEY: Final = ("entity", "project", "name")
_REMOVED: Final = "/removed"
"""No alias that a user can write: the highest version that was removed, whose number is not given again."""


def record_artifact(conn: Connection, event: ArtifactLogged, entry: str, at: float) -> int:
    """Record a version, or find the one that has this content, and point its aliases to it; the version's number.

    An event that comes again finds its version, and moves no alias that a later event has set.
    """
    where = {"entity": event.entity, "project": event.project, "name": event.name}
    same = [getattr(artifacts.c, name) == value for name, value in where.items()]
    version = conn.scalar(select(artifacts.c.version).where(*same, artifacts.c.digest == event.digest))
    if version is None:
        newest = conn.scalar(select(func.max(artifacts.c.version)).where(*same))
        removed = conn.scalar(select(aliases.c.version).where(*_of(where), aliases.c.alias == _REMOVED))
        version = max(-1 if newest is None else newest, -1 if removed is None else removed) + 1
        told = {"type": event.type, "description": event.description.replace("\0", ""), "digest": event.digest}
        counted = {"size": event.size, "files": event.files, "run": event.run, "created": at}
        row = {**where, "version": version, "metadata": json.dumps(event.metadata), **told, **counted}
        save(conn, artifacts, [row])
    names = {"latest", *event.aliases}
    held = {row[0]: row[1] for row in conn.execute(select(aliases.c.alias, aliases.c.entry).where(*_of(where)))}
    newer = [alias for alias in sorted(names) if alias not in held or _order(held[alias]) <= _order(entry)]
    save(conn, aliases, [{**where, "alias": alias, "version": version, "entry": entry} for alias in newer])
    return int(version)


def find(
    conn: Connection,
    name: str,
    alias: str = "latest",
    project: str | None = None,
    entity: str | None = None,
    digest: str | None = None,
) -> Row | None:
    """One version, `metadata` decoded and with its `aliases`; the newest where project or entity are not said.

    Args:
        conn: A transaction of the store.
        name: Without version.
        alias: "v3", "latest" or another name of a version.
        project: Only there.
        entity: Only there.
        digest: The version with this content, whatever `alias` says.
    """
    of_it = [artifacts.c.name == name]
    of_it += [artifacts.c.project == project] if project else []
    of_it += [artifacts.c.entity == entity] if entity else []
    if digest is not None:
        of_it.append(artifacts.c.digest == digest)
    elif number := _VERSION.fullmatch(alias):
        of_it.append(artifacts.c.version == int(number[1]))
    else:
        named = [getattr(aliases.c, part) == getattr(artifacts.c, part) for part in (*_KEY, "version")]
        of_it.append(select(aliases.c.alias).where(*named, aliases.c.alias == alias).exists())
    row = conn.execute(select(artifacts).where(*of_it).order_by(artifacts.c.created.desc())).mappings().first()
    return None if row is None else _told(conn, dict(row))


def versions(conn: Connection, name: str, project: str | None = None, entity: str | None = None) -> list[Row]:
    """All versions, newest first."""
    query = select(artifacts).where(artifacts.c.name == name).order_by(artifacts.c.version.desc())
    query = query.where(artifacts.c.project == project) if project else query
    query = query.where(artifacts.c.entity == entity) if entity else query
    return [_told(conn, dict(row)) for row in conn.execute(query).mappings().all()]


def logged_by(conn: Connection, run: str) -> list[Row]:
    """The versions that this run was the first to log, oldest first."""
    query = select(artifacts).where(artifacts.c.run == run).order_by(artifacts.c.created, artifacts.c.name)
    return [_told(conn, dict(row)) for row in conn.execute(query).mappings().all()]


def remove_versions(conn: Connection, runs: Collection[str]) -> None:
    """Delete the versions that these runs were the first to log; "latest" then is the newest that is left."""
    names = select(*(artifacts.c[part] for part in _KEY), artifacts.c.version).where(artifacts.c.run.in_(runs))
    gone: dict[tuple[Any, ...], set[int]] = defaultdict(set)
    for *key, version in conn.execute(names):
        gone[tuple(key)].add(version)
    for name, numbers in gone.items():
        _remove_versions(conn, dict(zip(_KEY, name, strict=True)), numbers)


def _remove_versions(conn: Connection, where: dict[str, Any], numbers: Collection[int]) -> None:
    same = [artifacts.c[part] == value for part, value in where.items()]
    highest = conn.scalar(select(func.max(artifacts.c.version)).where(*same))
    latest = select(aliases.c.version, aliases.c.entry).where(*_of(where), aliases.c.alias == "latest")
    latest_version, entry = conn.execute(latest).one()
    for some in pieces_of(sorted(numbers)):
        conn.execute(delete(artifacts).where(*same, artifacts.c.version.in_(some)))
        of_these = (aliases.c.version.in_(some), aliases.c.alias != _REMOVED)
        conn.execute(delete(aliases).where(*_of(where), *of_these))
    left = conn.scalar(select(func.max(artifacts.c.version)).where(*same))
    if left is not None and latest_version in numbers:
        save(conn, aliases, [{**where, "alias": "latest", "version": left, "entry": entry}])
    if highest in numbers:
        save(conn, aliases, [{**where, "alias": _REMOVED, "version": highest, "entry": "0-0"}])


def _told(conn: Connection, row: dict[str, Any]) -> Row:
    of_it = [*_of(row), aliases.c.version == row["version"], aliases.c.alias != _REMOVED]
    names = conn.scalars(select(aliases.c.alias).where(*of_it).order_by(aliases.c.alias)).all()
    return {**row, "metadata": json.loads(row["metadata"]), "aliases": list(names)}


def _of(where: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """The aliases of one artifact."""
    return [aliases.c[part] == where[part] for part in _KEY]


def _order(entry: str) -> tuple[int, int]:
    """A journal id as numbers that compare."""
    time, _, count = entry.partition("-")
    return int(time), int(count or 0)
