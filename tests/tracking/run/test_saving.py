"""Files by their paths: kept as the policy says, found again by their names, and never a reason to stop training."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import besom
from besom.broker.connection import Connection
from besom.errors import FinishedRun, UsageError
from besom.messages import ArtifactLogged, FileSaved
from besom.tracking.run.run import Run
from besom.tracking.run.saving import Saver
from tests.tracking.desk import events


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a few files."""
    made = tmp_path / "cwd"
    (made / "sub").mkdir(parents=True)
    for name in ("a.pt", "b.pt", "sub/c.pt", "notes.txt", "main.py", "sub/lib.py", ".hidden.py"):
        (made / name).write_text(name)
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def run(wired: Connection, folder: Path) -> Iterator[Run]:
    with besom.init(project="p", entity="e") as run:
        yield run


def _saved(run: Run, connection: Connection) -> dict[str, str]:
    """Name to content, as of the last event of each name."""
    return {told.name: run.blobs.read(told.sha256).decode() for told in events(connection, FileSaved)}


@pytest.mark.parametrize(
    ("pattern", "base", "names"),
    [
        ("a.pt", None, ["a.pt"]),
        ("*.pt", None, ["a.pt", "b.pt"]),
        ("**/*.pt", None, ["a.pt", "b.pt", "sub/c.pt"]),
        ("sub/*", None, ["sub/c.pt", "sub/lib.py"]),
        ("sub/c.pt", "sub", ["c.pt"]),
        ("{cwd}/sub/c.pt", None, ["sub/c.pt"]),
        ("{cwd}/sub/c.pt", "{cwd}/sub", ["c.pt"]),
        ("sub", None, []),
        ("nothing*", None, []),
    ],
)
def test_names(run: Run, wired: Connection, folder: Path, pattern: str, base: str | None, names: list[str]) -> None:
    """Paths are told from the base: the working directory, or as W&B does it for a path from the root."""
    shown = run.save(pattern.format(cwd=folder), base.format(cwd=folder) if base else None, "now")
    assert sorted(_saved(run, wired)) == names
    assert shown == [f"{run.dir}/{name}" for name in names]
    assert all(Path(path).read_text() for path in shown)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("a.pt", None, "never"), "policy='never' cannot be"),
        (("a.pt", "sub"), "does not lie in"),
        (("../elsewhere/*",), "does not lie in"),
    ],
)
def test_what_cannot_be_saved(run: Run, arguments: tuple[Any, ...], problem: str) -> None:
    """A policy that is none and files outside the base are refused, with what to write."""
    with pytest.raises(ValueError, match=problem):
        run.save(*arguments)


def test_other_calls(run: Run, wired: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """No argument, as early scripts call it, does nothing; a bucket's file stays; after the end it is an error."""
    assert run.save() is True
    assert run.save("s3://bucket/model.pt") == []
    assert "not on this machine" in caplog.text
    assert events(wired, FileSaved) == []
    run.finish()
    with pytest.raises(FinishedRun):
        run.save("a.pt")


def test_policies(run: Run, wired: Connection, folder: Path) -> None:
    """ "now" keeps a file as it was, "end" as it is at the end, "live" both; what has not changed is kept once."""
    for policy in ("now", "end", "live"):
        Path(f"{policy}.txt").write_text("first")
        run.save(f"{policy}.txt", policy=policy)  # type: ignore[arg-type]
    assert _saved(run, wired) == {"now.txt": "first", "live.txt": "first"}
    for policy in ("now", "end", "live"):
        Path(f"{policy}.txt").write_text("second!")
    run.save("a.pt")
    run.finish()
    assert _saved(run, wired) == {"now.txt": "first", "end.txt": "second!", "live.txt": "second!", "a.pt": "a.pt"}
    assert len([told for told in events(wired, FileSaved) if told.name == "a.pt"]) == 1


def test_live_files_are_looked_at(run: Run, wired: Connection, folder: Path) -> None:
    """A change is kept while the run goes on."""
    run._saver = Saver(run, look_seconds=0.01)
    run.save("a.pt")
    Path("a.pt").write_text("changed")
    for _ in range(1000):
        if _saved(run, wired)["a.pt"] == "changed":
            return
        threading.Event().wait(0.01)
    raise AssertionError("not within 10 s")


def test_training_goes_on(run: Run, wired: Connection, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is gone, and a place that cannot be written, are told of once each."""
    run.save("a.pt", policy="end")
    Path("a.pt").unlink()
    Path(run.blobs.where).parent.mkdir(parents=True, exist_ok=True)
    Path(run.blobs.where).write_text("in the way")
    with caplog.at_level(logging.WARNING, "besom"):
        run.save("b.pt", policy="live")
        run.finish()
    messages = [record.message for record in caplog.records if "is not saved" in record.message]
    assert [message.partition(" is not")[0].rpartition("/")[2] for message in messages] == ["b.pt", "a.pt"]
    assert run.state == "finished"


def test_code(run: Run, wired: Connection) -> None:
    """Python files of the folder become an artifact; functions choose others, with one parameter or two."""
    artifact = run.log_code()
    assert artifact is not None
    assert (sorted(artifact.entries), artifact.type) == (["main.py", "sub/lib.py"], "code")
    assert run.log_code(name="none", include_fn=lambda path: False) is None
    chosen = run.log_code(
        ".", "chosen", lambda path, root: path.startswith(root) and "." in path, lambda path: path.endswith(".pt")
    )
    assert chosen is not None
    assert sorted(chosen.entries) == ["main.py", "notes.txt", "sub/lib.py"]
    assert [told.name for told in events(wired, ArtifactLogged)][-1] == "chosen"


@pytest.mark.parametrize(("given", "kept"), [({"save_code": True}, True), ({}, False)])
def test_the_script_is_kept(
    wired: Connection, folder: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], kept: bool
) -> None:
    """`save_code=True` keeps what runs as code/NAME, unless code is switched off."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(folder / "main.py"), raising=False)
    with besom.init(**given) as run:
        pass
    assert _saved(run, wired) == ({"code/main.py": "main.py"} if kept else {})
    monkeypatch.setenv("WANDB_DISABLE_CODE", "true")
    with besom.init(save_code=True) as run:
        pass
    assert len(events(wired, FileSaved)) == kept


def test_a_disabled_run_saves_nothing(wired: Connection, folder: Path) -> None:
    """It says False, as W&B does."""
    with besom.init(mode="disabled"):
        assert besom.save("a.pt") is False
    assert events(wired, FileSaved) == []


def test_without_a_run() -> None:
    """`besom.save` and `besom.restore` need one, and say so."""
    with pytest.raises(UsageError, match=r"besom.init\(\) before besom.save"):
        besom.save("a.pt")
    with pytest.raises(UsageError, match=r"besom\.restore"):
        besom.restore("a.pt")
