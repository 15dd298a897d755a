"""Tests of where the acquisition is looked at."""

from __future__ import annotations

import numpy as np
import pytest

from besom.strategies import Categorical, Dimension, IntUniform, Space, Uniform
from besom.strategies.candidates import candidates, neighbours
from besom.strategies.cube import Array, Cube

PLANE = Cube(Space((Dimension(("x",), Uniform(0, 1)), Dimension(("y",), Uniform(0, 1)))))
MIXED = Cube(
    Space(
        (
            Dimension(("kind",), Categorical(("a", "b", "c"))),
            Dimension(("layers",), IntUniform(1, 9)),
            Dimension(("rate",), Uniform(0, 1)),
        )
    )
)
PEAK = np.array([0.3141, 0.2718])


def peaked(rows: Array) -> Array:
    return -np.abs(rows - PEAK).max(axis=1)


def test_climbing_comes_close_to_the_peak() -> None:
    """The first row is within a hundredth of a peak that lies far from the centre, and much nearer than without."""
    climbed, plain = (
        candidates(PLANE, np.random.default_rng(0), np.array([[0.9, 0.9]]), peaked, 200, climb=climb)[0]
        for climb in (True, False)
    )
    assert -peaked(climbed[None])[0] < 0.01
    assert -peaked(climbed[None])[0] < -0.5 * peaked(plain[None])[0]


def test_rows_are_ranked_and_in_the_cube() -> None:
    """All candidates are snapped points of the space, the highest score first."""
    rows = candidates(MIXED, np.random.default_rng(1), MIXED.draw(np.random.default_rng(2), 3), lambda r: r[:, 2], 90)
    np.testing.assert_array_equal(MIXED.snap(rows), rows)
    assert np.all(np.diff(rows[:, 2]) <= 0)


@pytest.mark.parametrize("width", [0.003, 0.1])
def test_neighbours_are_near(width: float) -> None:
    """Ordered coordinates move by about the width, integers by about one value, and some coordinate always may."""
    centre = MIXED.snap(np.array([[0.5, 0.5, 0.5]]))
    rows = neighbours(MIXED, np.random.default_rng(3), centre, 2000, np.array(width))
    moved = rows[rows[:, 2] != 0.5, 2] - 0.5
    assert moved.std() == pytest.approx(width, rel=0.1)
    layers = np.unique(np.round((rows[:, 1] - 0.5) * 9))
    assert {-1.0, 0.0, 1.0} <= set(layers)
    assert np.abs(layers).max() <= 4
    assert len(np.unique(rows[:, 0])) == 3


def test_walls_mirror() -> None:
    """From a wall, steps go inward and spread as far as elsewhere, and none is stuck at the wall."""
    rows = neighbours(PLANE, np.random.default_rng(4), np.array([[0.0, 1.0]]), 1000, np.array(0.05))
    moved = rows[rows[:, 0] > 0, 0]
    assert len(moved) == 1000
    assert np.mean(moved) == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.15)
