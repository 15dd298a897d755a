from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.tracking.reading import api
from besom.tracking.recording.recorder import Recorder
from besom.tracking.run.active import active_run
from besom.tracking.run.trial import set_trial
from besom.tracking.store.store import Store
from besom.tracking.writing import connections

from .desk import Desk

ON_EVERY_STORE = (
    "test_store",
    "test_recorder",
    "test_reopening",
    "test_reader",
    "test_history",
    "test_overviews",
    "test_rows",
)
"""Modules whose tests with a `store` are the contract that SQLite and PostgreSQL both keep."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the contract on both."""
    if "store" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in ON_EVERY_STORE:
        metafunc.parametrize("store", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A new store, that of this test's home; on SQLite unless the test is one of the contract's."""
    if getattr(request, "param", "sqlite") == "postgresql":
        url = request.getfixturevalue("postgres_server").new_store()
    else:
        url = f"sqlite:///{tmp_path}/home/besom.db"
    opened = Store.open(url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    """For what only SQLite has."""
    opened = Store.open(f"sqlite:///{tmp_path}/store.db")
    yield opened
    opened.close()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def desk(fake: Connection, store: Store) -> Desk:
    """The journal in fakeredis, and a recorder that reads it when told."""
    return Desk(fake, store)


@pytest.fixture
def wired(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """`besom.init()` finds fakeredis; runs and trials that a test leaves open end with it."""
    monkeypatch.setattr(connections, "connect", lambda _: fake)
    yield fake
    while (run := active_run()) is not None:
        run.finish()
    set_trial(None)


@pytest.fixture
def read_after_write(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Api` reads the store of this test's home, and what runs have done by then is recorded."""
    monkeypatch.setattr(api, "_reachable", lambda _: None)
    ask = api.Api.ask

    def recorded_first(self: api.Api, query: str, **arguments: Any) -> Any:
        desk.record()
        return ask(self, query, **arguments)

    monkeypatch.setattr(api.Api, "ask", recorded_first)
