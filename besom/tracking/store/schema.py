"""The store's tables, the same on SQLite and PostgreSQL.

Gives: the tables and `HEAD`, the revision they stand at; a change here needs a migration and a new `HEAD`.
Knows nothing of connections, nor of who writes or reads.

JSON rests as text, points as little-endian blobs (`points.py`), times as seconds since the epoch.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint

__all__ = [
    "HEAD",
    "VERSION_TABLE",
    "alerts",
    "artifact_aliases",
    "artifacts",
    "attempts",
    "chunks",
    "closings",
    "console",
    "files",
    "last",
    "levels",
    "meta",
    "metadata",
    "overview",
    "rejected",
    "removed",
    "run_texts",
    "runs",
    "series",
    "sweeps",
    "tail",
    "texts",
    "trials",
    "writers",
]

HEAD = "0008"
"""Revision of these tables; revisions sort as text, so that a newer one is recognised."""
VERSION_TABLE = "besom_version"
"""Where alembic keeps the revision; a name of our own, since a PostgreSQL database may be shared."""

metadata = MetaData()


def _text(name: str, *, key: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=False, server_default=default)


def _whole(name: str, *, key: bool = False, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, primary_key=key, autoincrement=False, nullable=null)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _real(name: str) -> Column[float]:
    return Column(name, Double, nullable=True)


def _blob(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _series_key() -> Column[int]:
    return Column("series", Integer, primary_key=True, autoincrement=False)


# store_id, journal_id, last_id (last applied entry of the journal), epoch (of the controller that writes).
meta = Table("meta", metadata, _text("key", key=True), _text("value"))

sweeps = Table(
    "sweeps",
    metadata,
    _text("id", key=True),
    _text("entity"),
    _text("project"),
    _text("name"),
    _text("state"),
    _text("spec"),
    _real("created"),
    _real("ended"),
    _real("reopened"),  # when `besom retry` made it run again
    _count("issued"),
    Index("sweeps_project", "project"),
)

trials = Table(
    "trials",
    metadata,
    _text("sweep", key=True),
    _whole("number", key=True),
    _text("params"),
    _text("state"),
    _real("value"),
    _text("error"),
    _whole("attempt"),  # 0 until the first claim
    _text("token"),
    _text("agent"),
    _whole("losses"),
    _whole("failures"),
    _real("issued"),
    _real("reopened"),  # when `besom retry` last queued it again, or when what was promoted had ended
    _real("started"),
    _real("ended"),
    _count("passed"),  # the iteration up to which its stopping rule has let it go on
    _count("halted"),  # the iteration at which the rule ended it; promoted since, unless above `passed`
    Index("trials_state", "sweep", "state"),
    Index("trials_value", "sweep", "value"),
)

runs = Table(
    "runs",
    metadata,
    _text("id", key=True),
    _text("sweep"),  # empty outside a sweep
    _whole("number"),
    _text("entity"),
    _text("project"),
    _text("name"),
    _text("group_name"),
    _text("job_type"),
    _text("tags"),
    _text("notes"),
    _text("config"),
    _text("state"),
    _whole("exit_code", null=True),
    _text("error"),
    _real("created"),
    _real("ended"),
    _real("started"),  # the newest init()
    _text("host"),
    _text("program"),
    _whole("attempt"),  # the newest whose RunStarted was seen; 0: a batch came first
    _text("metadata", default="{}"),  # what it was made in; long texts by their id in `texts`
    Index("runs_sweep", "sweep", "number"),
    Index("runs_project", "project"),
)

attempts = Table(
    "attempts",
    metadata,
    _text("run", key=True),
    _whole("attempt", key=True),
    _text("token"),
    _text("agent"),
    _text("state"),
    _real("started"),
    _real("ended"),
    _whole("first_step", null=True),
    _whole("lines"),  # of console, so far
)

writers = Table(
    "writers",
    metadata,
    _text("id", key=True),
    _text("run"),
    _whole("attempt"),
    _whole("seq"),  # highest recorded
    Index("writers_run", "run"),
)

# Runs that have ended and wait for batches still under way.
closings = Table(
    "closings",
    metadata,
    _text("run", key=True),
    _text("sweep"),
    _whole("number"),
    _text("state"),
    _text("error"),
    _whole("exit_code"),
    _text("writers"),
    _real("ended"),
    _real("since"),  # the recorder's clock
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _text("run"),
    _whole("attempt"),
    _text("key"),
    UniqueConstraint("run", "attempt", "key", name="series_name"),
)

# `position` is the number of points of the series that come before; a chunk's `kind` is in capitals when it is packed.
tail = Table(
    "tail",
    metadata,
    _series_key(),
    _whole("position", key=True),
    _whole("count"),
    _text("kind"),
    _blob("steps"),
    _blob("values"),
)

chunks = Table(
    "chunks",
    metadata,
    _series_key(),
    _whole("position", key=True),
    _whole("first_step"),
    _whole("last_step"),
    _whole("count"),
    _text("kind"),
    _blob("steps"),
    _blob("values"),
)

levels = Table(
    "levels", metadata, _series_key(), _whole("level", key=True), _whole("position", key=True), _blob("blob")
)

# Buckets of `count` points from `position` on; all points that are in chunks are covered, short series have none.
overview = Table("overview", metadata, _series_key(), _whole("position", key=True), _whole("count"), _blob("blob"))

last = Table(
    "last",
    metadata,
    _text("run", key=True),
    _text("key", key=True),
    _whole("attempt"),
    _whole("step", null=True),
    _text("value"),
    _whole("explicit"),  # 1: set through run.summary since it was last logged
)

console = Table(
    "console",
    metadata,
    _text("run", key=True),
    _whole("attempt", key=True),
    _whole("position", key=True),
    _text("lines"),
)

# Package lists and diffs, zlib, by their SHA-256: most runs share them.
texts = Table("texts", metadata, _text("id", key=True), _blob("text"))

# Which runs have a text; one that no run has is deleted.
run_texts = Table(
    "run_texts", metadata, _text("run", key=True), _text("text", key=True), Index("run_texts_text", "text")
)

# What `save` kept, by its path: blobs.
files = Table(
    "files",
    metadata,
    _text("run", key=True),
    _text("name", key=True),
    _text("sha256"),
    _whole("size"),
    _real("updated"),
)

rejected = Table("rejected", metadata, _text("id", key=True), _text("reason"), _text("fields"))

# What `besom rm` took away, and the journal entry that said so.
removed = Table("removed", metadata, _text("id", key=True), _text("entry"))

# Versions from 0; the same content, by `digest`, is the same version.
artifacts = Table(
    "artifacts",
    metadata,
    _text("entity", key=True),
    _text("project", key=True),
    _text("name", key=True),
    _whole("version", key=True),
    _text("type"),
    _text("description"),
    _text("metadata"),
    _text("digest"),  # sha256 of its manifest, a blob
    _whole("size"),
    _whole("files"),
    _text("run"),  # that logged it first
    _real("created"),
    Index("artifacts_run", "run"),
)

# `entry` is the journal entry that set it, so that an older one, read again, changes nothing.
artifact_aliases = Table(
    "artifact_aliases",
    metadata,
    _text("entity", key=True),
    _text("project", key=True),
    _text("name", key=True),
    _text("alias", key=True),
    _whole("version"),
    _text("entry"),
)

alerts = Table(
    "alerts",
    metadata,
    _text("id", key=True),
    _text("run"),
    _text("title"),
    _text("text"),
    _text("level"),
    _real("created"),
    Index("alerts_run", "run"),
)
