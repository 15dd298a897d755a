"""Points of one series as arrays, as blobs, and summed up in buckets.

A piece is what rests in one row: kind, steps, values. Kind "d" holds float64, "q" int64, "j" a msgpack list of plain
values. Steps are int64, or (start, stride) when they are evenly spaced. Chunks are packed (`pack_piece`), which their
kinds "D", "Q" and "J" tell.
Buckets are float64 arrays of shape `(n, 6)`, columns as in `COLUMNS`; values that are not finite count as missing,
except in `last`.
Knows nothing of tables.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np

from besom.tracking.store.packing import Array, expand_many, expand_steps, pack_numbers, shorten_steps, unpack_numbers

__all__ = [
    "BUCKET_BYTES",
    "COLUMNS",
    "OVERVIEW_POINTS",
    "Array",
    "Piece",
    "Points",
    "buckets",
    "buckets_at",
    "encode",
    "join",
    "merge",
    "next_buckets",
    "numbers_of",
    "open_pieces",
    "pack_buckets",
    "pack_piece",
    "packed_objects",
    "regroup",
    "shrunk",
    "to_piece",
    "unpack_buckets",
]

COLUMNS = ("step", "min", "max", "mean", "last", "count")
"""Last step of the bucket, then its values; count is that of the finite ones."""
BUCKET_BYTES = 8 * len(COLUMNS)
OVERVIEW_POINTS = 400
"""Buckets that an overview has at most, and half of which it has at least."""

_EXACT = 2**53
_FEW = 4
_DTYPES = {"d": "<f8", "q": "<i8"}
_EVEN, _PACKED = b"e", b"p"
"""First byte of a packed piece's steps: (start, stride), or packed one by one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some points as they rest in a row of `tail` or `chunks`; the columns in this order."""

    position: int
    count: int
    kind: str
    steps: bytes
    values: bytes

    def points(self) -> Points:
        """The points, decoded."""
        if self.kind.isupper():
            return _unpacked(self)
        steps = expand_steps(self.steps, self.count)
        if self.kind == "j":
            return Points("j", steps, _objects(msgpack.unpackb(self.values, strict_map_key=False)))
        return Points(self.kind, steps, np.frombuffer(self.values, _DTYPES[self.kind]))


@dataclass(frozen=True, slots=True)
class Points:
    """Steps (int64) and values (float64, int64 or object, by kind), both of shape `(n,)`."""

    kind: str
    steps: Array
    values: Array

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, part: slice | Array) -> Points:
        return Points(self.kind, self.steps[part], self.values[part])

    def numbers(self) -> Array:
        """The values as float64; what is not a number, bools included, is NaN."""
        if self.kind != "j":
            return self.values.astype(np.float64, copy=False)
        return np.array([float(value) if _is_number(value) else np.nan for value in self.values], np.float64)

    def by_step(self) -> Points:
        """Sorted by step, of several values at one step the last."""
        steps = self.steps
        if len(steps) < 2 or bool((steps[1:] > steps[:-1]).all()):
            return self
        order = np.argsort(steps, kind="stable")
        ordered = steps[order]
        return self[order[np.append(ordered[1:] != ordered[:-1], True)]]


def encode(values: Sequence[Any]) -> tuple[str, bytes]:
    """Kind and blob of plain values; ints among floats become floats unless one is above 2**53."""
    types = {type(value) for value in values}
    if types <= {int} and all(-(2**63) <= value < 2**63 for value in values):
        return "q", np.array(values, "<i8").tobytes()
    if types <= {int, float} and all(type(value) is float or abs(value) <= _EXACT for value in values):
        return "d", np.array(values, "<f8").tobytes()
    return "j", bytes(msgpack.packb(list(values)))


def to_piece(position: int, points: Points) -> Piece:
    """The points as a row, evenly spaced steps shortened."""
    return Piece(position, len(points), points.kind, _kept_steps(points), _kept_values(points))


def pack_piece(position: int, points: Points) -> Piece:
    """`to_piece` compressed, for a chunk."""
    kept = _kept_steps(points)
    steps = _EVEN + kept if len(kept) != 8 * len(points) else _PACKED + pack_numbers(points.steps)
    values = zlib.compress(_kept_values(points), 1) if points.kind == "j" else pack_numbers(points.values)
    return Piece(position, len(points), points.kind.upper(), steps, values)


def _kept_steps(points: Points) -> bytes:
    return shorten_steps(points.steps.astype("<i8", copy=False).tobytes())


def _kept_values(points: Points) -> bytes:
    if points.kind == "j":
        return bytes(msgpack.packb(points.values.tolist()))
    return points.values.astype(_DTYPES[points.kind], copy=False).tobytes()


def _unpacked(piece: Piece) -> Points:
    kind, rest = piece.kind.lower(), piece.steps[1:]
    steps = expand_steps(rest, piece.count) if piece.steps.startswith(_EVEN) else unpack_numbers(rest, "<i8")
    if kind == "j":
        return Points("j", steps, _objects(msgpack.unpackb(zlib.decompress(piece.values), strict_map_key=False)))
    return Points(kind, steps, unpack_numbers(piece.values, _DTYPES[kind]))


def packed_objects(kind: str, values: bytes) -> bytes:
    """The msgpack list in a piece of plain values, kind "j" in the tail and "J" in a chunk."""
    return zlib.decompress(values) if kind == "J" else values


def open_pieces(pieces: Sequence[Piece]) -> Points:
    """The points of some pieces, one after another, in the narrowest kind that holds them all."""
    kinds = {piece.kind for piece in pieces}
    if len(pieces) == 1 or len(kinds) != 1 or not kinds <= _DTYPES.keys():
        return join([piece.points() for piece in pieces])
    steps = expand_many([piece.steps for piece in pieces], [piece.count for piece in pieces])
    return Points(kinds.pop(), steps, numbers_of([piece.values for piece in pieces], pieces[0].kind))


def numbers_of(blobs: Sequence[bytes], kind: str) -> Array:
    """The values of pieces of kind "d" or "q"."""
    return np.frombuffer(b"".join(blobs), _DTYPES[kind])


def join(parts: Sequence[Points]) -> Points:
    """The parts one after another, in the narrowest kind that holds them all."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Points("d", np.empty(0, np.int64), np.empty(0))
    kind = _common_kind(parts)
    values = [part.numbers() if kind == "d" else part.values for part in parts]
    if kind == "j":
        values = [_objects(part.values.tolist()) for part in parts]
    return Points(kind, np.concatenate([part.steps for part in parts]), np.concatenate(values))


def _common_kind(parts: Sequence[Points]) -> str:
    kinds = {part.kind for part in parts}
    if len(kinds) == 1:
        return kinds.pop()
    ints = [part.values for part in parts if part.kind == "q" and len(part)]
    exact = all(part.min() >= -_EXACT and part.max() <= _EXACT for part in ints)
    return "d" if exact and "j" not in kinds else "j"


def _objects(values: Sequence[Any]) -> Array:
    kept = np.empty(len(values), object)
    kept[:] = values
    return kept


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def buckets(steps: Array, values: Array, width: int) -> Array:
    """Every `width` points summed up; `values` are float64."""
    return buckets_at(steps, values, np.arange(0, len(values), width))


def buckets_at(steps: Array, values: Array, starts: Array) -> Array:
    """The points between each of `starts` and the next summed up; `values` are float64."""
    finite = np.isfinite(values)
    if len(starts) == len(values):
        clean = values if finite.all() else np.where(finite, values, np.nan)
        return _columns(steps, clean, clean, clean, values, finite)
    ends = np.append(starts[1:], len(values)) - 1
    if finite.all():
        count = (ends - starts + 1).astype(np.float64)
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        return _columns(steps[ends], low, high, np.add.reduceat(values, starts) / count, values[ends], count)
    with np.errstate(all="ignore"):
        count = np.add.reduceat(finite, starts, dtype=np.float64)
        mean = np.add.reduceat(np.where(finite, values, 0.0), starts) / count
        low = np.minimum.reduceat(np.where(finite, values, np.inf), starts)
        high = np.maximum.reduceat(np.where(finite, values, -np.inf), starts)
    low[count == 0] = high[count == 0] = np.nan
    return _columns(steps[ends], low, high, mean, values[ends], count)


def _columns(*columns: Array) -> Array:
    """As `np.column_stack`, which takes twice as long."""
    whole = np.empty((len(columns[0]), len(columns)))
    for place, column in enumerate(columns):
        whole[:, place] = column
    return whole


def merge(parts: Array, starts: Array) -> Array:
    """Buckets summed up from those between each of `starts` and the next."""
    step, low, high, mean, last, count = np.ascontiguousarray(parts.T)
    ends = np.append(starts[1:], len(parts)) - 1
    total = mean * count if count.all() else np.where(count > 0, mean * count, 0.0)
    if (ends - starts).max(initial=0) > _FEW:
        lows, highs = np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts)
        totals, counts = np.add.reduceat(total, starts), np.add.reduceat(count, starts)
    else:  # one after another is several times as fast
        lows, highs, totals, counts = low[starts], high[starts], total[starts], count[starts]
        for more in range(1, int((ends - starts).max(initial=0)) + 1):
            place = np.minimum(starts + more, ends)
            lows, highs = np.fmin(lows, low[place]), np.fmax(highs, high[place])
            is_new = starts + more <= ends
            totals, counts = totals + total[place] * is_new, counts + count[place] * is_new
    with np.errstate(all="ignore"):
        return _columns(step[ends], lows, highs, totals / counts, last[ends], counts)


def regroup(parts: Array, points: int) -> Array:
    """At most `points` buckets."""
    count = len(parts)
    return parts if count <= points else merge(parts, np.arange(points) * count // points)


def next_buckets(known: int, covered: int, fresh: Points) -> Array:
    """What `fresh` adds to an overview whose `known` buckets cover `covered` points: buckets of the same width."""
    width = max(1, round(covered / known)) if known else -(-len(fresh) // OVERVIEW_POINTS)
    return buckets(fresh.steps, fresh.numbers(), width)


def shrunk(view: Array) -> Array:
    """An overview of at most 400 buckets: as often as need be, two become one."""
    while len(view) > OVERVIEW_POINTS:
        view = merge(view, np.arange(0, len(view), 2))
    return view


def pack_buckets(parts: Array) -> bytes:
    """The buckets' blob."""
    return parts.astype("<f8", copy=False).tobytes()


def unpack_buckets(blob: bytes) -> Array:
    """The buckets of a blob."""
    return np.frombuffer(blob, "<f8").reshape(-1, len(COLUMNS))
