"""How alike two points are: Matern 5/2 over scaled distances, ordered coordinates by difference, unordered by mismatch.

Reads rows of numbers.  Knows nothing of observations or of what the coordinates mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from besom.strategies.cube import Array, Flags, Positions

__all__ = ["Pairs", "cross_distances", "matern", "matern_and_slope"]


_BLOCK = 8192
"""Numbers that are worked on at a time: they and what is made of them stay in the processor's cache."""


def matern(squared: Array) -> Array:
    """Matern 5/2 correlation at squared scaled distances, 1 at distance 0."""
    likeness = np.empty(squared.shape)
    flat, answers = np.ascontiguousarray(squared).reshape(-1), likeness.reshape(-1)
    # Block by block and without a new array for each step: this is where suggestions spend their time.
    for first in range(0, len(flat), _BLOCK):
        root = np.sqrt(5.0 * flat[first : first + _BLOCK])
        answer = np.exp(-root, out=answers[first : first + _BLOCK])
        factor = root * (1.0 / 3.0)
        factor += 1.0
        factor *= root
        factor += 1.0
        answer *= factor
    return likeness


def matern_and_slope(squared: Array) -> tuple[Array, Array]:
    """Matern 5/2 correlation at squared scaled distances, and its derivative by these; finite everywhere."""
    root = np.sqrt(5.0 * squared)
    decay = np.exp(-root)
    slope = (-5.0 / 6.0) * (1.0 + root) * decay
    decay *= 1.0 + root * (1.0 + root * (1.0 / 3.0))
    return decay, slope


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
        squared += _mismatches(left[:, column], right[:, column], weights[column])
    return squared


def _mismatches(left: Array, right: Array, weight: float) -> Array:
    """The weight where two differ, else 0, shape (left, right): looked up, since few of them are distinct."""
    distinct, places = np.unique(left, return_inverse=True)
    weighed: Array = np.where(distinct[:, None] != right, weight, 0.0)[places]
    return weighed


class Pairs(NamedTuple):
    """The distinct pairs among n rows: what a fit needs, half the work of the full matrix."""

    first: Positions
    second: Positions
    places: Positions
    """Where each pair lies in an n x n matrix written out in one row: above the diagonal, (j, i)."""
    distances: Array
    """Squared difference or mismatch of each pair in each column, shape (pairs, columns)."""

    @classmethod
    def of(cls, rows: Array, unordered: Flags) -> Pairs:
        """All pairs (i, j) with i > j."""
        first, second = np.tril_indices(len(rows), -1)
        distances = rows.take(first, axis=0) - rows.take(second, axis=0)
        distances *= distances
        distances[:, unordered] = distances[:, unordered] > 0
        return cls(first, second, second * len(rows) + first, distances)
