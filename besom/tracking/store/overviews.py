"""Thin curves of one key for many runs at once: what a sweep's page draws.

Reads: series, overview, tail, and the chunks of short series.  Everything goes through numpy in groups of runs: work
for each point, bucket or even series would take longer than the database does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain, groupby
from operator import itemgetter

import numpy as np
from sqlalchemy import Connection, select

from besom.tracking.store.packing import Array, expand_many, places_within
from besom.tracking.store.parts import Part, find_parts, piece_rows
from besom.tracking.store.points import BUCKET_BYTES, Piece, buckets_at, merge, numbers_of, open_pieces, unpack_buckets
from besom.tracking.store.rows import Values, among, fetch, pieces_of
from besom.tracking.store.schema import chunks, overview, tail

__all__ = ["overviews"]

_GROUP = 64
"""Runs taken together: enough for numpy, few enough for a processor's cache."""
_NEVER = 2**62
"""Above every step that can be hidden."""


def overviews(conn: Connection, runs: Collection[str], key: str, points: int = 200) -> dict[str, Array]:
    """A thin curve of one key for each run that logged it.

    Returns:
        For each run buckets of shape `(n <= points, 6)`, columns as in `COLUMNS`. Single points while they fit; at a
        step where another attempt takes over, a bucket across it is left out.
    """
    parts = sorted(find_parts(conn, runs, [key]), key=lambda part: part.run)  # stable: earlier attempts stay first
    ids = [part.id for part in parts]
    query = select(overview).where(among(conn, overview.c.series, ids))
    views: dict[int, tuple[int, bytes]] = {}
    for number, position, count, blob in fetch(conn, query.order_by(overview.c.series, overview.c.position)):
        views[number] = (position + count, views[number][1] + blob if position else blob)
    rows = piece_rows(conn, tail, ids)
    if short := [number for number in ids if number not in views]:
        rows = sorted(rows + piece_rows(conn, chunks, short), key=itemgetter(0, 1))
    pieces = {number: list(some) for number, some in groupby(rows, key=itemgetter(0))}
    by_run = [list(some) for _, some in groupby(parts, key=itemgetter(1))]
    found: dict[str, Array] = {}
    for group in pieces_of(by_run, _GROUP):
        found |= _curves(list(chain.from_iterable(group)), views, pieces, points)
    return found


def _curves(
    parts: Sequence[Part], views: Mapping[int, tuple[int, bytes]], pieces: Mapping[int, list[Values]], points: int
) -> dict[str, Array]:
    """The curves of whole runs."""
    own = [views.get(part.id, (0, b"")) for part in parts]
    covered = np.array([count for count, _ in own])
    sizes = np.array([len(blob) for _, blob in own]) // BUCKET_BYTES
    width = np.where(sizes > 0, np.rint(covered / np.maximum(1, sizes)), 0).astype(np.int64)
    hidden = np.array([_NEVER if part.hidden_from is None else part.hidden_from for part in parts])
    curve, owner = unpack_buckets(b"".join([blob for _, blob in own])), np.repeat(np.arange(len(parts)), sizes)
    rows = [pieces.get(part.id, []) for part in parts]
    if any(rows):
        fresh, fresh_owner = _fresh(rows, covered, hidden, width, points)
        owner = np.concatenate((owner, fresh_owner))
        order = np.argsort(owner, kind="stable")  # of each part first what its overview covers, then what is newer
        curve, owner = np.concatenate((curve, fresh))[order], owner[order]
    if bool((hidden < _NEVER).any()):
        seen = curve[:, 0] < hidden[owner]
        curve, owner = curve[seen], owner[seen]
    return _thinned([part.run for part in parts], curve, owner, points)


def _fresh(
    rows: Sequence[Sequence[Values]], covered: Array, hidden: Array, width: Array, points: int
) -> tuple[Array, Array]:
    """Buckets of what each part has beyond its first `covered` points, and the part of each.

    As wide as those of the part's overview, or, without one, so that there are `points` of them at least.
    """
    _, positions, counts, kinds, *blobs = zip(*chain.from_iterable(rows), strict=True)
    of_piece = np.repeat(np.arange(len(rows)), list(map(len, rows)))
    owner = np.repeat(of_piece, counts)
    if set(kinds) == {"d"}:
        steps, numbers = expand_many(blobs[0], counts), numbers_of(blobs[1], "d")
    else:
        whole = open_pieces([Piece(*row[1:]) for row in chain.from_iterable(rows)])
        steps, numbers = whole.steps, whole.numbers()
    if bool((np.array(positions) < covered[of_piece]).any()) or bool((hidden < _NEVER).any()):
        place = np.repeat(positions, counts) + places_within(np.array(counts))
        seen = (place >= covered[owner]) & (steps < hidden[owner])
        steps, numbers, owner = steps[seen], numbers[seen], owner[seen]
    if not _rises(steps, owner):
        order = np.lexsort((steps, owner))
        steps, numbers, owner = steps[order], numbers[order], owner[order]
        newest = np.append((steps[1:] != steps[:-1]) | (owner[1:] != owner[:-1]), True)
        steps, numbers, owner = steps[newest], numbers[newest], owner[newest]
    have = np.bincount(owner, minlength=len(rows))
    width = np.maximum(1, np.where(width > 0, width, have // points))
    sizes = -(-have // width)
    starts = np.repeat(np.cumsum(have) - have, sizes) + places_within(sizes) * np.repeat(width, sizes)
    return buckets_at(steps, numbers, starts), np.repeat(np.arange(len(rows)), sizes)


def _thinned(runs: Sequence[str], curve: Array, owner: Array, points: int) -> dict[str, Array]:
    """Each run's buckets, at most `points`, by step, those at one step merged; `runs` are those of the owners."""
    names = list(dict.fromkeys(runs))
    number = {name: place for place, name in enumerate(names)}
    run = np.array([number[name] for name in runs], np.int64)[owner]
    if not _rises(curve[:, 0], run):
        order = np.lexsort((curve[:, 0], run))
        curve, run = curve[order], run[order]
        starts = np.flatnonzero(np.append(True, (curve[1:, 0] != curve[:-1, 0]) | (run[1:] != run[:-1])))
        curve, run = merge(curve, starts), run[starts]
    have = np.bincount(run, minlength=len(names))
    sizes = np.minimum(have, points)
    if bool((have > points).any()):
        many, kept = np.repeat(have, sizes), np.repeat(sizes, sizes)
        curve = merge(curve, np.repeat(np.cumsum(have) - have, sizes) + places_within(sizes) * many // kept)
    ends = np.cumsum(sizes).tolist()
    return {name: curve[end - size : end] for name, end, size in zip(names, ends, sizes.tolist(), strict=True) if size}


def _rises(steps: Array, owner: Array) -> bool:
    """Whether each owner's steps, which stand together, rise."""
    return bool(((steps[1:] > steps[:-1]) | (owner[1:] != owner[:-1])).all())
