"""What most trackers do: one row for each point, in SQLite or PostgreSQL, with the index that charts need.

Its rows are the smallest there can be: a number for the run, one metric, time and value beside it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

__all__ = ["RowsStore"]

_CREATE = "CREATE TABLE bench_points (run {int}, step {int}, time {real}, value {real}, PRIMARY KEY (run, step)){end}"
_CHART = "SELECT step, time, value FROM bench_points WHERE run = {mark} AND mod(step, {mark}) = 0 ORDER BY step"
_LAST = "SELECT value FROM bench_points WHERE run = {mark} ORDER BY step DESC LIMIT 1"
_ENDS = "SELECT max(step) + 1 FROM bench_points WHERE run = {mark}"
_OVERVIEW = (
    "SELECT run, step / {mark} AS bucket, max(step), min(value), max(value), avg(value), count(value) "
    "FROM bench_points WHERE run < {mark} GROUP BY run, bucket ORDER BY run, bucket"
)


class RowsStore:
    """Points by run; each `add` is one commit, as durable as the store's.

    Args:
        url: Of PostgreSQL, where it makes a table of its own; else a SQLite file in `folder`.
        folder: For that file.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._runs: dict[str, int] = {}
        self._file = None if url.startswith("postgresql") else folder / "rows.db"
        self._mark = "?" if self._file else "%s"
        words = {"int": "INTEGER", "real": "REAL", "end": " WITHOUT ROWID"}
        if self._file:
            self._conn: Any = sqlite3.connect(self._file)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-32768"):
                self._conn.execute(f"PRAGMA {pragma}")
        else:
            import psycopg

            self._conn = psycopg.connect(url)
            words = {"int": "INTEGER", "real": "DOUBLE PRECISION", "end": ""}
        self._conn.execute(_CREATE.format(**words))
        self._conn.commit()

    def close(self) -> None:
        """Leave nothing behind."""
        self._conn.execute("DROP TABLE bench_points")
        self._conn.commit()
        self._conn.close()

    def add(self, batches: Iterable[tuple[str, Any, Any, Any]]) -> None:
        """Insert (run, steps, times, values) and commit."""
        rows = [
            (self._runs.setdefault(run, len(self._runs)), *point)
            for run, *columns in batches
            for point in zip(*(column.tolist() for column in columns), strict=True)
        ]
        if self._file:
            self._conn.executemany("INSERT INTO bench_points VALUES (?, ?, ?, ?)", rows)
        else:
            with self._conn.cursor().copy("COPY bench_points FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "int4", "float8", "float8"])
                for row in rows:
                    copy.write_row(row)
        self._conn.commit()

    def size(self) -> int:
        """Bytes on disk."""
        if self._file:
            self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return self._file.stat().st_size
        return int(self._conn.execute("SELECT pg_total_relation_size('bench_points')").fetchone()[0])

    def chart(self, run: str, points: int) -> list[Any]:
        """Every so manieth row, `points` of them."""
        number = self._runs[run]
        ((count,),) = self._ask(_ENDS, number)
        return self._ask(_CHART, number, count // points)

    def last(self, runs: Sequence[str]) -> dict[str, float]:
        """The last value of each run, one seek each."""
        return {run: self._ask(_LAST, self._runs[run])[0][0] for run in runs}

    def overviews(self, runs: int, width: int) -> dict[int, list[Any]]:
        """Minimum, maximum and mean of every `width` points of the first `runs` runs."""
        rows = self._ask(_OVERVIEW, width, runs)
        return {run: list(some) for run, some in groupby(rows, key=lambda row: row[0])}

    def _ask(self, query: str, *values: Any) -> list[Any]:
        return list(self._conn.execute(query.format(mark=self._mark), values))
