"""Reading what a run logged: whole, by step, or thinned to what a chart needs.

Attempts: the first step that an attempt logs hides what earlier attempts have at that step and above.
Reads: series, tail, chunks, levels, overview, attempts.  Writing is in `appends.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from besom.tracking.points import COLUMNS, Array, Piece, Points, buckets, join, merge, regroup, unpack_buckets
from besom.tracking.rows import pieces_of
from besom.tracking.schema import attempts, chunks, levels, overview, series, tail

__all__ = ["COLUMNS", "keys", "overviews", "read_many", "read_rows", "read_series", "sample"]

_LEVELS = (1000, 100, 10)
_EMPTY = np.empty((0, len(COLUMNS)))


@dataclass(frozen=True, slots=True)
class _Series:
    """One attempt's part of a series; `hidden_from` is the step where a later attempt takes over."""

    id: int
    run: str
    key: str
    hidden_from: int | None

    def visible(self, steps: Array) -> slice | Array:
        return slice(None) if self.hidden_from is None else steps < self.hidden_from


@dataclass(frozen=True, slots=True)
class _Range:
    """Steps from `first` to `last`, both included; None is open."""

    first: int | None = None
    last: int | None = None

    def inside(self, steps: Array) -> Array:
        low = -(2**63) if self.first is None else self.first
        return (steps >= low) & (steps <= (2**63 - 1 if self.last is None else self.last))

    def chunk_conditions(self) -> list[Any]:
        wanted = []
        if self.first is not None:
            wanted.append(chunks.c.last_step >= self.first)
        if self.last is not None:
            wanted.append(chunks.c.first_step <= self.last)
        return wanted


def keys(conn: Connection, run: str) -> list[str]:
    """Names of what the run logged, sorted."""
    return sorted(conn.scalars(select(series.c.key).where(series.c.run == run).distinct()))


def read_series(
    conn: Connection, run: str, key: str, min_step: int | None = None, max_step: int | None = None
) -> Points:
    """The visible points of one key by step, bounds included; of several values at a step the last."""
    return read_many(conn, [run], [key], min_step, max_step).get((run, key)) or join([])


def read_many(
    conn: Connection,
    runs: Collection[str],
    names: Collection[str] | None = None,
    min_step: int | None = None,
    max_step: int | None = None,
) -> dict[tuple[str, str], Points]:
    """`read_series` for every (run, key) that has points; all keys when `names` is None."""
    found, wanted = _find(conn, runs, names), _Range(min_step, max_step)
    parts: dict[tuple[str, str], list[Points]] = defaultdict(list)
    pieces = _pieces(conn, [one.id for one in found], wanted)
    bounded = min_step is not None or max_step is not None
    for one in found:
        if own := pieces.get(one.id):
            points = join([piece.points() for piece in own])
            points = points[one.visible(points.steps)]
            parts[one.run, one.key].append(points[wanted.inside(points.steps)] if bounded else points)
    joined = {name: join(some).by_step() for name, some in parts.items()}
    return {name: points for name, points in joined.items() if len(points)}


def read_rows(
    conn: Connection,
    run: str,
    keys: Collection[str] | None = None,
    min_step: int | None = None,
    max_step: int | None = None,
) -> list[dict[str, Any]]:
    """One dict for each step that has at least one of `keys`, sorted, with `_step` in each; bounds included."""
    rows: dict[int, dict[str, Any]] = {}
    for (_, key), points in sorted(read_many(conn, [run], keys, min_step, max_step).items()):
        for step, value in zip(points.steps.tolist(), points.values.tolist(), strict=True):
            row = rows.get(step)
            if row is None:
                row = rows[step] = {"_step": step}
            row[key] = value
    return [rows[step] for step in sorted(rows)]


def overviews(conn: Connection, runs: Collection[str], key: str, points: int = 200) -> dict[str, Array]:
    """A thin curve of one key for each run that logged it.

    Returns:
        For each run buckets of shape `(n <= points, 6)`, columns as in `COLUMNS`. Single points while they fit; at a
        step where another attempt takes over, a bucket across it is left out.
    """
    found = _find(conn, runs, [key])
    covered, parts = _stored_overviews(conn, found)
    rest = _uncovered(conn, found, covered)
    for one in found:
        own = rest.get(one.id)
        if own:
            fresh = join([piece.points() for piece in own])[max(0, covered.get(one.id, 0) - own[0].position) :]
            if len(fresh):
                parts[one.id].append(buckets(fresh.steps, fresh.numbers(), 1))
    return {run: regroup(curve, points) for run, curve in _curves(found, parts).items()}


def sample(
    conn: Connection, run: str, key: str, points: int, min_step: int | None = None, max_step: int | None = None
) -> Array:
    """A curve of one run's key between two steps, from the coarsest level that has `points` buckets.

    Returns:
        Buckets of shape `(n <= points, 6)`, columns as in `COLUMNS`; single points while they fit.
    """
    found, wanted = _find(conn, [run], [key]), _Range(min_step, max_step)
    ids = [one.id for one in found]
    query = select(chunks.c.series, chunks.c.position, chunks.c["count"]).where(chunks.c.series.in_(ids))
    held = conn.execute(query.where(*wanted.chunk_conditions())).all()
    total = sum(row[2] for row in held)
    level = next((level for level in _LEVELS if total >= level * points), 1)
    parts = _level(conn, ids, level, wanted, {(row[0], row[1]) for row in held})
    curve = _curves(found, parts).get(run, _EMPTY)
    return regroup(curve[wanted.inside(curve[:, 0])], points)


def _find(conn: Connection, runs: Collection[str], names: Collection[str] | None) -> list[_Series]:
    """The parts of these runs' series, earlier attempts first."""
    found: list[_Series] = []
    for some in pieces_of(runs):
        starts: dict[str, list[tuple[int, int]]] = defaultdict(list)
        later = select(attempts.c.run, attempts.c.attempt, attempts.c.first_step)
        later = later.where(attempts.c.run.in_(some), attempts.c.attempt > 1, attempts.c.first_step.is_not(None))
        for run, attempt, first_step in conn.execute(later):
            starts[run].append((attempt, first_step))
        query = select(series).where(series.c.run.in_(some)).order_by(series.c.attempt)
        if names is not None:
            query = query.where(series.c.key.in_(names))
        for row in conn.execute(query):
            hidden = min((step for attempt, step in starts.get(row.run, ()) if attempt > row.attempt), default=None)
            found.append(_Series(row.id, row.run, row.key, hidden))
    return found


def _pieces(conn: Connection, ids: Sequence[int], wanted: _Range, after: int = -1) -> dict[int, list[Piece]]:
    """What chunks and tail hold of some series, in order of arrival; chunks outside of `wanted` are left out."""
    pieces: dict[int, list[Piece]] = defaultdict(list)
    for some in pieces_of(ids):
        for table, conditions in ((chunks, wanted.chunk_conditions()), (tail, [])):
            held = (table.c[name] for name in ("series", *Piece._fields))
            query = select(*held).where(table.c.series.in_(some), table.c.position > after, *conditions)
            for number, *piece in conn.execute(query.order_by(table.c.series, table.c.position)):
                pieces[number].append(Piece(*piece))
    return pieces


def _stored_overviews(conn: Connection, found: Iterable[_Series]) -> tuple[dict[int, int], dict[int, list[Array]]]:
    covered: dict[int, int] = {}
    parts: dict[int, list[Array]] = defaultdict(list)
    for some in pieces_of(one.id for one in found):
        for row in conn.execute(select(overview).where(overview.c.series.in_(some))):
            covered[row.series] = row.count_ if hasattr(row, "count_") else row[1]
            parts[row.series].append(unpack_buckets(row.blob))
    return covered, parts


def _uncovered(conn: Connection, found: Sequence[_Series], covered: dict[int, int]) -> dict[int, list[Piece]]:
    """Pieces beyond the overview: all of a short series, the unsealed tail of a long one."""
    pieces = _pieces(conn, [one.id for one in found if one.id not in covered], _Range())
    for some in pieces_of(covered):
        query = select(tail.c.series, *(tail.c[name] for name in Piece._fields)).where(tail.c.series.in_(some))
        for number, *piece in conn.execute(query.order_by(tail.c.series, tail.c.position)):
            pieces[number].append(Piece(*piece))
    return pieces


def _level(
    conn: Connection, ids: Sequence[int], level: int, wanted: _Range, held: set[tuple[int, int]]
) -> dict[int, list[Array]]:
    """Buckets of `level` points for the chunks in `held` and for the tail."""
    blobs: dict[tuple[int, int], Array] = {}
    if level > 1:
        query = select(levels).where(levels.c.series.in_(ids), levels.c.level == level)
        for number, _, position, blob in conn.execute(query):
            if (number, position) in held:
                blobs[number, position] = unpack_buckets(blob)
    raw = _raw(conn, ids, wanted) if level == 1 or held - blobs.keys() else _tails(conn, ids)
    for number, own in raw.items():
        for piece in own:
            if (number, piece.position) not in blobs:
                points = piece.points()
                blobs[number, piece.position] = buckets(points.steps, points.numbers(), level)
    parts: dict[int, list[Array]] = defaultdict(list)
    for number, position in sorted(blobs):
        parts[number].append(blobs[number, position])
    return parts


def _raw(conn: Connection, ids: Sequence[int], wanted: _Range) -> dict[int, list[Piece]]:
    return _pieces(conn, ids, wanted)


def _tails(conn: Connection, ids: Sequence[int]) -> dict[int, list[Piece]]:
    pieces: dict[int, list[Piece]] = defaultdict(list)
    query = select(tail.c.series, *(tail.c[name] for name in Piece._fields)).where(tail.c.series.in_(ids))
    for number, *piece in conn.execute(query.order_by(tail.c.series, tail.c.position)):
        pieces[number].append(Piece(*piece))
    return pieces


def _curves(found: Iterable[_Series], parts: dict[int, list[Array]]) -> dict[str, Array]:
    """Each run's buckets by step, hidden ones left out, those at one step merged."""
    curves: dict[str, list[Array]] = defaultdict(list)
    for one in found:
        for part in parts.get(one.id, ()):
            curves[one.run].append(part[one.visible(part[:, 0])])
    return {run: ordered for run, some in curves.items() if len(ordered := _ordered(np.concatenate(some)))}


def _ordered(curve: Array) -> Array:
    steps = curve[:, 0]
    if len(steps) < 2 or bool((steps[1:] > steps[:-1]).all()):
        return curve
    curve = curve[np.argsort(steps, kind="stable")]
    return merge(curve, np.flatnonzero(np.append(True, curve[1:, 0] != curve[:-1, 0])))
