"""New points on their way to rest: into the tail, from there into chunks, levels and overviews.

A batch's columns become rows of `tail`. With 1000 points a series' tail is sealed into a chunk; many small pieces are
joined on the way, so that reading a live series never meets more than a few rows.
Knows nothing of events; the counters in memory can be rebuilt from the store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection, delete, func, select

from besom.tracking.store.history import LEVELS
from besom.tracking.store.packing import shorten_steps
from besom.tracking.store.parts import read_pieces
from besom.tracking.store.points import (
    BUCKET_BYTES,
    OVERVIEW_POINTS,
    Array,
    Points,
    buckets,
    join,
    next_buckets,
    open_pieces,
    pack_buckets,
    pack_piece,
    shrunk,
    to_piece,
    unpack_buckets,
)
from besom.tracking.store.rows import Values, add_rows, among, fetch, pieces_of
from besom.tracking.store.schema import chunks, levels, overview, series, tail

__all__ = ["CHUNK_POINTS", "Appender", "Column"]

CHUNK_POINTS = 1000
_TAIL_PIECES = 32
_WORTH_OVERVIEW = 2 * CHUNK_POINTS
"""Points up to which a series goes without: an overview takes as many bytes as they do."""
_VIEW_ROWS = 8
"""Rows that an overview may have before they are put together: few to read, and seldom written again."""
_WORTH_PACKING = 100
"""Points from which on a chunk is smaller when it is packed."""
_SERIES_KEPT = 100_000

Column = tuple[str, bytes, bytes]
"""Kind, steps and values of one key, as blobs."""
_Attempt = tuple[str, int]


class _View(NamedTuple):
    """What there is of an overview."""

    covered: int
    known: int
    """Its buckets."""
    rows: int
    earlier: Points | None
    """Of a new one, the points that are in chunks."""


@dataclass(slots=True)
class _Open:
    """What must be known of a series to append to it."""

    id: int
    count: int = 0
    tail: int = 0
    pieces: int = 0


class Appender:
    """Collects columns with `add`, writes them with `flush`."""

    def __init__(self) -> None:
        self._open: dict[_Attempt, dict[str, _Open]] = {}
        self._next_id: int | None = None
        self._new: list[Values] = []
        self._tail: list[Values] = []
        self._full: dict[int, _Open] = {}

    def forget(self) -> None:
        """Throw away what is in memory, unwritten columns included."""
        self.__init__()  # type: ignore[misc]

    def fetch(self, conn: Connection, attempts: Iterable[_Attempt]) -> None:
        """Load the counters of these attempts' series; needed before `add`."""
        if self._next_id is None:
            self._next_id = (conn.scalar(select(func.max(series.c.id))) or 0) + 1
        wanted = {attempt for attempt in attempts if attempt not in self._open}
        self._open.update({attempt: {} for attempt in wanted})
        found: dict[int, _Open] = {}
        for runs in pieces_of({run for run, _ in wanted}):
            for row in conn.execute(select(series).where(series.c.run.in_(runs))):
                if (row.run, row.attempt) in wanted:
                    found[row.id] = self._open[row.run, row.attempt][row.key] = _Open(row.id)
        _count(conn, found)

    def add(self, run: str, attempt: int, columns: Mapping[str, Column]) -> None:
        """Append one batch's columns."""
        known = self._open[run, attempt]
        before = kept = b""
        for key, (kind, steps, values) in columns.items():
            one = known.get(key)
            if one is None:
                assert self._next_id is not None
                one = known[key] = _Open(self._next_id)
                self._next_id += 1
                self._new.append((one.id, run, attempt, key))
            count = len(steps) // 8
            if steps != before:  # of one batch's columns most have the same
                before, kept = steps, shorten_steps(steps)
            self._tail.append((one.id, one.count, count, kind, kept, values))
            one.count += count
            one.tail += count
            one.pieces += 1
            if one.tail >= CHUNK_POINTS or one.pieces >= _TAIL_PIECES:
                self._full[one.id] = one

    def flush(self, conn: Connection) -> None:
        """Write what was added and seal what is full."""
        add_rows(conn, series, self._new)
        add_rows(conn, tail, self._tail)
        self._settle(conn, list(self._full.values()), final=False)
        self._new, self._tail, self._full = [], [], {}

    def close(self, conn: Connection, attempts: Collection[_Attempt]) -> None:
        """Seal the tails and complete the overviews of attempts that are over; call it after `flush`."""
        self.fetch(conn, attempts)
        ended = [one for attempt in attempts for one in self._open[attempt].values()]
        self._settle(
            conn, [one for one in ended if one.pieces > 1 or (one.pieces and one.count > _WORTH_OVERVIEW)], final=True
        )

    def trim(self) -> None:
        """Keep the memory bounded; call it after `flush`."""
        if sum(map(len, self._open.values())) > _SERIES_KEPT:
            self._open.clear()

    def drop(self, runs: Collection[str]) -> None:
        """Runs that were removed from the store have no series."""
        for attempt in self._open:
            if attempt[0] in runs:
                self._open[attempt] = {}

    def _settle(self, conn: Connection, due: list[_Open], *, final: bool) -> None:
        for some in pieces_of(due):
            _Sealing(conn, some).run(final=final)


class _Sealing:
    """Turns the tails of some series into chunks, or into one piece each."""

    def __init__(self, conn: Connection, due: list[_Open]) -> None:
        self._conn, self._due, self._ids = conn, due, [one.id for one in due]
        self._rows: dict[str, list[Values]] = defaultdict(list)
        self._regrown: dict[int, tuple[int, Array]] = {}
        self._gone: list[int] = []

    def run(self, *, final: bool) -> None:
        pieces = read_pieces(self._conn, tail, self._ids)
        ripe = [one for one in self._due if final or one.tail >= CHUNK_POINTS]
        views = self._views_of([one.id for one in ripe if one.count > _WORTH_OVERVIEW])
        for one in self._due:
            own = pieces.get(one.id)
            if not own:
                continue
            points, start = open_pieces(own), own[0].position
            self._gone.append(one.id)
            if final or one.tail >= CHUNK_POINTS:
                self._seal(one, start, points)
                if one.id in views and (final or one.count > views[one.id].covered):
                    self._extend(one, start, points, views[one.id], final=final)
            else:
                self._rows["tail"].append((one.id, *astuple(to_piece(start, points))))
                one.pieces = 1
        self._write()

    def _views_of(self, ids: list[int]) -> dict[int, _View]:
        """What there is of these series' overviews; a new one begins with the chunks that are there."""
        if not ids:
            return {}
        end, size = func.max(overview.c.position + overview.c["count"]), func.sum(func.length(overview.c.blob))
        query = select(overview.c.series, end, size, func.count()).group_by(overview.c.series)
        held = fetch(self._conn, query.where(among(self._conn, overview.c.series, ids)))
        views = {number: _View(end, int(size) // BUCKET_BYTES, rows, None) for number, end, size, rows in held}
        new = [number for number in ids if number not in views]
        earlier = read_pieces(self._conn, chunks, new)
        return views | {number: _View(0, 0, 0, open_pieces(earlier.get(number, []))) for number in new}

    def _seal(self, one: _Open, start: int, points: Points) -> None:
        """Make chunks of at least 1000 points each, where there are so many."""
        for at in range(0, max(1, len(points) // CHUNK_POINTS) * CHUNK_POINTS, CHUNK_POINTS):
            rest = len(points) - at
            part = points[at : at + CHUNK_POINTS] if rest >= 2 * CHUNK_POINTS else points[at:]
            self._chunk(one.id, start + at, part)
        one.tail = one.pieces = 0

    def _extend(self, one: _Open, start: int, points: Points, view: _View, *, final: bool) -> None:
        """Add a row to the overview, or put all of it into one when it has become too many rows or buckets."""
        if view.earlier is not None and len(view.earlier):
            points, start = join([view.earlier, points]), 0
        added = next_buckets(view.known, view.covered, points[max(0, view.covered - start) :])
        if not final and view.known + len(added) <= OVERVIEW_POINTS and view.rows < _VIEW_ROWS:
            self._rows["overview"].append((one.id, view.covered, one.count - view.covered, pack_buckets(added)))
        else:
            self._regrown[one.id] = (one.count, added)

    def _regrow(self) -> None:
        """Write overviews anew, each as one row."""
        query = select(overview.c.series, overview.c.blob).where(among(self._conn, overview.c.series, self._regrown))
        old: dict[int, list[Array]] = defaultdict(list)
        for number, blob in fetch(self._conn, query.order_by(overview.c.series, overview.c.position)):
            old[number].append(unpack_buckets(blob))
        self._conn.execute(delete(overview).where(among(self._conn, overview.c.series, list(old))))
        for number, (count, added) in self._regrown.items():
            blob = pack_buckets(shrunk(np.concatenate([*old[number], added])))
            self._rows["overview"].append((number, 0, count, blob))

    def _chunk(self, series_id: int, start: int, points: Points) -> None:
        steps = points.steps
        piece = pack_piece(start, points) if len(points) >= _WORTH_PACKING else to_piece(start, points)
        first, last = int(steps.min()), int(steps.max())
        self._rows["chunks"].append((series_id, start, first, last, piece.count, piece.kind, piece.steps, piece.values))
        if start or len(points) >= CHUNK_POINTS:  # a short series is read whole, it needs no levels
            numbers = points.numbers()
            for level in LEVELS:
                blob = pack_buckets(buckets(steps, numbers, level))
                self._rows["levels"].append((series_id, level, start, blob))

    def _write(self) -> None:
        if self._gone:
            self._conn.execute(delete(tail).where(among(self._conn, tail.c.series, self._gone)))
        if self._regrown:
            self._regrow()
        for table in (tail, chunks, levels, overview):
            add_rows(self._conn, table, self._rows[table.name])


def _count(conn: Connection, found: dict[int, _Open]) -> None:
    """Count the points that these series have at rest."""
    for ids in pieces_of(found):
        for table in (chunks, tail):
            count = table.c["count"]
            sums = select(table.c.series, func.max(table.c.position + count), func.sum(count), func.count())
            query = sums.where(table.c.series.in_(ids)).group_by(table.c.series)
            for number, end, points, pieces in conn.execute(query):
                one = found[number]
                one.count = max(one.count, int(end))
                if table is tail:
                    one.tail, one.pieces = int(points), int(pieces)
