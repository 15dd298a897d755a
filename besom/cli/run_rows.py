"""What `besom runs` reads and prints: filters as people type them, and one row for each run."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from besom.cli.tables import Column, ago, print_table
from besom.errors import UsageError
from besom.tracking.reading.api import ApiRun, Runs

__all__ = ["print_runs", "read_filters"]

_OPERATORS: Final = {
    "=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "~": "$regex",
}  # fmt: skip
_FILTER: Final = re.compile(r"([^=!<>~]+)(!=|<=|>=|=|<|>|~)(.*)", re.DOTALL)


def read_filters(written: Sequence[str]) -> dict[str, Any]:
    """Conditions such as `state=finished` and `config.lr<0.1` as one filter; a value is JSON, else text.

    Raises:
        UsageError: one has no operator.
    """
    conditions = []
    for text in written:
        parts = _FILTER.fullmatch(text)
        if parts is None:
            raise UsageError(f"--filter {text!r} cannot be; write FIELD=VALUE, such as state=finished or config.lr<0.1")
        name, operator, value = parts[1].strip(), _OPERATORS[parts[2]], parts[3].strip()
        conditions.append({name: {operator: value if operator == "$regex" else _value(value)}})
    return {"$and": conditions} if conditions else {}


def print_runs(runs: Runs, count: int | None, *, as_json: bool) -> None:
    """One line for each of the first `count` runs."""
    rows = [_row(run, whole=as_json) for run in islice(runs, count)]
    columns: list[Column | str] = [
        "id", "project", "name", "state", "sweep", "group", Column("tags", show=", ".join),
        Column("value", right=True), Column("created", "age", right=True, show=ago),
    ]  # fmt: skip
    print_table(rows, columns, as_json=as_json)


def _row(run: ApiRun, *, whole: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": run.id, "entity": run.entity, "project": run.project, "name": run.name if run.name != run.id else "",
        "state": run.state, "sweep": run.sweep_name, "group": run.group, "tags": run.tags or None, "value": run.value,
        "created": run["created"],
    }  # fmt: skip
    if whole:
        more = {"ended": run["ended"], "job_type": run.job_type, "notes": run.notes, "error": run.error}
        row |= more | {"config": run.config, "summary": dict(run.summary)}
    return row


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
