"""What was saved comes back: by `restore`, and by `Api().run(...).files()`."""

from __future__ import annotations

from pathlib import Path

import pytest

import besom
from besom.broker.connection import Connection
from besom.errors import NotFound, Unreachable, UsageError
from besom.messages import FileSaved
from besom.tracking.reading.api import Api
from besom.tracking.run.run import Run


@pytest.fixture
def run(wired: Connection, read_after_write: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run that has saved two files and logged a page; what it does is recorded whenever something is read."""
    (tmp_path / "cwd" / "models").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "cwd")
    Path("models/best.pt").write_text("best")
    Path("notes.txt").write_text("notes")
    run = besom.init(project="p", entity="e", id="r")
    run.save("models/*")
    run.save("notes.txt")
    run.log({"page": besom.Html("<b>x</b>")})
    run._writer.flush()
    return run


def test_files_of_a_run(run: Run, tmp_path: Path) -> None:
    """Saved files and media by name, size and content; what is there is not written over unasked."""
    found = Api().run("e/p/r").files()
    page = found[0]
    assert [(file.name, file.size) for file in found[1:]] == [("models/best.pt", 4), ("notes.txt", 5)]
    assert page.name.startswith("media/html/page_0_")
    assert page.updated_at is None
    assert (found[1].updated_at or "").endswith("Z")
    for file in found:
        with file.download(tmp_path / "out") as opened:
            assert len(opened.read()) == file.size
    with pytest.raises(ValueError, match="replace=True"):
        found[1].download(tmp_path / "out")
    (tmp_path / "out" / "models" / "best.pt").write_text("mine")
    with found[1].download(tmp_path / "out", exist_ok=True) as opened:
        assert opened.read() == "mine"
    with found[1].download(tmp_path / "out", replace=True) as opened:
        assert opened.read() == "best"


def test_some_files(run: Run) -> None:
    """By names, by W&B's pattern, or one; a name that is not there is an error that shows it."""
    found = Api().run("r")
    assert [file.name for file in found.files(["notes.txt", "gone"])] == ["notes.txt"]
    assert [file.name for file in found.files(pattern="%.pt")] == ["models/best.pt"]
    assert found.file("notes.txt").size == 5
    with pytest.raises(NotFound, match=r"no file 'gone' at run e/p/r"):
        found.file("gone")


def test_restore(run: Run, tmp_path: Path) -> None:
    """The active run's file, or another run's; a file that is there is opened as it is, unless it is to be replaced."""
    Path("notes.txt").write_text("mine")
    with besom.restore("notes.txt", root=".") as file:
        assert file.read() == "mine"
    with besom.restore("notes.txt", root=".", replace=True) as file:
        assert (file.read(), Path(file.name)) == ("notes", Path("notes.txt"))
    run.finish()
    with besom.restore("models/best.pt", "e/p/r", root=tmp_path / "elsewhere") as file:
        assert file.read() == "best"
    with besom.init(project="p") as other, other.restore("models/best.pt", "r") as file:
        assert (file.read(), file.name) == ("best", f"{other.dir}/models/best.pt")


def test_a_changed_file_comes_back_as_it_was_last(run: Run, tmp_path: Path) -> None:
    """The newest content of a name counts."""
    Path("notes.txt").write_text("newer")
    run.finish()
    with Api().run("r").file("notes.txt").download(tmp_path) as file:
        assert file.read() == "newer"


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_name_never_leads_out(run: Run, name: str, tmp_path: Path) -> None:
    """Whatever a run calls its file, it is written below the folder or not at all."""
    run.tell(FileSaved(run="r", name=name, sha256=run.blobs.put(b"x"), size=1))
    with pytest.raises(UsageError, match="cannot be a file's name"):
        Api().run("r").file(name).download(tmp_path / "out")
    with pytest.raises(UsageError, match="cannot be a file's name"):
        besom.restore(name)
    assert not (tmp_path / "evil").exists()


def test_content_that_is_gone(run: Run, tmp_path: Path) -> None:
    """A file whose blob is not there says so, and leaves nothing."""
    found = Api().run("r").file("notes.txt")
    (Path(run.blobs.where) / found.sha256[:2] / found.sha256).unlink()
    with pytest.raises(Unreachable, match="no blob"):
        found.download(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
