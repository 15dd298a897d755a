"""Where the points of a run's keys stand, and what later attempts hide of them.

Attempts: the first step that an attempt logs hides what earlier attempts have at that step and above.
Reads: series, attempts, tail, chunks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, select

from besom.messages import SYSTEM
from besom.tracking.store.packing import Array
from besom.tracking.store.points import Piece
from besom.tracking.store.rows import Values, among, fetch
from besom.tracking.store.schema import attempts, series

__all__ = ["IS_SYSTEM", "Part", "find_parts", "piece_rows", "read_pieces"]

IS_SYSTEM = series.c.key.startswith(SYSTEM, autoescape=True)


class Part(NamedTuple):
    """One attempt's part of a series; `hidden_from` is the step where a later attempt takes over."""

    id: int
    run: str
    key: str
    hidden_from: int | None

    def visible(self, steps: Array) -> slice | Array:
        """What is not hidden, as an index."""
        return slice(None) if self.hidden_from is None else steps < self.hidden_from


def find_parts(conn: Connection, runs: Collection[str], names: Collection[str] | None) -> list[Part]:
    """The parts of these runs' series, earlier attempts first; of all keys but the system's when `names` is None."""
    starts: dict[str, list[tuple[int, int]]] = defaultdict(list)
    later = select(attempts.c.run, attempts.c.attempt, attempts.c.first_step)
    later = later.where(among(conn, attempts.c.run, runs), attempts.c.attempt > 1, attempts.c.first_step.is_not(None))
    for run, attempt, first_step in fetch(conn, later):
        starts[run].append((attempt, first_step))
    query = select(series.c.id, series.c.run, series.c.attempt, series.c.key).order_by(series.c.attempt)
    query = query.where(among(conn, series.c.run, runs))
    query = query.where(~IS_SYSTEM if names is None else series.c.key.in_(names))
    found: list[Part] = []
    for number, run, attempt, key in fetch(conn, query):
        steps = starts.get(run, ()) if starts and not key.startswith(SYSTEM) else ()
        hidden = min([step for later, step in steps if later > attempt], default=None) if steps else None
        found.append(Part(number, run, key, hidden))
    return found


def read_pieces(conn: Connection, store: Table, ids: Collection[int], *conditions: Any) -> dict[int, list[Piece]]:
    """What `chunks` or `tail` holds of some series, in order of arrival."""
    pieces: dict[int, list[Piece]] = defaultdict(list)
    for number, *piece in piece_rows(conn, store, ids, *conditions):
        pieces[number].append(Piece(*piece))
    return pieces


def piece_rows(conn: Connection, store: Table, ids: Collection[int], *conditions: Any) -> list[Values]:
    """`read_pieces` as plain rows, the series before each piece's columns; sorted by both."""
    if not ids:
        return []
    columns = [store.c[name] for name in ("series", *Piece.__slots__)]
    query = select(*columns).where(among(conn, store.c.series, ids), *conditions)
    return fetch(conn, query.order_by(store.c.series, store.c.position))
