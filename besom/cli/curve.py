"""A curve drawn with characters: braille dots, or stars where the terminal has no braille.

Reads: points.  Gives: lines of text of a given width and height.  Knows nothing of terminals, runs or sweeps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["Canvas", "draw", "sparkline"]

_BRAILLE: Final = 0x2800
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot in a braille character, by row and column: Unicode 15, chapter 21.1."""

_BARS: Final = "▁▂▃▄▅▆▇█"
_PLAIN_BARS: Final = "_.-:=+*#"

Point = tuple[float, float]


def sparkline(values: Sequence[float], *, blocks: bool = True) -> str:
    """One character for each value, its height between the smallest and the largest; a blank for what is not finite."""
    bars = _BARS if blocks else _PLAIN_BARS
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    span = high / 2 - low / 2  # halves: the difference of two floats may be infinite

    def bar(value: float) -> str:
        return bars[round((value / 2 - low / 2) / span * (len(bars) - 1))] if span else bars[0]

    return "".join(bar(value) if math.isfinite(value) else " " for value in values)


class Canvas:
    """A grid of dots on `width` x `height` characters; dot (0, 0) is at the top left.

    Args:
        width: In characters.
        height: In characters.
        braille: Eight dots in each character; else one star.
    """

    def __init__(self, width: int, height: int, *, braille: bool = True) -> None:
        self._cells = [[0] * width for _ in range(height)]
        self._braille = braille
        self._across, self._down = (2, 4) if braille else (1, 1)
        self.width = width * self._across
        self.height = height * self._down

    def dot(self, x: int, y: int) -> None:
        """Set one dot."""
        column, bit_column = divmod(x, self._across)
        row, bit_row = divmod(y, self._down)
        self._cells[row][column] |= _DOTS[bit_row][bit_column]

    def line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Set the dots of a straight line, both ends included."""
        (x0, y0), (x1, y1) = start, end
        count = max(abs(x1 - x0), abs(y1 - y0), 1)
        for place in range(count + 1):
            self.dot(round(x0 + (x1 - x0) * place / count), round(y0 + (y1 - y0) * place / count))

    def rows(self) -> list[str]:
        """The characters, top row first."""
        if self._braille:
            return ["".join(chr(_BRAILLE + cell) if cell else " " for cell in row) for row in self._cells]
        return ["".join("*" if cell else " " for cell in row) for row in self._cells]


def draw(points: Sequence[Point], width: int, height: int, *, braille: bool = True) -> list[str]:
    """The points joined by lines, with axes.

    Args:
        points: (x, y), x ascending; those that are not finite leave a gap.
        width: Of the whole picture, in characters.
        height: Of the whole picture, in lines.
        braille: Draw with braille dots; else with stars.

    Returns:
        `height` lines, or one line when there is nothing to draw.
    """
    held = [point for point in points if _is_finite(point)]
    if not held:
        return ["(no points yet)"]
    low, high = min(y for _, y in held), max(y for _, y in held)
    labels = _labels(low, high)
    margin = max(map(len, labels))
    canvas = Canvas(max(width - margin - 2, 4), max(height - 2, 2), braille=braille)
    _plot(canvas, points, (held[0][0], held[-1][0]), (low, high))
    rows = canvas.rows()
    beside = {0: labels[0], len(rows) // 2: labels[1], len(rows) - 1: labels[2]}
    lines = [f"{beside.get(place, ''):>{margin}} │{row}".rstrip() for place, row in enumerate(rows)]
    if not braille:
        lines = [line.replace("│", "|") for line in lines]
    across = canvas.width // (2 if braille else 1)
    corner, rule = ("└", "─") if braille else ("+", "-")
    first, last = _number(held[0][0]), _number(held[-1][0])
    ends = first if len(held) == 1 else f"{first}{last:>{max(across - len(first), len(last) + 1)}}"
    return [*lines, f"{'':>{margin}} {corner}{rule * across}", f"{'':>{margin}}  {ends}"]


def _plot(canvas: Canvas, points: Sequence[Point], across: Point, up: Point) -> None:
    before: tuple[int, int] | None = None
    for point in points:
        if not _is_finite(point):
            before = None
            continue
        here = (
            _place(point[0], *across, canvas.width),
            canvas.height - 1 - _place(point[1], *up, canvas.height),
        )
        canvas.line(before or here, here)
        before = here


def _place(value: float, low: float, high: float, count: int) -> int:
    """Which of `count` places; the middle when all values are the same."""
    # Halves keep a range of 1e308 from overflowing.
    reach = high / 2 - low / 2
    share = (value / 2 - low / 2) / reach if reach > 0 else 0.5
    return min(count - 1, max(0, round(share * (count - 1))))


def _labels(low: float, high: float) -> tuple[str, str, str]:
    """Top, middle and bottom of the y axis, with as many digits as tell them apart."""
    if low == high:
        return "", _number(low), ""
    values = (high, low / 2 + high / 2, low)
    for digits in range(3, 17):
        texts = tuple(f"{value:.{digits}g}" for value in values)
        if len(set(texts)) == 3:
            break
    return texts[0], texts[1], texts[2]


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e12 else f"{value:.6g}"


def _is_finite(point: Point) -> bool:
    return math.isfinite(point[0]) and math.isfinite(point[1])


def best_so_far(values: Sequence[float | None], *, maximize: bool) -> Iterator[float]:
    """The best of all values up to each; NaN before the first."""
    best = math.nan
    for value in values:
        if value is not None and (math.isnan(best) or (value > best if maximize else value < best)):
            best = value
        yield best
