"""Many rows at once: load by key, save by upsert, and a bounded memory of both.

Reads and writes: any table of `schema.py` through a connection of the caller.  Knows nothing of what a row means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Table, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["Kept", "Row", "insert_into", "pieces_of", "save"]

Row = dict[str, Any]
_Item = TypeVar("_Item")

_AT_ONCE = 500
"""Keys in one IN list; SQLite's limit of bound values is 32766."""


def insert_into(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The dialect's INSERT, whose ON CONFLICT is spelt alike on both."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@cache
def _upsert(dialect: Dialect, table: Table) -> tuple[str, tuple[str, ...] | None]:
    """The statement as the driver takes it, and the order of its values; None when they go by name."""
    statement = insert_into(dialect.name, table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    # A table of nothing but keys has nothing to replace.
    whole = (
        statement.on_conflict_do_update(index_elements=keys, set_=others)
        if others
        else statement.on_conflict_do_nothing(index_elements=keys)
    )
    compiled = whole.compile(dialect=dialect, column_keys=[column.name for column in table.columns])
    return str(compiled), tuple(compiled.positiontup) if compiled.positiontup else None


def save(conn: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert whole rows, or replace those with the same key.

    Straight to the driver: SQLAlchemy's own handling of the values costs more than SQLite's writing of them.
    """
    if rows:
        text, names = _upsert(conn.dialect, table)
        conn.exec_driver_sql(text, [itemgetter(*names)(row) for row in rows] if names else list(rows))


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
