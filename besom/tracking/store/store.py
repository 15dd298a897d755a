"""The database that keeps everything: opened, checked, brought up to date, lent out in transactions.

Reads: a SQLAlchemy URL (`sqlite:///file` or `postgresql://...`, by psycopg 3).  Gives: `Store`.
Knows nothing of what the tables mean.

A database error inside `begin` or `read` (disk full, read-only file, server gone) rises as `StoreError`; the
transaction is rolled back.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, select, text
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError

from besom.disk import private_folder, refuse_network_disk
from besom.errors import ConfigError, Fenced, StoreError, Unreachable
from besom.tracking.store.rows import save
from besom.tracking.store.schema import HEAD, VERSION_TABLE, meta, metadata

__all__ = ["Store", "get_meta", "migrate", "set_meta"]

_PRAGMAS = (
    "PRAGMA busy_timeout=10000",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=OFF",
    "PRAGMA cache_size=-32768",
    "PRAGMA wal_autocheckpoint=4000",  # 16 MB: what is written again and again goes to the file once
    "PRAGMA journal_size_limit=67108864",
)


class Store:
    """One database; safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(besom_begin="BEGIN IMMEDIATE")
        postgres = engine.dialect.name == "postgresql"
        self._reading = engine.execution_options(isolation_level="REPEATABLE READ") if postgres else engine
        self.url = engine.url.render_as_string(hide_password=True)
        self.file = Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None
        """Of a SQLite store."""
        self.id = ""

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Store:
        """The store at `url`, made when it does not exist and `create` is set, its tables brought up to date.

        Raises:
            ConfigError: not a URL of SQLite or PostgreSQL, or a SQLite file on a network file system.
            Unreachable: there is no store and `create` is not set, or the server does not answer.
            StoreError: the database is damaged, not besom's, or of a newer besom.
        """
        parsed = _parse(url)
        if parsed.get_backend_name() == "sqlite":
            _prepare_file(Path(parsed.database or ""), create)
        store = cls(_engine(parsed))
        try:
            store._settle(create)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    @contextmanager
    def begin(self, epoch: int | None = None) -> Iterator[Connection]:
        """A write transaction; commits at the end, rolls back when the block raises.

        With `epoch`, a controller's lease number, the first statement refuses a controller that was replaced.

        Raises:
            Fenced: a later epoch has written to this store.
            StoreError: the database refused.
        """
        with self._told(), self._writing.begin() as conn:
            if epoch is not None:
                _fence(conn, epoch)
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: all statements see the store as it was at the first."""
        with self._told(), self._reading.begin() as conn:
            yield conn

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, InterfaceError) as error:
            raise StoreError(self.url, _explain(error)) from error

    def _settle(self, create: bool) -> None:
        """Check whose database this is, make or migrate the tables, read the store's id."""
        with self.read() as conn:
            revision = _revision(conn)
            foreign = revision is None and conn.dialect.name == "sqlite" and bool(inspect(conn).get_table_names())
        if foreign:
            raise StoreError(self.url, "is a database of something else; give the store a file of its own")
        if revision is None and not create:
            raise Unreachable(f"no store at {self.url}; a controller makes it when it starts")
        if revision is not None and revision > HEAD:
            raise StoreError(self.url, f"has schema {revision}, this besom knows {HEAD}; upgrade besom on this machine")
        if revision != HEAD:
            self._make_current()
        with self.read() as conn:
            self.id = get_meta(conn, "store_id")

    def _make_current(self) -> None:
        """Make the tables, or migrate them; a new store goes without alembic, whose import takes 0.2 s."""
        with self.begin() as conn:
            if conn.dialect.name == "postgresql":  # where two may make the same tables at once, and one fails
                conn.execute(
                    text("SELECT pg_advisory_xact_lock(hashtext(current_schema() || :name))"), {"name": VERSION_TABLE}
                )
            revision = _revision(conn)  # again: another process may have been faster
            if revision is None:
                metadata.create_all(conn, checkfirst=conn.dialect.name != "sqlite")
                conn.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
                conn.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES (:head)"), {"head": HEAD})
                set_meta(conn, "store_id", uuid.uuid4().hex)
                set_meta(conn, "epoch", "0")  # a row that the first controllers can lock
            elif revision < HEAD:
                migrate(conn)


def migrate(conn: Connection) -> None:
    """Bring the tables of this connection to `HEAD` inside its transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": conn})
    config.set_main_option("script_location", "besom.tracking.store:migrations")
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")


def get_meta(conn: Connection, key: str, default: str = "") -> str:
    """One of the store's own facts: store_id, journal_id, last_id, epoch."""
    return str(conn.scalar(select(meta.c.value).where(meta.c.key == key)) or default)


def set_meta(conn: Connection, key: str, value: str) -> None:
    """Keep one of the store's own facts."""
    save(conn, meta, [{"key": key, "value": value}])


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("the store is not a database URL; write sqlite:////path/besom.db") from None
    backend, shown = parsed.get_backend_name(), parsed.render_as_string(hide_password=True)
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(f"store {shown}: {backend} is not supported; write sqlite:////path/besom.db or postgresql://")
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigError(f"store {shown}: other processes must be able to read it; write sqlite:////path/besom.db")
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")  # what SQLAlchemy takes by itself is psycopg 2
    return parsed


def _prepare_file(path: Path, create: bool) -> None:
    """Refuse network file systems; make the folder 0700 and the file 0600."""
    refuse_network_disk(path, "a SQLite store")
    if not create and not path.exists():
        raise Unreachable(f"no store at {path}; a controller makes it when it starts")
    private_folder(path.parent)
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(str(path), f"cannot be made: {error.strerror}") from error


def _engine(url: URL) -> Engine:
    try:
        engine = create_engine(url)
    except ImportError as error:
        raise ConfigError(f"store {url.render_as_string()}: {error}; pip install 'besom[postgres]'") from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _tune)
        event.listen(engine, "begin", _begin)
    else:
        event.listen(engine, "connect", _ask_for_bytes)
    return engine


def _ask_for_bytes(connection: Any, _record: object) -> None:
    """Results as they are, not as text: blobs of points would come in hexadecimal digits."""
    from psycopg import Cursor
    from psycopg.pq import Format

    class Binary(Cursor[Any]):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.format = Format.BINARY

    connection.cursor_factory = Binary


def _tune(connection: Any, _record: object) -> None:
    # sqlite3 would start transactions by itself, too late and never for reads: SQLAlchemy's manual, "pysqlite".
    connection.isolation_level = None
    deadline = time.monotonic() + 10
    for pragma in _PRAGMAS:
        while not _executed(connection, pragma, deadline):
            threading.Event().wait(0.02)


def _executed(connection: Any, pragma: str, deadline: float) -> bool:
    """False when it is to be tried again: SQLite does not wait for others while it goes over to WAL."""
    try:
        connection.execute(pragma).close()
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) or time.monotonic() > deadline:
            raise
        return False
    return True


def _begin(conn: Connection) -> None:
    conn.exec_driver_sql(conn.get_execution_options().get("besom_begin", "BEGIN"))


def _revision(conn: Connection) -> str | None:
    if not inspect(conn).has_table(VERSION_TABLE):
        return None
    found = conn.scalar(text(f"SELECT max(version_num) FROM {VERSION_TABLE}"))
    return None if found is None else str(found)


def _fence(conn: Connection, epoch: int) -> None:
    stored = int(conn.scalar(select(meta.c.value).where(meta.c.key == "epoch").with_for_update()) or 0)
    if stored > epoch:
        raise Fenced(f"this controller has epoch {epoch}, one with epoch {stored} writes to the store now")
    if stored < epoch:
        set_meta(conn, "epoch", str(epoch))


def _explain(error: DatabaseError | InterfaceError) -> str:
    problem = str(error.orig).strip()
    for part, advice in (
        ("not a database", "it is damaged or not a store; move it away or restore a backup"),
        ("malformed", "it is damaged; move it away or restore a backup"),
        ("disk is full", "free some space on its disk"),
        ("readonly", "make file and folder writable for this user"),
        ("locked", "another process holds it; end that one or try again"),
        ("unable to open", "check that the folder exists and that this user may read it"),
    ):
        if part in problem:
            return f"{problem}; {advice}"
    return problem
