"""Curves of characters: every dot where the numbers say, and nothing outside the picture."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from besom.cli.curve import Canvas, best_so_far, draw


def test_braille_bits() -> None:
    """The eight dots of a cell are the Unicode block's dots 1 to 8, column by column."""
    names = {(0, 0): "1", (0, 1): "2", (0, 2): "3", (1, 0): "4", (1, 1): "5", (1, 2): "6", (0, 3): "7", (1, 3): "8"}
    for (x, y), dot in names.items():
        canvas = Canvas(1, 1)
        canvas.dot(x, y)
        assert canvas.rows() == [chr(0x2800 | 1 << (int(dot) - 1))]


def test_a_diagonal_in_stars() -> None:
    """A rising line goes from the lower left corner to the upper right one."""
    canvas = Canvas(4, 4, braille=False)
    canvas.line((0, 3), (3, 0))
    assert canvas.rows() == ["   *", "  * ", " *  ", "*   "]


def test_axes_name_their_ends() -> None:
    """The y axis has largest, middle and smallest value, the x axis first and last."""
    lines = draw([(0, 1.0), (10, 3.0)], 40, 10, braille=False)
    assert len(lines) == 10
    assert [line.split("|")[0].strip() for line in lines[:8]] == ["3", "", "", "", "2", "", "", "1"]
    assert lines[-1].split() == ["0", "10"]
    assert lines[0].endswith("*")
    assert lines[7].split("|")[1].startswith("*")


def test_close_values_get_enough_digits() -> None:
    """Labels of a flat curve differ from each other."""
    lines = draw([(0, 1.0), (1, 1.00001)], 40, 8, braille=False)
    labels = [line.split("|")[0].strip() for line in lines[:6]]
    assert len({label for label in labels if label}) == 3


def test_a_constant_stands_in_the_middle() -> None:
    """One value, or one point, is drawn and not divided by zero."""
    lines = draw([(5, 2.0)], 30, 9, braille=False)
    assert sum("*" in line for line in lines) == 1
    assert lines[-1].split() == ["5"]


def test_nan_leaves_a_gap() -> None:
    """No line is drawn over a point that is not finite."""
    whole = "".join(draw([(0, 0.0), (1, 0.5), (2, 1.0)], 60, 10, braille=False)).count("*")
    gap = "".join(draw([(0, 0.0), (1, math.nan), (2, 1.0)], 60, 10, braille=False)).count("*")
    assert gap == 2
    assert whole > 20


@pytest.mark.parametrize("points", [[], [(0.0, math.nan)], [(0.0, math.inf)]])
def test_nothing_to_draw(points: list[tuple[float, float]]) -> None:
    """One line says so."""
    assert draw(points, 40, 10) == ["(no points yet)"]


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30),
    st.integers(1, 120),
    st.integers(1, 40),
    st.booleans(),
)
def test_any_numbers_can_be_drawn(values: list[float], width: int, height: int, braille: bool) -> None:
    """Whatever is logged, in a terminal of any size, gives lines and no error."""
    lines = draw([(float(step), value) for step, value in enumerate(values)], width, height, braille=braille)
    assert lines == ["(no points yet)"] or len(lines) == max(height, 4)


def test_best_so_far() -> None:
    """The running minimum or maximum; trials without a value repeat it, and none is NaN before the first."""
    values = [None, 3.0, None, 4.0, 1.0]
    assert list(best_so_far(values, maximize=False))[1:] == [3.0, 3.0, 3.0, 1.0]
    assert list(best_so_far(values, maximize=True))[1:] == [3.0, 3.0, 4.0, 4.0]
    assert math.isnan(next(best_so_far(values, maximize=True)))
