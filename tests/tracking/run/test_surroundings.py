"""What a run is made in: git, program, arguments, machine, packages; and that no secret is among it."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.messages import RunStarted
from besom.tracking.run import surroundings
from besom.tracking.run.init import init
from besom.tracking.run.settings import from_environment
from besom.tracking.run.surroundings import describe, masked
from besom.tracking.store import reader
from tests.tracking.desk import Desk, events


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=n", "-c", "user.email=e@x", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    for cached in (surroundings._git, surroundings._diff, surroundings._machine):
        cached.cache_clear()
    yield
    for cached in (surroundings._git, surroundings._diff, surroundings._machine):
        cached.cache_clear()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit and a change, and the working directory in it."""
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init")
    (folder / "train.py").write_text("lr = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    git(folder, "remote", "add", "origin", "https://me:hunter2@git.example.org/me/code.git")
    (folder / "train.py").write_text("lr = 2\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--lr", "0.1", "data"], ["--lr", "0.1", "data"]),
        (["--api-key=abc"], ["--api-key=***"]),
        (["--password", "abc", "--lr=1"], ["--password", "***", "--lr=1"]),
        (["--use-token", "--lr=1"], ["--use-token", "--lr=1"]),
        (["HF_TOKEN=abc"], ["HF_TOKEN=***"]),
        (["model.credentials=abc"], ["model.credentials=***"]),
        (["--db=postgresql://me:pw@host/x"], ["--db=postgresql://me:***@host/x"]),
        (["redis://:pw@host"], ["redis://:***@host"]),
        (["https://host/tokens?page=2"], ["https://host/tokens?page=2"]),
    ],
)
def test_masked(given: list[str], shown: list[str]) -> None:
    """What is named like a secret, and passwords in URLs, do not leave the process; all else does."""
    assert masked(given) == shown


def test_git(repository: Path) -> None:
    """Commit, branch, remote without its credentials, and the change as git itself tells them."""
    told = describe(from_environment(), of_trial=False)
    assert told["metadata"]["git"] == {
        "commit": git(repository, "rev-parse", "HEAD"),
        "branch": "main",
        "remote": "https://git.example.org/me/code.git",
        "dirty": True,
    }
    diff = zlib.decompress(told["texts"]["diff"]).decode()
    assert diff.strip() == git(repository, "diff", "HEAD")
    assert "+lr = 2" in diff


@pytest.mark.parametrize("prefix", ["BESOM_", "WANDB_"])
def test_git_can_be_left_out(prefix: str, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DISABLE_CODE leaves out the diff, DISABLE_GIT all of it."""
    monkeypatch.setenv(f"{prefix}DISABLE_CODE", "true")
    told = describe(from_environment(), of_trial=False)
    assert "git" in told["metadata"]
    assert "diff" not in told["texts"]
    monkeypatch.setenv(f"{prefix}DISABLE_GIT", "true")
    assert "git" not in describe(from_environment(), of_trial=False)["metadata"]


def test_a_long_diff_is_left_out(repository: Path) -> None:
    """A trial keeps a short diff only, a run a longer one."""
    (repository / "train.py").write_text("# " + "x" * 200_000)
    assert "diff" in describe(from_environment(), of_trial=False)["texts"]
    assert "diff" not in describe(from_environment(), of_trial=True)["texts"]


def test_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a repository, or without git, nothing is told of it."""
    monkeypatch.chdir(tmp_path)
    assert "git" not in describe(from_environment(), of_trial=False)["metadata"]
    surroundings._git.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "git" not in describe(from_environment(), of_trial=False)["metadata"]


def test_gpus_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's files name them; where there are none nvidia-smi does."""
    monkeypatch.setattr(surroundings, "_GPU_FOLDER", tmp_path / "gpus")
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'Tesla T4'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert surroundings._gpus() == ["Tesla T4"]
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "gpus" / "0000:01:00.0" / "information").write_text("Model: \t\t NVIDIA A100\nIRQ:   12\n")
    assert surroundings._gpus() == ["NVIDIA A100"]


def test_a_run_tells_it(
    wired: Connection, desk: Desk, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands in the store; the environment does not, and two runs share one package list."""
    monkeypatch.setattr(sys, "argv", ["train.py", "--token=abc", "--lr=1"])
    monkeypatch.setenv("MY_PLAIN_VARIABLE", "a-value-to-look-for")
    for name in ("r", "q"):
        init(id=name).finish()
    desk.record()
    with desk.store.read() as conn:
        found: dict[str, Any] = (reader.run(conn, "r") or {})["metadata"]
        assert conn.exec_driver_sql("SELECT count(*) FROM texts").scalar() == 2
        listed = {row["id"]: row["metadata"] for row in reader.runs(conn)}
    assert (found["program"], found["args"]) == ("train.py", ["--token=***", "--lr=1"])
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert f"numpy=={version('numpy')}" in found["packages"]
    assert "+lr = 2" in found["diff"]
    assert listed["r"]["packages"] == listed["q"]["packages"]
    assert len(listed["r"]["packages"]) == 64
    assert "a-value-to-look-for" not in json.dumps(found)
    assert all(b"a-value-to-look-for" not in event.body for event in events(wired, RunStarted))


def test_a_run_of_before(desk: Desk) -> None:
    """A run whose `init()` told nothing of it has empty metadata."""
    from tests.tracking.stories import play, started

    play(desk.store, desk.recorder, [started("r")])
    with desk.store.read() as conn:
        assert (reader.run(conn, "r") or {})["metadata"] == {}


def test_packages_as_the_metadata_tells_them() -> None:
    """Each installed package is listed with the version that its own metadata has."""
    found = set(zlib.decompress(surroundings._packages()).decode().splitlines())
    for name in ("alembic", "hypothesis", "pydantic-settings", "scikit-learn"):
        assert f"{name}=={version(name)}" in found
