from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select, text

from besom import disk
from besom.errors import ConfigError, Fenced, StoreError, Unreachable
from besom.tracking.store.schema import HEAD, VERSION_TABLE, meta
from besom.tracking.store.store import Store, get_meta, set_meta


def test_a_new_store_is_private(tmp_path: Path) -> None:
    """Folder and file are for their owner only, and the id stays."""
    path = tmp_path / "deep" / "store.db"
    store = Store.open(f"sqlite:///{path}")
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    again = Store.open(store.url, create=False)
    assert again.id == store.id
    assert len(store.id) == 32
    store.close()
    again.close()


def test_sqlite_is_tuned(sqlite_store: Store) -> None:
    """Write-ahead log, full synchronisation, patience with other writers."""
    with sqlite_store.read() as conn:
        found = [conn.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")]
        assert (conn.scalar(text("PRAGMA busy_timeout")) or 0) >= 1000
    assert found == ["wal", 2, 0]


def test_a_new_store_opens_without_alembic(tmp_path: Path) -> None:
    """Alembic's import is paid for by migrations only."""
    code = (
        "import sys; from besom.tracking.store.store import Store; "
        f"Store.open('sqlite:///{tmp_path}/s.db'); sys.exit('alembic' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_failed_block_leaves_nothing(store: Store) -> None:
    """What raises inside `begin` is rolled back."""
    with pytest.raises(KeyError):
        set_and_raise(store)
    with store.read() as conn:
        assert get_meta(conn, "x", "none") == "none"


def set_and_raise(store: Store) -> None:
    with store.begin() as conn:
        set_meta(conn, "x", "1")
        raise KeyError


def test_a_reader_sees_one_moment(store: Store) -> None:
    """A read transaction does not see what is committed after its first statement."""
    with store.read() as reading:
        before = reading.scalars(select(meta.c.value)).all()
        with store.begin() as writing:
            set_meta(writing, "x", "1")
        assert reading.scalars(select(meta.c.value)).all() == before


def test_writers_wait_for_each_other(store: Store) -> None:
    """A second writer begins when the first has committed, without an upgrade error."""
    inside, order = threading.Event(), []

    def second() -> None:
        inside.wait(5)
        with store.begin() as conn:
            order.append(get_meta(conn, "x"))

    thread = threading.Thread(target=second)
    thread.start()
    with store.begin() as conn:
        inside.set()
        set_meta(conn, "x", "first")
    thread.join(10)
    assert order == ["first"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_open_a_new_store_at_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """One of them makes the tables, the others wait, and all have the same store."""
    url = f"sqlite:///{tmp_path}/s.db" if kind == "sqlite" else request.getfixturevalue("postgres_server").new_store()

    def opened(_: int) -> str:
        store = Store.open(url)
        store.close()
        return store.id

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(opened, range(6)))) == 1


def test_postgres_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """`postgresql://` means psycopg 3, and where that is missing the error says what to install."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"psycopg.*pip install 'besom\[postgres\]'") as caught:
        Store.open("postgresql://u:secret@h/d")
    assert "secret" not in str(caught.value)


def test_a_postgres_that_is_away(tmp_path: Path) -> None:
    """A server that does not answer is a StoreError without the password."""
    with pytest.raises(StoreError, match=r"postgresql\+psycopg://u:\*\*\*@.*No such file") as caught:
        Store.open(f"postgresql://u:secret@/d?host={tmp_path}")
    assert "secret" not in str(caught.value)


def test_an_old_epoch_is_fenced(store: Store) -> None:
    """A controller that was replaced writes nothing."""
    for epoch in (1, 3, 3):
        with store.begin(epoch):
            pass
    with pytest.raises(Fenced, match=r"epoch 2.*epoch 3"), store.begin(2):
        pass


def test_a_missing_store(tmp_path: Path) -> None:
    """Opening without leave to create names the place and makes nothing."""
    with pytest.raises(Unreachable, match=r"no store at .*gone.db"):
        Store.open(f"sqlite:///{tmp_path}/gone.db", create=False)
    assert not list(tmp_path.iterdir())


def test_an_empty_file_is_no_store(tmp_path: Path) -> None:
    """A file that another process has just touched is not there yet."""
    (tmp_path / "s.db").touch()
    with pytest.raises(Unreachable, match="no store"):
        Store.open(f"sqlite:///{tmp_path}/s.db", create=False)


@pytest.mark.parametrize("content", [b"not a database at all, just text" * 200, b"SQLite format 3\0" + b"x" * 8000])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    """A file that is no database gives one clear error."""
    (tmp_path / "s.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"s\.db: .*(not a database|malformed|disk I/O|unsupported)"):
        Store.open(f"sqlite:///{tmp_path}/s.db")


def test_a_foreign_database(tmp_path: Path) -> None:
    """Another program's tables are left alone."""
    with sqlite3.connect(tmp_path / "s.db") as conn:
        conn.execute("CREATE TABLE theirs (x)")
    conn.close()
    with pytest.raises(StoreError, match="something else"):
        Store.open(f"sqlite:///{tmp_path}/s.db")


def test_a_newer_schema_is_refused(store: Store) -> None:
    """The message names both revisions."""
    with store.begin() as conn:
        conn.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(StoreError, match=f"9999.*{HEAD}"):
        Store.open(store.url)


def test_a_full_disk_is_told(sqlite_store: Store) -> None:
    """SQLite's refusal comes out as a StoreError with advice, and the store goes on after it."""
    with pytest.raises(StoreError, match="full; free some space"):
        overfill(sqlite_store)
    with sqlite_store.begin() as conn:
        conn.execute(text("PRAGMA max_page_count=1000000"))
        set_meta(conn, "x", "1")


def overfill(store: Store) -> None:
    with store.begin() as conn:
        conn.execute(text("PRAGMA max_page_count=1"))
        set_meta(conn, "x", "y" * 100_000)


def test_network_disks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite on NFS is refused with the way out."""
    monkeypatch.setattr(disk, "_file_system", lambda path: "nfs4")
    with pytest.raises(ConfigError, match=r"nfs4.*local disk"):
        Store.open(f"sqlite:///{tmp_path}/s.db")


@pytest.mark.parametrize("url", ["nonsense", "mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:"])
def test_other_urls_are_refused(url: str) -> None:
    """The error says what to write and hides a password."""
    with pytest.raises(ConfigError, match="write sqlite:////") as caught:
        Store.open(url)
    assert "secret" not in str(caught.value)


def test_a_new_store_needs_no_migrations(tmp_path: Path) -> None:
    """Its tables are made at once; alembic, which is slow to import, is for stores of older versions."""
    code = (
        "import sys\nfrom besom.tracking.store.store import Store\n"
        f"Store.open('sqlite:///{tmp_path}/new.db').close()\nsys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
