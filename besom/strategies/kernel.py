"""How alike two points are: Matern 5/2 over scaled distances, ordered coordinates by difference, unordered by mismatch.

Reads rows of numbers.  Knows nothing of observations or of what the coordinates mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from besom.strategies.cube import Array, Flags, Positions

__all__ = ["Pairs", "cross_distances", "matern", "matern_slope"]


def matern(squared: Array) -> Array:
    """Matern 5/2 correlation at squared scaled distances, 1 at distance 0."""
    root = np.sqrt(5.0 * squared)
    likeness = np.exp(-root)
    # 1 + root + root**2 / 3 without a new array for each step: this is where suggestions spend their time.
    factor = root * (1.0 / 3.0)
    factor += 1.0
    factor *= root
    factor += 1.0
    likeness *= factor
    return likeness


def matern_slope(squared: Array) -> Array:
    """Derivative of `matern` by the squared distance; finite everywhere."""
    root = np.sqrt(5.0 * squared)
    return (-5.0 / 6.0) * (1.0 + root) * np.exp(-root)


def cross_distances(left: Array, right: Array, unordered: Flags, weights: Array) -> Array:
    """Weighted squared distances between all rows, shape (left, right).

    Args:
        left: Rows, shape (m, columns).
        right: Rows, shape (n, columns).
        unordered: Columns that count 1 where they differ, else 0.
        weights: One for each column, 1 / length**2.
    """
    scale = np.sqrt(weights[~unordered])
    a, b = left[:, ~unordered] * scale, right[:, ~unordered] * scale
    squared: Array = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
    np.maximum(squared, 0.0, out=squared)
    for column in np.flatnonzero(unordered):
        squared += weights[column] * (left[:, column, None] != right[None, :, column])
    return squared


class Pairs(NamedTuple):
    """The distinct pairs among n rows: what a fit needs, half the work of the full matrix."""

    first: Positions
    second: Positions
    distances: Array
    """Squared difference or mismatch of each pair in each column, shape (pairs, columns)."""

    @classmethod
    def of(cls, rows: Array, unordered: Flags) -> Pairs:
        """All pairs (i, j) with i > j."""
        first, second = np.tril_indices(len(rows), -1)
        distances = rows[first] - rows[second]
        distances *= distances
        distances[:, unordered] = distances[:, unordered] > 0
        return cls(first, second, distances)
