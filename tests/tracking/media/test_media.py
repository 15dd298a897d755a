"""What all media share: limits, names, lists, and how `log` meets them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from besom.broker.connection import Connection
from besom.errors import UsageError
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.folder import Folder
from besom.tracking.media import media as media_module
from besom.tracking.media.histogram import Histogram
from besom.tracking.media.html import Html
from besom.tracking.media.media import MediaList, keep_file, path_of, to_json
from besom.tracking.media.recognise import as_media
from besom.tracking.media.table import Table
from besom.tracking.run.init import init
from besom.tracking.run.run import Run
from tests.tracking.desk import decoded

from .conftest import Shelf


@pytest.fixture
def run(wired: Connection) -> Iterator[Run]:
    started = init(project="p", id="r")
    yield started
    started.finish()


def rows(run: Run, connection: Connection) -> dict[str, list[tuple[int, Any]]]:
    run.finish()
    return {key: points for key, points in decoded(connection, "r").items() if key != "_timestamp"}


def test_a_row_holds_media(run: Run, fake: Connection) -> None:
    """Media, lists and dicts of them stand in the row as JSON, beside plain values and at the row's step."""
    run.log(
        {"loss": 1.0, "page": Html("a"), "pages": [Html("b"), Html("c")], "all": {"page": Html("d"), "n": 2}}, step=4
    )
    found = rows(run, fake)
    ((step, page),) = found["page"]
    assert step == 4
    assert page["path"].startswith("media/html/page_4_")
    assert b"a" in Blobs(Folder(Path(run.blobs.where))).read(page["sha256"])
    assert [one["_type"] for one in found["pages"][0][1]] == ["html-file", "html-file"]
    assert found["all"][0][1]["page"]["_type"] == "html-file"
    assert (found["all"][0][1]["n"], found["loss"]) == (2, [(4, 1.0)])


def test_what_libraries_make(run: Run, fake: Connection) -> None:
    """A DataFrame becomes a table without being asked."""
    run.log({"frame": pd.DataFrame({"a": [1, 2]})})
    ((_, told),) = rows(run, fake)["frame"]
    assert (told["_type"], told["nrows"], told["ncols"]) == ("table-file", 2, 1)


def test_what_cannot_be_kept_is_one_warning(
    run: Run, fake: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is too large, gone, or a full disk leaves the row without it, and is told once for each name."""
    monkeypatch.setattr(media_module, "SIZE_LIMIT", 30)
    with caplog.at_level(logging.WARNING, "besom"):
        for _ in range(3):
            run.log({"page": Html("x" * 100), "loss": 1.0})
    monkeypatch.setattr(run.blobs, "put", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with caplog.at_level(logging.WARNING, "besom"):
        run.log({"full": Html(""), "loss": 1.0})
    assert len(caplog.messages) == 2
    assert "at most 30" in caplog.messages[0]
    assert "No space left" in caplog.messages[1]
    found = rows(run, fake)
    assert set(found) == {"loss"}
    assert [step for step, _ in found["loss"]] == [0, 1, 2, 3]


def test_a_dropped_row_keeps_no_file(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """Media of a step that is past is not stored."""
    run.log({"a": 1}, step=5)
    run.log({"page": Html("late")}, step=2)
    assert not Path(run.blobs.where).exists()
    assert len(caplog.messages) == 1


def test_media_is_no_config(run: Run) -> None:
    """Config and summary hold plain values."""
    with pytest.raises(TypeError):
        run.config.update({"page": Html("x")})


@pytest.mark.parametrize("value", [1, 2.0, "x", None, True, [], [1, 2], {}, {"a": {"b": 1}}, np.ones(3), ("a", Html)])
def test_what_is_no_media(value: Any) -> None:
    """Plain values pass by."""
    assert as_media(value) is None


def test_lists_are_of_one_class() -> None:
    """Two kinds of media in one list are refused, and both are named."""
    with pytest.raises(ValueError, match="Histogram, Html"):
        as_media([Html("x"), Histogram([1])])


def test_long_lists_are_cut(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """108 are kept, as in W&B."""
    with caplog.at_level(logging.WARNING, "besom"):
        assert len(MediaList([Histogram([1])] * 110).to_logged(shelf, "k", 0)) == 108
    assert len(caplog.messages) == 1


def test_tables_keep_media_lists(shelf: Shelf) -> None:
    """A list of pages is a cell too."""
    told = Table(["a"], [[[Html("x"), Html("y")]]]).to_logged(shelf, "k", 0)
    ((cell,),) = json.loads(shelf.blobs.read(told["sha256"]))["data"]
    assert len(cell) == 2


def test_limit_of_size(shelf: Shelf, tmp_path: Path) -> None:
    """A file above 100 MB is refused before it is read."""
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(media_module.SIZE_LIMIT + 1)
    with pytest.raises(UsageError, match="at most 100000000"):
        keep_file(shelf.blobs, path, "k", ".bin")


@pytest.mark.parametrize(
    ("name", "path"),
    [("a/b_1", "a/b_1"), ("../x", "_/x"), ("/x", "_/x"), ("a:b?*", "a_b__"), ("a//b", "a/_/b"), ("ä", "ä")],
)
def test_names_become_paths(name: str, path: str) -> None:
    """A slash makes folders as in W&B; nothing leads out of them."""
    assert path_of(name) == path


def test_files_are_strict_json() -> None:
    """NaN becomes null, and half characters do not stop a file."""
    assert json.loads(to_json({"a": float("nan"), "b": "\ud800"})) == {"a": None, "b": "?"}
