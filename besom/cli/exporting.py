"""Runs, or every row that they logged, as CSV, JSON lines or Parquet.

Reads run after run, twice where the columns must be known first; never holds more than a page.
"""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from besom.errors import NotFound, UsageError
from besom.tracking.reading.api import Api, ApiRun, Runs
from besom.tracking.values import strict

__all__ = ["export", "runs_of"]

Record = dict[str, Any]
Records = Callable[[], Iterator[Record]]

_FACTS: Final = (
    "name", "state", "entity", "project", "sweep", "number", "group_name", "job_type", "tags", "notes", "value",
    "created", "started", "ended", "attempt", "exit_code", "host", "error",
)  # fmt: skip
_AT_ONCE: Final = 10_000
"""Rows in one group of a Parquet file."""


def runs_of(api: Api, name: str) -> Runs:
    """The runs of a sweep, or of a project or entity/project.

    Raises:
        NotFound: there is neither.
    """
    try:
        return api.sweep(name).runs
    except NotFound:
        runs = api.runs(name)
        if not len(runs):
            raise NotFound("sweep or project", name, api.where) from None
        return runs


def export(runs: Runs, kind: str, file: Path | None, *, history: bool) -> int:
    """Write them; the file appears when it is complete.

    Returns:
        How many rows were written.

    Raises:
        UsageError: Parquet without a file or without pyarrow, or a file that cannot be written.
    """

    def records() -> Iterator[Record]:
        for run in runs:
            yield from _history(run) if history else [_facts(run)]

    if kind == "parquet":
        if file is None:
            raise UsageError("parquet is not text; name a file with -o FILE")
        with _part_of(file) as part:
            return _write_parquet(records, part)
    write = _write_csv if kind == "csv" else _write_lines
    if file is None:
        return write(records, sys.stdout)
    with _part_of(file) as part, part.open("w", encoding="utf-8", newline="") as to:
        return write(records, to)


def _facts(run: ApiRun) -> Record:
    facts = {"id": run.id} | {name: run[name] for name in _FACTS}
    return facts | _flat(run.config, "config.") | _flat(run.summary, "summary.")


def _history(run: ApiRun) -> Iterator[Record]:
    for row in run.scan_history():
        yield {"run": run.id} | _flat(row, "")


def _flat(values: Mapping[str, Any], prefix: str) -> Record:
    """Nested dicts as dotted names."""
    flat: Record = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


@contextmanager
def _part_of(file: Path) -> Iterator[Path]:
    """A file beside `file` that takes its place at the end."""
    part = file.with_name(f"{file.name}.part")
    try:
        yield part
        os.replace(part, file)
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)


def _write_lines(records: Records, to: IO[str]) -> int:
    count = 0
    for record in records():
        to.write(json.dumps(strict(record), ensure_ascii=False, default=str) + "\n")
        count += 1
    return count


def _write_csv(records: Records, to: IO[str]) -> int:
    columns = list(dict.fromkeys(name for record in records() for name in record))
    writer, count = csv.writer(to, lineterminator="\n"), 0
    writer.writerow(columns)
    for record in records():
        writer.writerow([_cell(record.get(name)) for name in columns])
        count += 1
    return count


def _cell(value: Any) -> Any:
    return json.dumps(strict(value), ensure_ascii=False) if isinstance(value, list | dict | bool) else value


def _write_parquet(records: Records, part: Path) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UsageError("parquet needs pyarrow; pip install pyarrow, or write --format csv or jsonl") from None
    kinds = _kinds(records())
    types = {
        "null": pyarrow.null(), "bool": pyarrow.bool_(), "int": pyarrow.int64(), "float": pyarrow.float64(),
        "text": pyarrow.string(),
    }  # fmt: skip
    schema = pyarrow.schema([(name, types[kind]) for name, kind in kinds.items()])
    count, rest = 0, records()
    with parquet.ParquetWriter(part, schema) as writer:
        while some := list(islice(rest, _AT_ONCE)):
            rows = [{name: _fitting(record.get(name), kind) for name, kind in kinds.items()} for record in some]
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def _kinds(records: Iterable[Record]) -> dict[str, str]:
    """The narrowest kind that holds all of a column's values."""
    kinds: dict[str, str] = {}
    for record in records:
        for name, value in record.items():
            old, new = kinds.get(name, "null"), _kind(value)
            if old != new:
                kinds[name] = new if old == "null" else old if new == "null" else _wider(old, new)
            else:
                kinds[name] = old
    return kinds


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if abs(value) < 2**63 else "text"
    return "float" if isinstance(value, float) else "text"


def _wider(one: str, other: str) -> str:
    return "float" if {one, other} == {"int", "float"} else "text"


def _fitting(value: Any, kind: str) -> Any:
    if value is None or kind != "text" or isinstance(value, str):
        return float(value) if kind == "float" and value is not None else value
    return json.dumps(strict(value), ensure_ascii=False)
