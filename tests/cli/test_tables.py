"""Tables and facts: aligned text, a terminal's table, JSON, and values in few characters."""

from __future__ import annotations

import json
import math
import time

import pytest

from besom.cli import tables
from besom.cli.tables import Column, clean, duration, moment, print_facts, print_json, print_table, short, size

ROWS = [{"id": "a", "n": 1, "v": 0.123456789}, {"id": "long-id", "n": 22, "v": None}]
COLUMNS = ["id", Column("n", "how many", right=True), Column("v", right=True)]


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """Heads without spaces, numbers to the right, '-' for what is not there."""
    print_table(ROWS, COLUMNS)
    assert capsys.readouterr().out == (
        "id       how_many         v\n"
        "a               1  0.123457\n"
        "long-id        22         -\n"
    )  # fmt: skip


def test_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table is its head, and as JSON an empty list."""
    print_table([], ["id", "state"])
    print_table([], ["id"], as_json=True)
    assert capsys.readouterr().out == "id  state\n[]\n"


def test_json_has_all_that_a_row_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is not cut to the columns shown."""
    print_table(ROWS, ["id"], as_json=True)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_a_terminal_gets_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the first column, which a user copies, is whole even when there is little room."""
    monkeypatch.setattr(tables, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "24")
    print_table([{"id": "k3x9a2bq-1234", "text": "many words that do not fit"}], ["id", "text"])
    lines = capsys.readouterr().out.splitlines()
    assert any("k3x9a2bq-1234" in line for line in lines)
    assert all(len(line) <= 24 for line in lines)


def test_facts(capsys: pytest.CaptureFixture[str]) -> None:
    """Mappings and lists are indented below their name."""
    print_facts({"state": "running", "config": {"lr": 0.1, "deep": [1]}, "tags": ["x", "y"], "none": None})
    assert capsys.readouterr().out.splitlines() == [
        "state   running",
        "config  lr    0.1",
        "        deep  [1]",
        "tags    x",
        "        y",
        "none    -",
    ]


def test_json_is_strict(capsys: pytest.CaptureFixture[str]) -> None:
    """NaN and infinities, at any depth, become null."""
    print_json({"a": math.nan, "b": [math.inf, {"c": -math.inf}], "d": 1.5, "é": "ü"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": None, "b": [None, {"c": None}], "d": 1.5, "é": "ü"}
    assert "é" in out


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1 + 0.2, "0.3"),
        (1e-7, "1e-07"),
        (3, "3"),
        (True, "true"),
        ("text", "text"),
        ([1, "a"], '[1, "a"]'),
        ({"a": math.nan}, '{"a": null}'),
    ],
)
def test_short(value: object, text: str) -> None:
    """Six digits of a number, JSON for what has parts."""
    assert short(value) == text


def test_clean_disarms_a_terminal() -> None:
    """Escapes and line ends become spaces, and a long text is cut."""
    assert clean("a\x1b[2Jb\nc\td\x07") == "a [2Jb c d "
    assert len(clean("x" * 1000)) == 200


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5234, "0.52 s"), (9.999, "10.00 s"), (12.4, "12 s"), (187, "3:07"), (3599.9, "1:00:00"), (3723, "1:02:03")],
)
def test_duration(seconds: float, text: str) -> None:
    """Seconds below a minute, then minutes and hours."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_000_000, "2.0 MB"), (3 * 10**12, "3.0 TB")]
)
def test_size(count: int, text: str) -> None:
    """Decimal units."""
    assert size(count) == text


@pytest.mark.parametrize(("passed", "text"), [(5, "5s"), (180, "3m"), (7300, "2h"), (200_000, "2d"), (-60, "0s")])
def test_ago(passed: float, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One unit, never below zero when clocks differ."""
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    assert tables.ago(1_000_000.0 - passed) == text
    assert str(moment(1_000_000.0 - passed)).endswith(f"({text} ago)")


def test_no_moment() -> None:
    """What has not happened has no time."""
    assert moment(None) is None
