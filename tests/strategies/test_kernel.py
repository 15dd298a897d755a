"""Tests of the kernel: scikit-learn's Matern, and distances counted one by one."""

from __future__ import annotations

import numpy as np
from sklearn.gaussian_process.kernels import Matern

from besom.strategies.kernel import Pairs, cross_distances, matern, matern_and_slope

ORDERED = np.array([False, False, False])


def test_matern_is_scikit_learns() -> None:
    """Likeness over scaled distances is scikit-learn's Matern 5/2 with a length for each column."""
    rows = np.random.default_rng(0).random((12, 3))
    lengths = np.array([0.2, 1.0, 5.0])
    ours = matern(cross_distances(rows, rows[:5], ORDERED, lengths**-2.0))
    np.testing.assert_allclose(ours, Matern(lengths, nu=2.5)(rows, rows[:5]), atol=1e-7)


def test_slope_is_the_difference_quotient() -> None:
    """The slope agrees with finite differences, and at distance 0 with its limit of -5/6."""
    squared, step = np.array([0.01, 0.3, 2.0, 20.0]), 1e-6
    quotient = (matern(squared + step) - matern(squared - step)) / (2 * step)
    likeness, slope = matern_and_slope(squared)
    np.testing.assert_allclose(likeness, matern(squared), rtol=1e-14)
    np.testing.assert_allclose(slope, quotient, atol=1e-8)
    assert matern_and_slope(np.array([0.0]))[1] == -5 / 6


def test_matern_does_not_depend_on_what_stands_beside() -> None:
    """Of many distances, more than are worked on at a time, each has the likeness that it has alone."""
    squared = np.random.default_rng(2).random((150, 130)).T * 9.0
    rows = np.array([matern(row) for row in squared])
    np.testing.assert_allclose(matern(squared), rows, rtol=1e-14)


def test_unordered_columns_count_mismatches() -> None:
    """An unordered column adds its weight where values differ, however far apart they are written."""
    left, right = np.array([[0.1, 0.25], [0.4, 0.75]]), np.array([[0.1, 0.75], [0.2, -1.0]])
    distances = cross_distances(left, right, np.array([False, True]), np.array([2.0, 3.0]))
    np.testing.assert_allclose(distances, [[3.0, 0.02 + 3.0], [0.18, 0.08 + 3.0]], atol=1e-12)


def test_pairs_are_the_lower_triangle() -> None:
    """Each pair comes once, and its weighed distances are those between all rows."""
    unordered = np.array([False, True, False])
    rows = np.random.default_rng(1).integers(0, 3, (7, 3)) / 2.0
    weights = np.array([1.0, 0.5, 4.0])
    pairs = Pairs.of(rows, unordered)
    everything = cross_distances(rows, rows, unordered, weights)
    assert len(pairs.first) == 21
    np.testing.assert_array_equal(everything.reshape(-1)[pairs.places], everything[pairs.second, pairs.first])
    np.testing.assert_allclose(pairs.distances @ weights, everything[pairs.first, pairs.second], atol=1e-12)
