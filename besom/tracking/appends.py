"""New points on their way to rest: into the tail, from there into chunks, levels and overviews.

A batch's columns become rows of `tail`. With 1000 points a series' tail is sealed into a chunk; many small pieces are
joined on the way, so that reading a live series never meets more than a few rows.
Knows nothing of events; the counters in memory can be rebuilt from the store.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select

from besom.tracking.history import LEVELS, read_pieces
from besom.tracking.points import (
    OVERVIEW_POINTS,
    Array,
    Piece,
    Points,
    buckets,
    extend_overview,
    join,
    pack_buckets,
    to_piece,
    unpack_buckets,
)
from besom.tracking.rows import Row, pieces_of, save
from besom.tracking.schema import chunks, levels, overview, series, tail

__all__ = ["CHUNK_POINTS", "Appender", "Column"]

CHUNK_POINTS = 1000
_TAIL_PIECES = 32
_SERIES_KEPT = 100_000

Column = tuple[str, bytes, bytes]
"""Kind, steps and values of one key, as blobs."""
_Attempt = tuple[str, int]


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
        self._new: list[Row] = []
        self._tail: list[Row] = []
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
        for key, (kind, steps, values) in columns.items():
            one = known.get(key)
            if one is None:
                assert self._next_id is not None
                one = known[key] = _Open(self._next_id)
                self._next_id += 1
                self._new.append({"id": one.id, "run": run, "attempt": attempt, "key": key})
            count = len(steps) // 8
            self._tail.append(_row(one.id, Piece(one.count, count, kind, steps, values)))
            one.count += count
            one.tail += count
            one.pieces += 1
            if one.tail >= CHUNK_POINTS or one.pieces >= _TAIL_PIECES:
                self._full[one.id] = one

    def flush(self, conn: Connection) -> None:
        """Write what was added and seal what is full."""
        if self._new:
            conn.execute(insert(series), self._new)
        if self._tail:
            conn.execute(insert(tail), self._tail)
        self._settle(conn, list(self._full.values()), final=False)
        self._new, self._tail, self._full = [], [], {}

    def close(self, conn: Connection, attempts: Collection[_Attempt]) -> None:
        """Seal the tails and complete the overviews of attempts that are over; call it after `flush`."""
        self.fetch(conn, attempts)
        ended = [one for attempt in attempts for one in self._open[attempt].values()]
        self._settle(conn, [one for one in ended if one.pieces > 1 or one.count > OVERVIEW_POINTS], final=True)

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
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self._gone: list[int] = []

    def run(self, *, final: bool) -> None:
        pieces = read_pieces(self._conn, tail, self._ids)
        held = self._conn.execute(select(overview).where(overview.c.series.in_(self._ids)))
        views = {number: (count, unpack_buckets(blob)) for number, count, blob in held}
        for one in self._due:
            own = pieces.get(one.id, [])
            if own:
                self._series(one, own, views.get(one.id), final=final)
        self._write()

    def _series(self, one: _Open, own: list[Piece], view: tuple[int, Array] | None, *, final: bool) -> None:
        points, start = join([piece.points() for piece in own]), own[0].position
        sealed = len(points) >= CHUNK_POINTS
        if sealed or len(own) > 1:
            self._gone.append(one.id)
            if sealed or final:
                for at in range(0, max(1, len(points) // CHUNK_POINTS) * CHUNK_POINTS, CHUNK_POINTS):
                    rest = len(points) - at
                    part = points[at : at + CHUNK_POINTS] if rest >= 2 * CHUNK_POINTS else points[at:]
                    self._chunk(one.id, start + at, part)
                one.tail = one.pieces = 0
            else:
                self._rows["tail"].append(_row(one.id, to_piece(start, points)))
                one.pieces = 1
        covered, old = view or (0, None)
        if (sealed or final) and one.count > max(OVERVIEW_POINTS, covered):
            grown = extend_overview(old, covered, points[max(0, covered - start) :])
            self._rows["overview"].append({"series": one.id, "count": one.count, "blob": pack_buckets(grown)})

    def _chunk(self, series_id: int, start: int, points: Points) -> None:
        steps = points.steps
        row = _row(series_id, to_piece(start, points))
        row.update(first_step=int(steps.min()), last_step=int(steps.max()))
        self._rows["chunks"].append(row)
        if start or len(points) >= CHUNK_POINTS:  # a short series is read whole, it needs no levels
            numbers = points.numbers()
            for level in LEVELS:
                blob = pack_buckets(buckets(steps, numbers, level))
                self._rows["levels"].append({"series": series_id, "level": level, "position": start, "blob": blob})

    def _write(self) -> None:
        if self._gone:
            self._conn.execute(delete(tail).where(tail.c.series.in_(self._gone)))
        for table in (tail, chunks, levels):
            if self._rows[table.name]:
                self._conn.execute(insert(table), self._rows[table.name])
        save(self._conn, overview, self._rows["overview"])


def _row(series_id: int, piece: Piece) -> Row:
    return {
        "series": series_id,
        "position": piece.position,
        "count": piece.count,
        "kind": piece.kind,
        "steps": piece.steps,
        "values": piece.values,
    }


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
