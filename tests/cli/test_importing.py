"""`besom import`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from besom.broker.connection import Connection
from besom.tracking.store.store import Store
from tests.tracking.wandb_files.test_records import SAMPLES
from tests.tracking.wandb_files.writing import ended, row, run, write

from .conftest import Besom


@pytest.fixture
def here(fake: Connection, told: Store, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setattr("besom.cli.options.connection_for", lambda *_, **__: fake)
    return fake


def test_a_folder(besom: Besom, here: Connection, tmp_path: Path) -> None:
    """A line for each run, in the order they began, with how many there are."""
    folder = shutil.copytree(SAMPLES, tmp_path / "wandb")
    os.utime(next(folder.rglob("*killed.wandb")), (1, 1))
    code, out, _ = besom("import", "wandb", str(folder))
    assert code == 0
    lines = out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "[1/3] sample-everything", "[2/3] sample-killed", "[3/3] sample-failed",
    ]  # fmt: skip
    assert lines[2] == "[3/3] sample-failed: imported, 20 rows, 0 files"


def test_progress(besom: Besom, here: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a long file says how far it is, in a line that is wiped."""
    write(tmp_path / "w", [run(), *(row(step, t="x" * 1000) for step in range(100)), ended()])
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    _, _, err = besom("import", "wandb", str(tmp_path))
    assert "r: 4" in err.replace("\r\x1b[K", "\n")
    assert err.endswith("\r\x1b[K")


def test_nothing_there(besom: Besom, here: Connection, tmp_path: Path) -> None:
    """One error that names the folder."""
    answer = besom("import", "wandb", str(tmp_path))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"besom: no .wandb file in {tmp_path} or below; write")


def test_a_file_that_cannot_be_read(besom: Besom, here: Connection, tmp_path: Path) -> None:
    """It is named with the reason, the others come in, and the exit code is 1."""
    write(tmp_path / "w", [run(), row(0, a=1), ended()])
    (tmp_path / "a.wandb").write_bytes(b"")
    code, out, _ = besom("import", "wandb", str(tmp_path))
    assert (code, "a.wandb: cannot be read" in out, "r: imported, 1 rows" in out) == (1, True, True)


def test_another_tracker(besom: Besom) -> None:
    """Only what can be read is taken."""
    answer = besom("import", "mlflow", ".")
    assert (answer.code, "is not 'wandb'" in answer.err) == (2, True)
