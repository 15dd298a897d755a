from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.history import LEVELS, read_series
from besom.tracking.store.overviews import overviews
from besom.tracking.store.schema import HEAD, VERSION_TABLE, chunks, levels, metadata
from besom.tracking.store.store import Store, migrate
from tests.tracking.stories import batch, play


def differences(conn: Connection) -> list[object]:
    options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(conn, opts=options), metadata))


def test_migrations_make_the_schema(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """From an empty database the revisions lead to exactly the tables of `schema.py`, silently."""
    engine = create_engine(f"sqlite:///{tmp_path}/s.db")
    with engine.begin() as conn:
        migrate(conn)
    with engine.begin() as conn:
        assert differences(conn) == []
        assert conn.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == HEAD
    engine.dispose()
    assert capfd.readouterr() == ("", "")


def test_a_new_store_equals_a_migrated_one(store: Store) -> None:
    """Making the tables at once gives what the revisions give."""
    with store.read() as conn:
        assert differences(conn) == []
        version = inspect(conn).get_columns(VERSION_TABLE)
    assert [column["name"] for column in version] == ["version_num"]


def test_head_is_the_last_revision() -> None:
    """`schema.HEAD` names the newest script, and revisions sort as text."""
    config = Config()
    config.set_main_option("script_location", "besom.tracking.store:migrations")
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == HEAD
    names = [script.revision for script in scripts.walk_revisions()]
    assert names == sorted(names, reverse=True)


def test_migrating_a_current_store_changes_nothing(store: Store) -> None:
    """The version table that a new store gets is alembic's own."""
    with store.begin() as conn:
        migrate(conn)
        assert differences(conn) == []


@pytest.mark.parametrize("table", metadata.tables.values(), ids=str)
def test_tables_are_postgresql_too(table: object) -> None:
    """Each table has a PostgreSQL form of 8-byte floats, bytes and 8-byte integers."""
    written = str(CreateTable(table).compile(dialect=postgresql.dialect()))  # type: ignore[arg-type]
    assert "BLOB" not in written
    assert "SERIAL" not in written


def test_a_store_of_0001_gets_artifacts(tmp_path: Path) -> None:
    """A store that besom 0.1 made is migrated when it is opened, and keeps what it has."""
    url = f"sqlite:///{tmp_path}/s.db"
    engine = create_engine(url)
    with engine.begin() as conn:
        config = Config(attributes={"connection": conn})
        config.set_main_option("script_location", "besom.tracking.store:migrations")
        config.set_main_option("path_separator", "os")
        command.upgrade(config, "0001")
        conn.execute(text("INSERT INTO meta VALUES ('store_id', 'mine')"))
    engine.dispose()
    opened = Store.open(url)
    with opened.read() as conn:
        assert differences(conn) == []
        assert conn.scalar(text("SELECT count(*) FROM artifacts")) == 0
    assert opened.id == "mine"
    opened.close()


def test_a_store_of_0005_keeps_its_points(tmp_path: Path) -> None:
    """Chunks that were not packed and overviews in one row are read and added to; buckets of ten points are gone."""
    url = f"sqlite:///{tmp_path}/s.db"
    early, count = 3000, 4500
    opened = Store.open(url)
    play(opened, Recorder(), [batch("r", steps=range(early), loss=[float(n) for n in range(early)])])
    with opened.begin() as conn:  # as 0005 wrote it
        for position in range(0, early, 1000):
            points = np.arange(position, position + 1000.0)
            plain = {"kind": "d", "steps": struct.pack("<2q", position, 1), "values": points.tobytes()}
            conn.execute(chunks.update().where(chunks.c.position == position).values(plain))
        conn.execute(levels.insert().values(series=1, level=10, position=0, blob=b""))
        conn.execute(text("CREATE TABLE old (series INTEGER PRIMARY KEY, count BIGINT NOT NULL, blob BLOB NOT NULL)"))
        conn.execute(text("INSERT INTO old SELECT series, count, blob FROM overview"))
        conn.execute(text("DROP TABLE overview"))
        conn.execute(text("ALTER TABLE old RENAME TO overview"))
        for column in ("passed", "halted"):
            conn.execute(text(f"ALTER TABLE trials DROP COLUMN {column}"))
        conn.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0005'"))
    opened.close()
    opened = Store.open(url)
    later = range(early, count)
    play(opened, Recorder(), [batch("r", 2, steps=later, loss=[float(n) for n in later])], first=2)
    with opened.read() as conn:
        assert differences(conn) == []
        assert conn.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) == HEAD
        assert set(conn.scalars(select(levels.c.level))) == set(LEVELS)
        assert read_series(conn, "r", "loss").values.tolist() == [float(n) for n in range(count)]
        assert overviews(conn, ["r"], "loss")["r"][:, 5].sum() == count
    opened.close()
