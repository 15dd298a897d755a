"""`besom runs`, `besom export` and `besom backup` over a filled store."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import stat
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from pyarrow import parquet

from besom.cli.curve import sparkline
from besom.messages import RunAlerted
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.store import Store, get_meta, set_meta
from tests.tracking.stories import play

from .conftest import Besom


def test_runs_as_a_table(told: Store, besom: Besom) -> None:
    """Newest first, one line each, those of one project when it is named."""
    answer = besom("runs", "me/p", "--order", "+number")
    lines = answer.out.splitlines()
    assert lines[0].split() == ["id", "project", "name", "state", "sweep", "group", "tags", "value", "age"]
    assert [line.split()[0] for line in lines[1:]] == ["r1", "s1-1", "s1-2", "s1-3", "s1-4", "s1-5"]
    assert len(besom("runs", "-n", "2").out.splitlines()) == 3
    assert besom("runs", "other").out.splitlines()[1:] == []


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (["state=finished", "sweep=s1"], ["s1-1", "s1-2"]),
        (["config.x<0.25"], ["s1-1", "s1-2"]),
        (["config.x>=0.2", "state!=failed", "config.x<0.5"], ["s1-2", "s1-4"]),
        (["summary_metrics.loss=0.5"], ["s1-1"]),
        (["name~^r"], ["r1"]),
        (["state=[]"], []),
    ],
)
def test_filtered_runs(filters: list[str], ids: list[str], told: Store, besom: Besom) -> None:
    """All conditions hold; the rows as JSON have config and summary."""
    options = [part for text in filters for part in ("--filter", text)]
    rows = json.loads(besom("runs", *options, "--order", "number", "--json").out)
    assert [row["id"] for row in rows] == ids
    assert all({"config", "summary", "error"} <= row.keys() for row in rows)


@pytest.mark.parametrize(
    ("arguments", "told_so"),
    [
        (["--filter", "finished"], "FIELD=VALUE"),
        (["--filter", "lr=1"], "'lr' is no field of a run"),
        (["--filter", "name~("], r"$regex '('"),
        (["--order", "-lr"], "order '-lr'"),
    ],
)
def test_filters_that_cannot_be(arguments: list[str], told_so: str, told: Store, besom: Besom) -> None:
    """One sentence, exit code 2."""
    answer = besom("runs", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert told_so in answer.err


def test_a_sweep_as_csv(told: Store, besom: Besom) -> None:
    """A row for each run, nested config as dotted columns, and what a run has not is empty."""
    rows = list(csv.DictReader(io.StringIO(besom("export", "s1", "--format", "csv").out)))
    assert [row["id"] for row in rows] == [f"s1-{n}" for n in range(1, 6)]
    assert [row["summary.loss"] for row in rows] == ["0.5", "nan", "", "", ""]
    assert [row["config.x"] for row in rows] == ["0.1", "0.2", "0.3", "0.4", "0.5"]
    assert rows[4]["config.opt.name"] == "a b"
    assert rows[2]["error"].endswith("no")


def test_a_project_as_lines(told: Store, besom: Besom, tmp_path: Path) -> None:
    """Every step of every run; the file is there when it is whole, and its rows are counted."""
    file = tmp_path / "h.jsonl"
    answer = besom("export", "me/p", "--format", "jsonl", "--history", "-o", str(file))
    assert (answer.code, answer.out) == (0, f"6 rows in {file}\n")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [row for row in rows if row["run"] == "r1"] == [
        {"run": "r1", "_step": 0, "acc": 0.5}, {"run": "r1", "_step": 1, "acc": 0.75},
    ]  # fmt: skip
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith("h.")] == ["h.jsonl"]


def test_parquet(told: Store, besom: Besom, tmp_path: Path) -> None:
    """pyarrow reads back numbers as numbers, text as text, lists as JSON."""
    file = tmp_path / "t.parquet"
    assert besom("export", "s1", "--format", "parquet", "-o", str(file)).code == 0
    table = parquet.read_table(file)
    assert table.column("number").to_pylist() == [1, 2, 3, 4, 5]
    assert table.column("config.x").to_pylist() == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert table.column("state").to_pylist() == ["finished", "finished", "failed", "running", "crashed"]
    assert table.column("tags").to_pylist() == ["[]"] * 5
    assert besom("export", "s1", "--format", "parquet", "--history", "-o", str(file)).code == 0
    assert parquet.read_table(file).column("_step").to_pylist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "told_so"),
    [
        (["nothing", "--format", "csv"], "no sweep or project 'nothing'"),
        (["s1", "--format", "parquet"], "name a file with -o FILE"),
        (["s1", "--format", "csv", "-o", "missing/t.csv"], "missing/t.csv cannot be written: No such file"),
    ],
)
def test_exports_that_cannot_be(arguments: list[str], told_so: str, told: Store, besom: Besom) -> None:
    """The error says what to write; nothing is left behind."""
    answer = besom("export", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert told_so in answer.err


def test_parquet_without_pyarrow(told: Store, besom: Besom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the package and the other formats, and no file appears."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = besom("export", "s1", "--format", "parquet", "-o", str(tmp_path / "t.parquet"))
    assert answer.code == 2
    assert "pip install pyarrow" in answer.err
    assert not list(tmp_path.glob("t.*"))


def test_a_backup_while_somebody_writes(told: Store, besom: Besom, tmp_path: Path) -> None:
    """The copy is one file that opens as a store, holds one moment, and made the writer wait for nothing."""
    file, stop, written = tmp_path / "copy.db", threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            with told.begin() as conn:
                set_meta(conn, "x", str(len(written)))
                set_meta(conn, "y", str(len(written)))
            written.append(1)

    thread = threading.Thread(target=write)
    thread.start()
    answer = besom("backup", str(file))
    stop.set()
    thread.join()
    assert (answer.code, answer.err) == (0, "")
    assert "6 runs, checked" in answer.out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir() if found.name.startswith("copy")] == ["copy.db"]
    copy = Store.open(f"sqlite:///{file}", create=False)
    with copy.read() as conn:
        assert (copy.id, get_meta(conn, "x")) == (told.id, get_meta(conn, "y"))
    copy.close()
    again = besom("backup", str(file))
    assert (again.code, "exists; name a new file" in again.err) == (2, True)


def test_a_damaged_store_gives_no_backup(told: Store, besom: Besom, tmp_path: Path) -> None:
    """A copy that SQLite's own check refuses is not kept."""
    assert told.file is not None
    with closing(sqlite3.connect(told.file)) as conn:
        page = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs_project'").fetchone()[0]
        size = conn.execute("PRAGMA page_size").fetchone()[0]
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with told.file.open("r+b") as file:
        file.seek((page - 1) * size + size - 40)
        file.write(b"\x07" * 40)
    answer = besom("backup", str(tmp_path / "copy.db"))
    assert (answer.code, answer.out) == (2, "")
    assert "copy" in answer.err
    assert not list(tmp_path.glob("copy*"))


def test_show_lists_alerts(told: Store, besom: Besom) -> None:
    """The last ten, each with the first line of its text; as JSON all of them, whole."""
    many = [
        RunAlerted(run="s1-1", id=f"a{n}", title=f"title {n}", text=f"text {n}\nmore", level="WARN", at_ms=n * 1000)
        for n in range(12)
    ]
    play(told, Recorder(), many, first=1000)
    out = besom("show", "s1-1").out
    assert "alerts, the last 10 of 12" in out
    assert [line.split()[-5:] for line in out.splitlines() if " WARN " in line] == [
        ["WARN", "title", str(n), "text", str(n)] for n in range(2, 12)
    ]
    assert [alert["text"] for alert in json.loads(besom("show", "s1-1", "--json").out)["alerts"]] == [
        f"text {n}\nmore" for n in range(12)
    ]
    assert "alerts" not in besom("show", "s1-4").out


def test_show_draws_what_a_run_logged(told: Store, besom: Besom) -> None:
    """Each metric with its course, and the end of the console with both streams."""
    out = besom("show", "s1-1").out
    assert [line.split() for line in out.splitlines() if line.startswith("loss")] == [
        ["loss", "0.75", "█▁", "0.5", "0..1"]
    ]
    assert out.endswith("console\n  epoch 1\n  careful\n  epoch 2\n")
    assert "metrics" not in besom("show", "s1-4").out


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0.0, 1.0], "▁█"),
        ([3.0, 3.0], "▁▁"),
        ([float(n) for n in range(8)], "▁▂▃▄▅▆▇█"),
        ([0.0, float("nan"), 7.0], "▁ █"),
        ([-1.7e308, 1.7e308], "▁█"),
        ([], ""),
    ],
)
def test_sparkline(values: list[float], drawn: str) -> None:
    """From the smallest to the largest in eight heights; ASCII where there are no blocks."""
    assert sparkline(values) == drawn
    assert sparkline(values, blocks=False).isascii()
