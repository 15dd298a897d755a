"""Which runs a filter wants, in which order.

Loads only what filter and order speak of, and decides in Python: the same answer on SQLite and PostgreSQL.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, select

from besom.tracking.reading.filters import MISSING, Field, Filter, read_order, sorted_by
from besom.tracking.store import schema
from besom.tracking.store.reader import runs_view
from besom.tracking.store.rows import pieces_of

__all__ = ["run_ids"]


def run_ids(
    conn: Connection,
    project: str | None = None,
    entity: str | None = None,
    sweep_id: str | None = None,
    filters: Mapping[str, Any] | None = None,
    order: str = "+created_at",
) -> list[str]:
    """Ids of the runs wanted; of equals the smaller id first.

    Raises:
        ValueError: a filter or an order that cannot be.
    """
    wanted, orders = Filter(filters or {}), read_order(order)
    fields = wanted.fields | {field for field, _ in orders}
    table = _load(conn, fields, project, entity, sweep_id)
    if any(field.part == "summary" for field in fields):
        _add_summaries(conn, table, {field.name for field in fields if field.part == "summary"})

    def value_of(run: str, field: Field) -> Any:
        row = table[run]
        return row[field.name] if field.part == "column" else field.within(row.get(field.part, {}))

    chosen = [run for run in sorted(table) if wanted.accepts(lambda field, run=run: value_of(run, field))]  # type: ignore[misc]
    return sorted_by(chosen, orders, value_of)


def _load(
    conn: Connection, fields: Collection[Field], project: str | None, entity: str | None, sweep_id: str | None
) -> dict[str, dict[str, Any]]:
    """The columns that are needed, by run."""
    view = runs_view(sweep_id)
    names = {"id"} | {field.name for field in fields if field.part == "column"}
    if any(field.part == "config" for field in fields):
        names.add("config")
    query = select(*(view.c[name] for name in sorted(names)))
    for column, given in ((view.c.project, project), (view.c.entity, entity)):
        if given is not None:
            query = query.where(column == given)
    table: dict[str, dict[str, Any]] = {}
    for found in conn.execute(query).mappings():
        row = dict(found)
        for name in ("config", "tags"):
            if name in row:
                row[name] = json.loads(row[name])
        table[row["id"]] = {name: MISSING if value is None else value for name, value in row.items()}
    return table


def _add_summaries(conn: Connection, table: dict[str, dict[str, Any]], paths: Collection[str]) -> None:
    """Put the wanted part of each run's summary into its row."""
    last = schema.last.c
    keys = {".".join(path.split(".")[:size]) for path in paths for size in range(1, path.count(".") + 2)}
    for some in pieces_of(table):
        query = select(last.run, last.key, last["value"]).where(last.run.in_(some), last.key.in_(keys))
        for run, key, value in conn.execute(query):
            table[run].setdefault("summary", {})[key] = json.loads(value)
