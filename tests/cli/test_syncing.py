"""`besom sync`."""

from __future__ import annotations

from pathlib import Path

import pytest

from besom.broker.connection import Connection
from besom.messages import RunStarted
from besom.tracking.run.init import init
from tests.tracking.desk import batches, events

from .conftest import Besom


@pytest.fixture
def here(fake: Connection, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setattr("besom.cli.options.connection_for", lambda *_, **__: fake)
    return fake


def test_sync(besom: Besom, here: Connection, tmp_path: Path) -> None:
    """It sends an offline run and says so, a second time says that it was sent before."""
    with init(id="r", mode="offline") as run:
        run.log({"a": 1})
    assert besom("sync", str(tmp_path)) == (0, "r: sent, 1 batches\n", "")
    assert besom("sync", run.dir) == (0, "r: sent before\n", "")
    assert [one.run for one in events(here, RunStarted)] == ["r"]
    assert [seq for _, seq in batches(here)] == [1]


def test_a_run_that_goes_on(besom: Besom, here: Connection, tmp_path: Path) -> None:
    """A run whose process lives is not sent, and the line says when to call again."""
    run = init(id="r", mode="offline")
    answer = besom("sync", str(tmp_path))
    run.finish()
    assert (answer.code, answer.out) == (0, "r: still running; call again when it has ended\n")


def test_bad_folders(besom: Besom, here: Connection, tmp_path: Path) -> None:
    """A folder with nothing in it is an error; a damaged run is named, with exit code 1."""
    answer = besom("sync", str(tmp_path / "none"))
    assert (answer.code, "no offline run or spool" in answer.err) == (2, True)
    (tmp_path / "run.started").write_bytes(b"")
    assert besom("sync", str(tmp_path)) == (1, f"{tmp_path.name}: damaged\n", "")
