"""Tests of the Parzen step."""

from __future__ import annotations

import numpy as np

from besom.strategies import Categorical, Dimension, Space, Uniform
from besom.strategies.cube import Cube
from besom.strategies.parzen import parzen_candidates

CUBE = Cube(Space((Dimension(("kind",), Categorical("abc")), Dimension(("x",), Uniform(0, 1)))))
ROWS = CUBE.draw(np.random.default_rng(0), 60)
VALUES = np.abs(ROWS[:, 1] - 0.7) + (ROWS[:, 0] != 0.5)
NONE = np.empty((0, 2))


def test_points_come_near_good_trials() -> None:
    """The first rows have the good trials' choice and lie about their optimum, much nearer than even draws would."""
    first = np.array([parzen_candidates(CUBE, np.random.default_rng(s), ROWS, VALUES, NONE)[0] for s in range(20)])
    assert np.mean(first[:, 0] == 0.5) > 0.9
    assert np.median(np.abs(first[:, 1] - 0.7)) < 0.1


def test_unwanted_points_are_kept_away_from() -> None:
    """Where points are unwanted, fewer candidates rank first than without them."""
    unwanted = np.column_stack([np.full(30, 0.5), np.linspace(0.6, 0.7, 30)])

    def share(rows: np.ndarray) -> float:
        firsts = [parzen_candidates(CUBE, np.random.default_rng(s), ROWS, VALUES, rows)[0] for s in range(20)]
        return float(np.mean([row[0] == 0.5 and 0.58 < row[1] < 0.72 for row in firsts]))

    assert share(unwanted) < share(NONE)
