"""A copy of a SQLite store, made while a controller works, and checked before it gets its name."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from besom.errors import StoreError, UsageError
from besom.tracking.store.reader import last_id, run_count
from besom.tracking.store.store import Store

__all__ = ["Copied", "back_up"]


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy holds."""

    path: Path
    bytes: int
    runs: int
    last_id: str
    """The journal entry up to which everything is in it."""


def back_up(store: Store, path: Path) -> Copied:
    """Copy the store into a new file: one moment of it, whatever is written meanwhile, which waits for nothing.

    Raises:
        UsageError: the store is no SQLite file, or the file exists.
        StoreError: it cannot be written, or the copy does not hold up.
    """
    if store.file is None:
        raise UsageError(f"the store {store.url} is a server's; copy it with: pg_dump --format=custom")
    if path.exists():
        raise UsageError(f"{path} exists; name a new file")
    part = path.with_name(f"{path.name}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600))
        _copy(store.file, part)
        copied = _verified(part, store.id)
        os.link(part, path)  # unlike a rename, this replaces nothing
    except FileExistsError:
        raise UsageError(f"{path} exists; name a new file") from None
    except (OSError, sqlite3.Error) as error:
        raise StoreError(str(path), f"the copy cannot be made: {error}") from error
    finally:
        for name in (part, *(part.with_name(part.name + end) for end in ("-wal", "-shm", "-journal"))):
            name.unlink(missing_ok=True)
    return Copied(path, path.stat().st_size, copied.runs, copied.last_id)


def _copy(source: Path, part: Path) -> None:
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old, closing(sqlite3.connect(part)) as new:
        old.execute("PRAGMA busy_timeout=10000")
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE").close()  # one file, without a log beside it
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _verified(part: Path, store_id: str) -> Copied:
    """The copy, after SQLite has checked every page and besom has opened it."""
    with closing(sqlite3.connect(part)) as conn:
        found = conn.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise StoreError(str(part), f"the copy is damaged ({found}); check the disk, and the store itself")
    copy = Store.open(f"sqlite:///{part.absolute()}", create=False)
    try:
        if copy.id != store_id:
            raise StoreError(str(part), f"the copy is of store {copy.id}, not of {store_id}")
        with copy.read() as conn:
            return Copied(part, part.stat().st_size, run_count(conn), last_id(conn))
    finally:
        copy.close()
        with closing(sqlite3.connect(part)) as last:
            last.execute("PRAGMA journal_mode=DELETE").close()
