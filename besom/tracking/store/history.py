"""Reading what a run logged: whole, by step, or thinned to what a chart needs.

Reads: series, tail, chunks, levels; what attempts hide is in `parts.py`.  Many runs' curves at once are in
`overviews.py`, writing is in `appends.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, Table, func, select

from besom.tracking.store.parts import IS_SYSTEM, Part, find_parts, read_pieces
from besom.tracking.store.points import (
    COLUMNS,
    Array,
    Piece,
    Points,
    buckets,
    join,
    merge,
    open_pieces,
    regroup,
    unpack_buckets,
)
from besom.tracking.store.rows import among, fetch, pieces_of
from besom.tracking.store.schema import chunks, levels, series, tail

__all__ = [
    "COLUMNS",
    "LEVELS",
    "keys",
    "read_many",
    "read_page",
    "read_rows",
    "read_series",
    "read_system",
    "sample",
    "sampled_rows",
]

LEVELS = (100, 1000)
"""Points in a bucket of each level; finer buckets are summed up from the points, which costs as little."""

_EMPTY = np.empty((0, len(COLUMNS)))


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


_ALL = _Range()


def keys(conn: Connection, run: str) -> list[str]:
    """Names of what the run logged, sorted; not those of system metrics."""
    return sorted(conn.scalars(select(series.c.key).where(series.c.run == run, ~IS_SYSTEM).distinct()))


def read_system(conn: Connection, run: str) -> list[dict[str, Any]]:
    """The run's system metrics as rows, `system/cpu` and the like, by seconds since the epoch as `_timestamp`."""
    names = list(conn.scalars(select(series.c.key).where(series.c.run == run, IS_SYSTEM).distinct()))
    rows = read_rows(conn, run, names) if names else []
    return [{"_timestamp": float(row.pop("_step")), **{name[1:]: row[name] for name in row}} for row in rows]


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
    return _join(conn, find_parts(conn, runs, names), _Range(min_step, max_step))


def _join(conn: Connection, found: Sequence[Part], wanted: _Range = _ALL) -> dict[tuple[str, str], Points]:
    """The visible points of parts that were found, by run and key."""
    parts: dict[tuple[str, str], list[Points]] = defaultdict(list)
    pieces = _read_points(conn, [one.id for one in found], wanted)
    for one in found:
        if one.id in pieces:
            _, points = pieces[one.id]
            points = points[one.visible(points.steps)]
            parts[one.run, one.key].append(points if wanted is _ALL else points[wanted.inside(points.steps)])
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


def read_page(
    conn: Connection,
    run: str,
    keys: Collection[str] | None = None,
    min_step: int | None = None,
    max_step: int | None = None,
    limit: int = 1000,
) -> list[dict[str, Any]]:
    """The first rows of `read_rows`, at most `limit`; empty only when there is none.

    Looks at no more than a chunk or so of each series, so that a long run can be read page by page.
    """
    ids, first = [one.id for one in find_parts(conn, [run], keys)], min_step
    while True:
        bound = _end_of_page(conn, ids, _Range(first, max_step))
        last = max_step if bound is None else bound if max_step is None else min(bound, max_step)
        rows = read_rows(conn, run, keys, first, last)
        if rows or bound is None or last == max_step:
            return rows[:limit]
        first = bound + 1


def _end_of_page(conn: Connection, ids: Sequence[int], wanted: _Range) -> int | None:
    """The smallest step at which a chunk ends; None when only the tail is left."""
    ends: list[int] = []
    for some in pieces_of(ids):
        query = select(func.min(chunks.c.last_step)).where(chunks.c.series.in_(some), *wanted.chunk_conditions())
        if (end := conn.scalar(query)) is not None:
            ends.append(end)
    return min(ends, default=None)


def sampled_rows(
    conn: Connection, run: str, samples: int = 500, keys: Collection[str] | None = None, x_axis: str = "_step"
) -> list[dict[str, Any]]:
    """Rows for a chart: at most `samples`, evenly chosen in order of `x_axis`, the first and the last among them.

    With `keys` only rows that have all of them. A run much longer than `samples` whose columns were logged together
    is read through its levels: each row is then the last of a stretch of equal length.
    """
    wanted = None if keys is None else {*keys, "_timestamp", x_axis} - {"_step"}
    found = find_parts(conn, [run], wanted)
    columns = _thin_columns(conn, found, samples) if x_axis in ("_step", "_timestamp") else None
    if columns is None:
        columns = {key: points for (_, key), points in _join(conn, found).items()}
    steps = _steps_with(columns, None if keys is None else [key for key in keys if key != "_step"])
    if x_axis != "_step" and x_axis in columns and len(steps):
        steps = steps[np.argsort(_values_at(columns[x_axis], steps), kind="stable")]
    if len(steps) > samples:
        gap = (len(steps) - 1) / max(1, samples - 1)
        steps = steps[len(steps) - 1 - np.rint(np.arange(samples)[::-1] * gap).astype(np.int64)]
    return _rows_at(columns, steps)


def _thin_columns(conn: Connection, found: Sequence[Part], samples: int) -> dict[str, Points] | None:
    """The last point of each bucket of the coarsest level with `samples` buckets; None where that does not hold up.

    It does for numbers that were logged together, one attempt, far more points than samples.
    """
    ids = [one.id for one in found]
    query = select(chunks.c.series, chunks.c.position, chunks.c["count"], chunks.c.kind)
    held = fetch(conn, query.where(among(conn, chunks.c.series, ids)))
    counts: dict[int, int] = defaultdict(int)
    for number, _, count, _ in held:
        counts[number] += count
    fewest = min(counts.values(), default=0)
    level = next((level for level in reversed(LEVELS) if fewest >= level * samples), None)
    if level is None or len(counts) < len(ids) or len({one.key for one in found}) < len(ids):
        return None
    parts = _levelled(conn, ids, level, {(row[0], row[1]) for row in held})
    if parts is None or any(row[3] in "jJ" for row in held):
        return None
    mixed = {row[0] for row in held if row[3] in "dD"}
    columns: dict[str, Points] = {}
    for one in found:
        curve = _ordered(parts[one.id])
        kind, values = "d", curve[:, 4]
        if one.id not in mixed and bool((np.abs(values) < 2**53).all()):
            kind, values = "q", values.astype(np.int64)
        columns[one.key] = Points(kind, curve[:, 0].astype(np.int64), values)
    first = next(iter(columns.values())).steps
    return columns if all(np.array_equal(points.steps, first) for points in columns.values()) else None


def _steps_with(columns: Mapping[str, Points], keys: Collection[str] | None) -> Array:
    """The steps that have all of `keys`, or any column at all."""
    if keys is None:
        return np.unique(np.concatenate([points.steps for points in columns.values()] or [np.empty(0, np.int64)]))
    if any(key not in columns for key in keys):
        return np.empty(0, np.int64)
    if not keys:
        return _steps_with(columns, None)
    steps = min((columns[key].steps for key in keys), key=len)
    for key in keys:
        if not np.array_equal(steps, columns[key].steps):
            steps = np.intersect1d(steps, columns[key].steps, assume_unique=True)
    return steps


def _values_at(points: Points, steps: Array) -> Array:
    """The column's numbers at these steps, NaN where it has none."""
    places = np.minimum(np.searchsorted(points.steps, steps), len(points) - 1)
    return np.where(points.steps[places] == steps, points.numbers()[places], np.nan)


def _rows_at(columns: Mapping[str, Points], steps: Array) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"_step": step} for step in steps.tolist()]
    for key, points in sorted(columns.items()):
        places = np.minimum(np.searchsorted(points.steps, steps), len(points) - 1)
        there = np.flatnonzero(points.steps[places] == steps)
        for row, value in zip(there.tolist(), points[places[there]].values.tolist(), strict=True):
            rows[row][key] = value
    return rows


def sample(
    conn: Connection, run: str, key: str, points: int, min_step: int | None = None, max_step: int | None = None
) -> Array:
    """A curve of one run's key between two steps, from the coarsest level that has `points` buckets.

    Returns:
        Buckets of shape `(n <= points, 6)`, columns as in `COLUMNS`; single points while they fit.
    """
    found, wanted = find_parts(conn, [run], [key]), _Range(min_step, max_step)
    ids = [one.id for one in found]
    query = select(chunks.c.series, chunks.c.position, chunks.c["count"]).where(among(conn, chunks.c.series, ids))
    held = fetch(conn, query.where(*wanted.chunk_conditions()))
    total = sum(row[2] for row in held)
    level = next((level for level in reversed(LEVELS) if total >= level * points), 1)
    parts = _levelled(conn, ids, level, {(row[0], row[1]) for row in held}) if level > 1 else None
    if parts is None:
        parts = {number: _single(raw) for number, (_, raw) in _read_points(conn, ids, wanted).items()}
    curve = _curves(found, parts).get(run, _EMPTY)
    return regroup(curve[wanted.inside(curve[:, 0])], points)


def _read_points(
    conn: Connection, ids: Sequence[int], wanted: _Range = _ALL, stores: Sequence[Table] = (chunks, tail)
) -> dict[int, tuple[int, Points]]:
    """Position of the first point and all points of some series; chunks outside of `wanted` are left out."""
    pieces: dict[int, list[Piece]] = defaultdict(list)
    for store in stores:
        conditions = wanted.chunk_conditions() if store is chunks else ()
        for number, some in read_pieces(conn, store, ids, *conditions).items():
            pieces[number] += some
    return {number: (own[0].position, open_pieces(own)) for number, own in pieces.items()}


def _levelled(conn: Connection, ids: Sequence[int], level: int, held: set[tuple[int, int]]) -> dict[int, Array] | None:
    """Buckets of `level` points of the chunks in `held`, then of the tail; None when a chunk has no levels."""
    query = select(levels.c.series, levels.c.position, levels.c.blob)
    query = query.where(among(conn, levels.c.series, ids), levels.c.level == level)
    blobs: dict[int, list[bytes]] = {number: [] for number in ids}
    for number, position, blob in fetch(conn, query.order_by(levels.c.series, levels.c.position)):
        if (number, position) in held:
            blobs[number].append(blob)
    if sum(map(len, blobs.values())) < len(held):
        return None
    parts = {number: unpack_buckets(b"".join(some)) for number, some in blobs.items()}
    for number, (_, rest) in _read_points(conn, ids, stores=(tail,)).items():
        parts[number] = np.concatenate((parts[number], buckets(rest.steps, rest.numbers(), level)))
    return parts


def _single(points: Points) -> Array:
    ordered = points.by_step()
    return buckets(ordered.steps, ordered.numbers(), 1)


def _curves(found: Iterable[Part], parts: Mapping[int, Array]) -> dict[str, Array]:
    """Each run's buckets by step, hidden ones left out, those at one step merged."""
    curves: dict[str, list[Array]] = defaultdict(list)
    for one in found:
        if one.id in parts:
            part = parts[one.id]
            curves[one.run].append(part[one.visible(part[:, 0])])
    return {run: ordered for run, some in curves.items() if len(ordered := _ordered(np.concatenate(some)))}


def _ordered(curve: Array) -> Array:
    steps = curve[:, 0]
    if len(steps) < 2 or bool((steps[1:] > steps[:-1]).all()):
        return curve
    curve = curve[np.argsort(steps, kind="stable")]
    return merge(curve, np.flatnonzero(np.append(True, curve[1:, 0] != curve[:-1, 0])))
