"""What was logged, turned into the columnar bodies of batches.

Reads: rows of plain values in the order of their logging.  Gives: `BatchBody`s of about 48 kB.
Knows nothing of writers and their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from struct import pack
from typing import Any, Final

from besom.messages import BatchBody
from besom.tracking.values import packable, size_of

__all__ = ["BATCH_BYTES", "BATCH_ROWS", "bodies_of", "encode_column"]

BATCH_ROWS: Final = 500
BATCH_BYTES: Final = 48_000

_EXACT_INT: Final = 2**53
_INT64: Final = 2**63

_Row = dict[str, Any]
_Encoded = tuple[str, bytes, Any]


def bodies_of(
    steps: Sequence[int],
    rows: Sequence[_Row],
    summary: dict[str, Any],
    config: dict[str, Any],
    console: Sequence[tuple[str, float, str]],
) -> Iterator[BatchBody]:
    """Batches of about 48 kB; a batch holds the columns of some rows, or some of them.

    Args:
        steps: Of each row.
        rows: Names and plain values.
        summary: Values set explicitly.
        config: What changed of it.
        console: Stream, seconds since the epoch and text of each line.
    """
    columns: dict[str, _Encoded] = {}
    room = BATCH_BYTES
    for key, encoded in _encoded(steps, rows):
        size = len(key) + _size(encoded)
        if columns and (size > room or key in columns):
            yield BatchBody(history=columns)
            columns, room = {}, BATCH_BYTES
        columns[key] = encoded
        room -= size
    for start in range(0, len(console), BATCH_ROWS):
        yield BatchBody(console=list(console[start : start + BATCH_ROWS]))
    if columns or summary or config:
        yield BatchBody(history=columns, summary=packable(summary), config=packable(config))


def _encoded(steps: Sequence[int], rows: Sequence[_Row]) -> Iterator[tuple[str, _Encoded]]:
    for start in range(0, len(rows), BATCH_ROWS):
        some = slice(start, start + BATCH_ROWS)
        for key, own_steps, values in _columns(steps[some], rows[some]):
            for piece in _pieces(own_steps, values):
                yield key, piece


def _columns(steps: Sequence[int], rows: Sequence[_Row]) -> Iterable[tuple[str, Sequence[int], Sequence[Any]]]:
    """Each name with its steps and values."""
    first = rows[0]
    if set(map(len, rows)) == {len(first)}:
        with suppress(KeyError):  # as many names, but others
            return [(key, steps, [row[key] for row in rows]) for key in first]
    columns: dict[str, tuple[list[int], list[Any]]] = {}
    for step, row in zip(steps, rows, strict=True):
        for key, value in row.items():
            column = columns.setdefault(key, ([], []))
            column[0].append(step)
            column[1].append(value)
    return [(key, own_steps, values) for key, (own_steps, values) in columns.items()]


def _pieces(steps: Sequence[int], values: Sequence[Any]) -> Iterator[_Encoded]:
    """The column, in halves of halves where it is too long for a batch."""
    encoded = encode_column(steps, values)
    if len(values) > 1 and _size(encoded) > BATCH_BYTES:
        half = len(values) // 2
        yield from _pieces(steps[:half], values[:half])
        yield from _pieces(steps[half:], values[half:])
    else:
        yield encoded


def _size(encoded: _Encoded) -> int:
    _, steps, values = encoded
    return len(steps) + (len(values) if isinstance(values, bytes) else sum(8 + size_of(value) for value in values))


def encode_column(steps: Sequence[int], values: Sequence[Any]) -> _Encoded:
    """A column as `messages.BatchBody` keeps it."""
    packed_steps = pack(f"<{len(steps)}q", *steps)  # four times as fast as array and numpy are with a list
    kinds = set(map(type, values))
    if kinds == {int} and min(values) >= -_INT64 and max(values) < _INT64:
        return "q", packed_steps, pack(f"<{len(values)}q", *values)
    if kinds == {float} or (kinds == {int, float} and all(map(_is_exact, values))):
        return "d", packed_steps, pack(f"<{len(values)}d", *values)
    return "j", packed_steps, [packable(value) for value in values]


def _is_exact(value: float) -> bool:
    """Whether it is kept exactly as a double."""
    return type(value) is float or abs(value) <= _EXACT_INT
