"""The space as bayes sees it: points as rows of numbers.

A row has one coordinate in [0, 1] for each dimension, in the middle of the value's share where the domain is
finite, so equal rows are equal points. Features are what distances are measured on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from besom.strategies.domains import Categorical
from besom.strategies.space import Space
from besom.strategies.strategy import Params

__all__ = ["Array", "Cube"]

Array = NDArray[np.float64]


class Cube:
    """Rows, features and neighbours of the points of a space."""

    def __init__(self, space: Space) -> None:
        self.space = space
        domains = [dimension.domain for dimension in space.dimensions]
        self.searched = [i for i, domain in enumerate(domains) if domain.size != 1]
        """Positions of the dimensions that have a choice."""
        self._shares = np.array([float(domain.size or 0) for domain in domains])
        self._unordered = np.array([isinstance(domain, Categorical) for domain in domains], dtype=bool)

    def params(self, row: Array) -> Params:
        """The point as a train function sees it."""
        return self.space.params(row.tolist())

    def row(self, params: Params) -> Array | None:
        """The point's row; None when it is not of this space."""
        try:
            coordinates = self.space.coordinates(params)
        except (KeyError, TypeError, ValueError):
            return None
        row: Array = self.snap(np.array([coordinates]))[0]
        return row

    def snap(self, rows: Array) -> Array:
        """The rows with finite dimensions moved to the middle of the share they fall in."""
        shares = np.maximum(self._shares, 1.0)
        middles = (np.minimum(np.floor(rows * shares), shares - 1) + 0.5) / shares
        snapped: Array = np.where(self._shares > 0, middles, rows)
        return snapped

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """Rows of `count` points drawn from the space's law."""
        return self.snap(rng.random((count, len(self._shares))))

    def all_rows(self) -> Array:
        """Rows of every point of a finite space, by index."""
        index = np.arange(self.space.size or 0)
        rows = np.empty((len(index), len(self._shares)))
        for column in reversed(range(len(self._shares))):
            index, digit = np.divmod(index, int(self._shares[column]))
            rows[:, column] = (digit + 0.5) / self._shares[column]
        return rows

    def walk(self, start: float) -> Iterator[Params]:
        """Every point of a finite space once, by index, beginning at the fraction `start` of them."""
        size = self.space.size or 0
        first = int(start * size)
        return (self.space.point((first + step) % size) for step in range(size))

    def neighbours(self, rng: np.random.Generator, centres: Array, count: int, width: float) -> Array:
        """Rows of `count` points near each centre.

        Half of the coordinates stay. Ordered ones move by a normal step of deviation `width`, at least about one
        value of a finite domain; an unordered one jumps anywhere.
        """
        rows = np.repeat(centres, count, axis=0)
        with np.errstate(divide="ignore"):
            step = np.maximum(width, np.where(self._shares > 0, np.minimum(0.7 / self._shares, 0.5), 0.0))
        moved = np.clip(rows + step * rng.standard_normal(rows.shape), 0.0, 1.0)
        moved = np.where(self._unordered, rng.random(rows.shape), moved)
        return self.snap(np.where(rng.random(rows.shape) < 0.5, moved, rows))

    def features(self, rows: Array) -> Array:
        """One column for each ordered dimension; for an unordered one a column per value, so all are equally far."""
        return np.hstack([self._columns(rows[:, i], i) for i in self.searched])

    def _columns(self, units: Array, dimension: int) -> Array:
        if not self._unordered[dimension]:
            return units[:, None]
        values = int(self._shares[dimension])
        chosen = np.floor(units * values).astype(int)
        # Two values differ in two columns; with sqrt(1/2) in each they are 1 apart.
        return np.where(chosen[:, None] == np.arange(values), np.sqrt(0.5), 0.0)
