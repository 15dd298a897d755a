"""Tables: what they take, what they refuse, and the JSON file that is kept."""

from __future__ import annotations

import datetime
import json
import logging
from typing import Any

import numpy as np
import pandas as pd
import pytest

from besom.tracking.media import table as table_module
from besom.tracking.media.html import Html
from besom.tracking.media.table import Table

from .conftest import Shelf


def kept(table: Table, shelf: Shelf) -> Any:
    return json.loads(shelf.blobs.read(table.to_logged(shelf, "k", 0)["sha256"]))


@pytest.mark.parametrize(
    "table",
    [
        Table(columns=["a", "b"], data=[[1, "x"], [2.5, "y"]]),
        Table(["a", "b"], rows=[[1, "x"], [2.5, "y"]]),
        Table(dataframe=pd.DataFrame({"a": [1, 2.5], "b": ["x", "y"]})),
        Table(data=pd.DataFrame({"a": [1, 2.5], "b": ["x", "y"]})),
        Table(columns=["a", "b"], data=np.array([[1, "x"], [2.5, "y"]], object)),
    ],
)
def test_ways_to_make_one(table: Table, shelf: Shelf) -> None:
    """Rows, W&B's older names, a DataFrame and an array give the same file."""
    assert kept(table, shelf) == {"columns": ["a", "b"], "data": [[1, "x"], [2.5, "y"]]}


def test_its_json(shelf: Shelf) -> None:
    """W&B's `table-file` with numbers of rows and columns, path, sha256 and size."""
    told = Table(["a"], [[1], [2], [3]]).to_logged(shelf, "val/t", 4)
    path = f"media/table/val/t_4_{told['sha256'][:20]}.table.json"
    size = len(shelf.blobs.read(told["sha256"]))
    expected = {"_type": "table-file", "nrows": 3, "ncols": 1, "path": path, "sha256": told["sha256"], "size": size}
    assert told == expected


def test_rows_and_columns_are_added() -> None:
    """`add_data`, `add_column` and `get_column` see each other's cells."""
    table = Table(columns=["a"])
    table.add_data(1)
    table.add_row(2)
    table.add_column("b", np.array([0.5, 1.5]))
    table.add_data(3, 2.5)
    assert table.get_column("b") == [0.5, 1.5, 2.5]
    np.testing.assert_array_equal(table.get_column("a", convert_to="numpy"), [1, 2, 3])
    assert [row for _, row in table.iterrows()] == [[1, 0.5], [2, 1.5], [3, 2.5]]
    assert table.get_dataframe()["b"].sum() == 4.5


def test_a_table_may_start_with_a_column() -> None:
    """`add_column` on an empty table makes its rows."""
    table = Table(columns=[])
    table.add_column("a", [1, 2])
    assert table.data == [[1], [2]]


def test_cells_become_plain(shelf: Shelf) -> None:
    """numpy numbers, dates, lists and None have a plain form; NaN becomes null in the file."""
    when = datetime.date(2020, 1, 2)
    table = Table(["a", "b", "c", "d"], [[np.float32(0.5), when, [np.int64(1)], None], [np.nan, when, [], None]])
    assert kept(table, shelf)["data"] == [[0.5, "2020-01-02", [1], None], [None, "2020-01-02", [], None]]


def test_a_long_text_is_a_cell(shelf: Shelf) -> None:
    """The limit of values in a row does not hold for tables."""
    assert kept(Table(["a"], [["x" * 100_000]]), shelf)["data"] == [["x" * 100_000]]


def test_media_in_cells(shelf: Shelf) -> None:
    """A cell of media is kept as a blob of its own, and is told in the file as its JSON."""
    table = Table(["id", "page"], [[1, Html("<p>one")]])
    ((_, cell),) = kept(table, shelf)["data"]
    assert cell["_type"] == "html-file"
    assert b"<p>one" in shelf.blobs.read(cell["sha256"])


@pytest.mark.parametrize(
    ("columns", "data", "options", "error"),
    [
        (["a"], [[1, 2]], {}, ValueError),
        (["a"], [[1], ["x"]], {}, TypeError),
        (["a"], [[1], [True]], {}, TypeError),
        (["a"], [[None]], {"optional": False}, TypeError),
        (["a"], [["x"]], {"dtype": float}, TypeError),
        (["a"], [[object()]], {}, TypeError),
        ("abc", [[1]], {}, TypeError),
        (5, [[1]], {}, TypeError),
        (["a"], [1, 2], {}, TypeError),
        (["a"], "text", {}, TypeError),
        (["a"], [[1]], {"log_mode": "SOMETIMES"}, ValueError),
        (["a"], [[1]], {"dtype": [int, str]}, ValueError),
    ],
)
def test_misuse(columns: Any, data: Any, options: dict[str, Any], error: type[Exception]) -> None:
    """Rows of another length, mixed types and what is no table are refused where they are written."""
    with pytest.raises(error):
        Table(columns, data, **options)


def test_a_refused_row_or_column_leaves_nothing() -> None:
    """After a refusal the table is as it was."""
    table = Table(["a"], [[1], [2]])
    with pytest.raises(TypeError, match="holds number"):
        table.add_data("x")
    with pytest.raises(TypeError, match="holds number"):
        table.add_column("b", [1, "x"])
    with pytest.raises(ValueError, match="2 rows"):
        table.add_column("b", [1])
    with pytest.raises(ValueError, match="already"):
        table.add_column("a", [1, 2])
    with pytest.raises(KeyError):
        table.get_column("b")
    assert (table.columns, table.data) == (["a"], [[1], [2]])
    table.add_data(3)


def test_mixed_types_can_be_allowed() -> None:
    """`allow_mixed_types` lets a column hold numbers and text."""
    assert Table(["a"], [[1], ["x"]], allow_mixed_types=True).get_column("a") == [1, "x"]


def test_no_columns_named() -> None:
    """Three columns are Input, Output, Expected, as in W&B; any other number is counted."""
    assert Table().columns == ["Input", "Output", "Expected"]
    assert Table(data=[[1, 2]]).columns == [0, 1]


def test_long_tables_are_cut(shelf: Shelf, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is above the limit of rows is left out with a warning that names both numbers."""
    monkeypatch.setattr(table_module, "ROWS_LIMIT", 2)
    with caplog.at_level(logging.WARNING, "besom"):
        told = Table(["a"], [[1], [2], [3]]).to_logged(shelf, "k", 0)
    assert told["nrows"] == 2
    assert "first 2 of 3 rows" in caplog.text
