"""Many rows at once: load by key, save by upsert, and a bounded memory of both.

Reads and writes: any table of `schema.py` through a connection of the caller.  Knows nothing of what a row means.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Double,
    Integer,
    Select,
    Table,
    bindparam,
    cast,
    func,
    literal,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["Kept", "Row", "Statement", "Values", "add_rows", "among", "fetch", "insert_into", "pieces_of", "save"]

Row = dict[str, Any]
Values = tuple[Any, ...]
_Item = TypeVar("_Item")

_AT_ONCE = 500
"""Keys in one IN list; SQLite's limit of bound values is 32766."""


def insert_into(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The dialect's INSERT, whose ON CONFLICT is spelt alike on both."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@cache
def _upsert(dialect: Dialect, table: Table) -> Statement:
    statement = insert_into(dialect.name, table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    # A table of nothing but keys has nothing to replace.
    whole = (
        statement.on_conflict_do_update(index_elements=keys, set_=others)
        if others
        else statement.on_conflict_do_nothing(index_elements=keys)
    )
    return Statement(dialect, table, whole)


@cache
def _plain_insert(dialect: Dialect, table: Table) -> Statement:
    return Statement(dialect, table, insert_into(dialect.name, table))


class Statement:
    """An INSERT of whole rows, written once in the driver's words.

    SQLAlchemy's own handling of the values costs more than SQLite's writing of them. PostgreSQL gets each column as one
    array, a quarter of the work of one row after another for both sides.
    """

    def __init__(self, dialect: Dialect, table: Table, statement: sqlite.Insert | postgresql.Insert) -> None:
        names = [column.name for column in table.columns]
        self._arrays = dialect.name == "postgresql"
        self._numbers = [isinstance(column.type, Integer | Double) for column in table.columns]
        if not self._arrays:
            self._text = str(statement.compile(dialect=dialect, column_keys=names))
            return
        columns = [
            func.unnest(cast(bindparam(f"c{place}", None), ARRAY(column.type)))
            for place, column in enumerate(table.columns)
        ]
        text = str(statement.from_select(names, select(*columns)).compile(dialect=dialect))
        for place, is_number in enumerate(self._numbers):
            if not is_number:  # bytes and texts go as they are, without quoting
                text = text.replace(f"%(c{place})s", f"%(c{place})b")
        self._text = text

    def run(self, conn: Connection, rows: Sequence[Values]) -> None:
        """Insert rows whose values stand in the order of the table's columns; no two with the same key."""
        if not rows:
            return
        if not self._arrays:
            conn.exec_driver_sql(self._text, list(rows))
            return
        columns = zip(self._numbers, zip(*rows, strict=True), strict=True)
        arrays = [_array_of(column) if is_number else list(column) for is_number, column in columns]
        conn.exec_driver_sql(self._text, {f"c{place}": array for place, array in enumerate(arrays)})


def _array_of(numbers: Iterable[float | None]) -> str:
    """PostgreSQL's words for an array of numbers, written faster than its driver does."""
    return "{" + ",".join(["NULL" if number is None else str(number) for number in numbers]) + "}"


def add_rows(conn: Connection, table: Table, rows: Sequence[Values]) -> None:
    """Insert new rows, values in the order of the table's columns."""
    _plain_insert(conn.dialect, table).run(conn, rows)


def save(conn: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert whole rows, or replace those with the same key."""
    values = itemgetter(*(column.name for column in table.columns))
    _upsert(conn.dialect, table).run(conn, [values(row) for row in rows])


def among(conn: Connection, column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """`column IN values` for any number of values, with a text that is the same however many there are.

    A list is one value for the database, so that SQLAlchemy has nothing to do for each of them.
    """
    if conn.dialect.name == "postgresql":
        return column == func.any(literal(list(values), ARRAY(column.type)))
    rows = func.json_each(json.dumps(list(values))).table_valued("value")
    return column.in_(select(rows.c.value))


def fetch(conn: Connection, query: Select[Any]) -> list[Values]:
    """All rows as the driver gives them, for columns of numbers, texts and bytes: these need no conversion."""
    result = conn.execute(query)
    try:
        return list(result.cursor.fetchall()) if result.cursor is not None else []
    finally:
        result.close()


def pieces_of(items: Iterable[_Item], size: int = _AT_ONCE) -> Iterator[list[_Item]]:
    """The items in lists short enough for one IN."""
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece


class Kept:
    """Rows of one table held in memory between transactions; what `put` changed is written by `flush`."""

    def __init__(self, table: Table, limit: int = 20_000) -> None:
        self._table, self._limit = table, limit
        self._names = [column.name for column in table.primary_key]
        self._key: Callable[[Row], Any] = itemgetter(*self._names)
        self._rows: dict[Any, Row | None] = {}
        self._changed: set[Any] = set()

    def fetch(self, conn: Connection, keys: Iterable[Any]) -> None:
        """Load the rows of these keys that are not in memory; a row that does not exist is remembered too."""
        missing = [key for key in set(keys) if key not in self._rows]
        columns = [self._table.columns[name] for name in self._names]
        target: Any = columns[0] if len(columns) == 1 else tuple_(*columns)
        for some in pieces_of(missing):
            self._rows.update(dict.fromkeys(some))
            for found in conn.execute(select(self._table).where(target.in_(some))).mappings():
                row = dict(found)
                self._rows[self._key(row)] = row

    def get(self, key: Any) -> Row | None:
        """The row, to be changed only through `put`; None when there is none or it was not fetched."""
        return self._rows.get(key)

    def put(self, row: Row) -> Row:
        """Take a new or changed row; it is written by the next `flush`."""
        key = self._key(row)
        self._rows[key] = row
        self._changed.add(key)
        return row

    def flush(self, conn: Connection) -> None:
        """Write what changed."""
        save(conn, self._table, [row for key in self._changed if (row := self._rows[key]) is not None])
        self._changed.clear()

    def select(self, wanted: Callable[[Row], bool]) -> list[Row]:
        """The rows in memory that `wanted` accepts."""
        return [row for row in self._rows.values() if row is not None and wanted(row)]

    def drop(self, gone: Callable[[Any], bool]) -> None:
        """Forget the rows whose key `gone` accepts, without writing them."""
        for key in [key for key in self._rows if gone(key)]:
            self._rows.pop(key)
            self._changed.discard(key)

    def trim(self) -> None:
        """Keep the memory within its limit; call it after `flush`."""
        if len(self._rows) > self._limit:
            for key in list(islice(self._rows, len(self._rows) - self._limit // 2)):
                del self._rows[key]

    def forget(self) -> None:
        """Throw everything away, changes included."""
        self._rows.clear()
        self._changed.clear()
