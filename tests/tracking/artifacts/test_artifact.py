"""Artifacts from a script's side: filled, logged, found again, downloaded and checked."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.errors import FinishedRun, NotFound, Unreachable, UsageError
from besom.messages import ArtifactLogged
from besom.settings import read_settings
from besom.tracking.artifacts.artifact import Artifact
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.media.html import Html
from besom.tracking.media.table import Table
from besom.tracking.reading.api import Api
from besom.tracking.run.init import init
from besom.tracking.run.run import Run
from tests.tracking.desk import FlakyJournal, events


@pytest.fixture
def run(wired: Connection, read_after_write: None) -> Run:
    """A run whose artifacts are recorded whenever something is read."""
    return init(project="p", entity="e", id="r")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with two files, one of them in a folder."""
    folder = tmp_path / "files"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "b.txt").write_text("bb")
    return folder


def texts(folder: str | Path) -> dict[str, str]:
    root = Path(folder)
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_there_and_back(run: Run, files: Path, tmp_path: Path) -> None:
    """What is logged is found by version, alias and "latest", and downloaded as it was."""
    artifact = Artifact("data", "dataset", description="two files", metadata={"rows": 2})
    artifact.add_dir(files, name="raw")
    artifact.add_file(files / "a.txt", name="copy.txt")
    assert run.log_artifact(artifact, aliases=["best"]) is artifact
    (files / "a.txt").write_text("changed afterwards")
    for path in ("data:v0", "data:best", "data:latest", "data", "p/data:v0", "e/p/data:v0"):
        found = run.use_artifact(path, type="dataset")
        assert (found.name, found.qualified_name, found.version) == ("data:v0", "e/p/data:v0", "v0")
    assert (found.description, found.metadata, found.aliases) == ("two files", {"rows": 2}, ["best", "latest"])
    assert (found.size, found.file_count, found.digest) == (4, 3, artifact.digest)
    folder = found.download(tmp_path / "out")
    assert texts(folder) == {"raw/a.txt": "a", "raw/deep/b.txt": "bb", "copy.txt": "a"}


def test_same_content_is_the_same_version(run: Run, files: Path, tmp_path: Path) -> None:
    """The order of adding is not content, a changed byte is; equal files are kept once."""
    for order in (["a.txt", "deep/b.txt"], ["deep/b.txt", "a.txt"]):
        artifact = Artifact("data", "dataset")
        for name in order:
            artifact.add_file(files / name)
        assert run.log_artifact(artifact).wait().version == "v0"
    (files / "a.txt").write_text("A")
    newer = run.log_artifact(files, name="data", type="dataset").wait()
    assert (newer.version, newer.name, newer.aliases) == ("v1", "data:v1", ["latest"])
    blobs = [path for path in (tmp_path / "home" / "blobs").rglob("*") if path.is_file()]
    assert len(blobs) == 3 + 2  # a, bb, A and two manifests


def test_a_path_becomes_an_artifact(run: Run, files: Path) -> None:
    """A file has a name made of run and file, and `file()` gives it back."""
    run.log_artifact(files / "a.txt")
    found = run.use_artifact("run-r-a.txt:latest")
    assert found.type == "unspecified"
    assert Path(found.file(files / "out")).read_text() == "a"


def test_download_goes_to_a_folder_of_its_own(run: Run, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `root` it is artifacts/name:version in the working directory."""
    monkeypatch.chdir(files)
    run.log_artifact(files / "a.txt", name="one", type="t")
    assert run.use_artifact("one:v0").download() == "artifacts/one:v0"
    assert texts(files / "artifacts" / "one:v0") == {"a.txt": "a"}


def test_download_repairs_and_checks(run: Run, files: Path, tmp_path: Path) -> None:
    """A file that was changed is written anew; a damaged blob is refused and leaves no file."""
    run.log_artifact(files / "a.txt", name="one", type="t")
    found = run.use_artifact("one:v0")
    path = Path(found.file(tmp_path / "out"))
    path.write_text("changed")
    found.download(tmp_path / "out")
    assert path.read_text() == "a"
    sha256 = found.entries["a.txt"].sha256
    (tmp_path / "home" / "blobs" / sha256[:2] / sha256).write_text("x")
    with pytest.raises(Unreachable, match="damaged"):
        found.download(tmp_path / "other")
    assert texts(tmp_path / "other") == {}


def test_new_files(run: Run) -> None:
    """Text and bytes can be written straight into it; a block that raises adds nothing."""
    artifact = Artifact("model", "model")
    with artifact.new_file("config.json") as file:
        json.dump({"lr": 1}, file)
    with artifact.new_file("weights", mode="wb") as file:
        file.write(b"\x00\x01")
    with suppress(KeyError), artifact.new_file("half") as file:
        raise KeyError
    assert sorted(artifact.entries) == ["config.json", "weights"]
    assert artifact.blobs.read(artifact.entries["weights"].sha256) == b"\x00\x01"
    with pytest.raises(ValueError, match="already"), artifact.new_file("weights"):
        pass


def test_tables_and_media(run: Run, tmp_path: Path) -> None:
    """A table comes back with `get`, and the pages in its cells are files of the artifact."""
    artifact = Artifact("preds", "predictions")
    artifact.add(Table(["id", "page"], [[1, Html("<p>x", inject=False)]]), "all")
    artifact.add(Html("<p>y", inject=False), "one")
    run.log_artifact(artifact)
    found = run.use_artifact("preds:latest")
    table = found.get("all")
    assert (table.columns, table.get_column("id")) == (["id", "page"], [1])
    out = texts(found.download(tmp_path / "out"))
    assert out[table.get_column("page")[0]["path"]] == "<p>x"
    assert out[json.loads(out["one.html.json"])["path"]] == "<p>y"
    with pytest.raises(KeyError):
        found.get("nope")


def test_references(run: Run, files: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file:// is copied from where it lies while it is the same; others are told and left."""
    artifact = Artifact("refs", "dataset")
    artifact.add_reference(files.as_uri(), name="all")
    artifact.add_reference("s3://bucket/key.bin")
    run.log_artifact(artifact)
    found = run.use_artifact("refs:v0")
    with caplog.at_level(logging.WARNING, "besom"):
        assert texts(found.download(tmp_path / "out")) == {"all/a.txt": "a", "all/deep/b.txt": "bb"}
    assert "s3://bucket/key.bin" in caplog.text
    (files / "a.txt").write_text("A")
    with pytest.raises(Unreachable, match="has changed"):
        found.download(tmp_path / "again")


def test_the_api_reads_it(run: Run, files: Path) -> None:
    """`Api().artifact` finds it without a run; what is not there and another type are errors."""
    run.log_artifact(files, name="data", type="dataset")
    api = Api()
    try:
        assert api.artifact("p/data:latest").file_count == 2
        for path in ("data:v1", "q/data", "other"):
            with pytest.raises(NotFound, match=path):
                api.artifact(path)
        with pytest.raises(UsageError, match="of type 'dataset', not 'model'"):
            api.artifact("data:v0", type="model")
        with pytest.raises(UsageError, match="is no artifact"):
            api.artifact("a/b/c/d")
    finally:
        api.close()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Artifact("a/b", "t"), ValueError),
        (lambda: Artifact("", "t"), ValueError),
        (lambda: Artifact("a", ""), ValueError),
        (lambda: Artifact("a", "t", metadata=[1]), TypeError),  # type: ignore[arg-type]
        (lambda: Artifact("a", "t", metadata={"x": object()}), TypeError),
        (lambda: Artifact("a", "t").add_file("nowhere"), ValueError),
        (lambda: Artifact("a", "t").add_file(__file__, name="../x"), ValueError),
        (lambda: Artifact("a", "t").add_file(__file__, name="/x"), ValueError),
        (lambda: Artifact("a", "t").add_dir("nowhere"), ValueError),
        (lambda: Artifact("a", "t").add_reference("just a name"), ValueError),
        (lambda: Artifact("a", "t").add_reference("file:///nowhere/at/all"), ValueError),
        (lambda: Artifact("a", "t").add({"a": 1}, "x"), TypeError),  # type: ignore[arg-type]
        (lambda: Artifact("a", "t").file(), ValueError),
        (lambda: Artifact("a", "t").version, UsageError),
    ],
)
def test_misuse(make: Callable[[], Any], error: type[Exception]) -> None:
    """Names, paths and files that cannot be are refused where they are written."""
    with pytest.raises(error):
        make()


def test_one_name_one_file(files: Path) -> None:
    """The same file twice is harmless, another under its name is refused."""
    artifact = Artifact("a", "t")
    artifact.add_file(files / "a.txt")
    artifact.add_file(files / "a.txt")
    with pytest.raises(ValueError, match="another file"):
        artifact.add_file(files / "deep" / "b.txt", name="a.txt")


def test_what_was_logged_does_not_change(run: Run, files: Path) -> None:
    """After `log_artifact` nothing is added; after `finish` nothing is logged; aliases are checked."""
    artifact = run.log_artifact(files / "a.txt", name="a", type="t")
    with pytest.raises(UsageError, match="was logged"):
        artifact.add_file(files / "deep" / "b.txt")
    for alias in ("v3", "a:b", "a/b", ""):
        with pytest.raises(UsageError, match="alias"):
            run.log_artifact(files, name="b", type="t", aliases=[alias])
    artifact = Artifact("big", "t", metadata={str(n): "x" * 1000 for n in range(1000)})
    with pytest.raises(UsageError, match="add it as a file"):
        run.log_artifact(artifact)
    run.finish()
    with pytest.raises(FinishedRun):
        run.log_artifact(files, name="b", type="t")


def test_a_full_disk_does_not_stop_training(
    run: Run, files: Path, wired: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that cannot be kept is a warning, and the artifact is told as not recorded instead of half recorded."""

    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Blobs, "put", full)
    artifact = Artifact("a", "t")
    with caplog.at_level(logging.WARNING, "besom"):
        artifact.add_file(files / "a.txt")
        run.log_artifact(artifact)
    assert "No space left" in caplog.messages[0]
    assert "is not recorded" in caplog.messages[1]
    assert events(wired, ArtifactLogged) == []


def test_redis_that_is_away_gets_it_later(run: Run, files: Path, wired: Connection) -> None:
    """What cannot be told at once is told, in order, when Redis is back."""

    class Away(FlakyJournal):
        def append(self, *arguments: Any, **named: Any) -> str:
            if self.failures > 0:
                self.failures -= 1
                raise Unreachable("Redis does not answer: switched off")
            return super().append(*arguments, **named)

    run._writer._journal = Away(wired, failures=1)
    run.log_artifact(files / "a.txt", name="a", type="t")
    assert events(wired, ArtifactLogged) == []
    run.log_artifact(files / "a.txt", name="b", type="t")
    assert [event.name for event in events(wired, ArtifactLogged)] == ["a", "b"]
    run._writer._journal = Away(wired, failures=1)
    run.log_artifact(files / "a.txt", name="c", type="t")
    run.finish()
    assert [event.name for event in events(wired, ArtifactLogged)] == ["a", "b", "c"]


def test_blobs_of_another_place(run: Run, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the manifest is not seen, the error names BESOM_BLOBS."""
    run.log_artifact(files, name="data", type="dataset")
    monkeypatch.setenv("BESOM_BLOBS", str(tmp_path / "elsewhere"))
    with pytest.raises(Unreachable, match="BESOM_BLOBS"):
        run.use_artifact("data:v0")
    assert read_settings().blobs == str(tmp_path / "elsewhere")


def test_one_file_alone(run: Run, files: Path, tmp_path: Path) -> None:
    """Only it is fetched, to where `download` would put it; a path that there is not is a KeyError."""
    artifact = Artifact("data", "dataset")
    artifact.add_dir(files)
    run.log_artifact(artifact)
    entry = run.use_artifact("data:latest").get_entry("deep/b.txt")
    assert (entry.path, entry.size, entry.ref) == ("deep/b.txt", 2, "")
    assert entry.download(tmp_path / "got") == str(tmp_path / "got/deep/b.txt")
    assert [path.name for path in (tmp_path / "got").rglob("*.txt")] == ["b.txt"]
    with pytest.raises(KeyError, match=r"has no file 'c\.txt'"):
        artifact.get_path("c.txt")


def test_what_a_run_logged(run: Run) -> None:
    """Its versions, in order; content that another had logged before is that one's."""
    for number, name in enumerate(("b", "a", "b")):
        artifact = Artifact(name, "text")
        with artifact.new_file("x.txt") as file:
            file.write(str(number))
        run.log_artifact(artifact)
    run.finish()
    other = init(project="p", entity="e", id="other")
    again = Artifact("a", "text")
    with again.new_file("x.txt") as file:
        file.write("1")
    other.log_artifact(again)
    api = Api()
    assert [artifact.name for artifact in api.run("e/p/r").logged_artifacts()] == ["b:v0", "a:v0", "b:v1"]
    assert api.run("e/p/other").logged_artifacts() == []
