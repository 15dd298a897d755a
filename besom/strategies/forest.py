"""Forests as surrogates: they see jumps and plateaus where a Gaussian process sees slopes.

Reads rows of a `Cube` and values; lower is better.  The forests are scikit-optimize's, whose trees tell how sure they
are.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from skopt.learning import ExtraTreesRegressor, RandomForestRegressor

from besom.strategies.cube import Array, Flags

__all__ = ["Forest", "ForestKind"]

ForestKind = Literal["rf", "et"]
_TREES = 40
_LEAF = 2
_DOUBT = 0.01
"""The least variance of a leaf, of values with variance 1: two equal trials do not make a plateau certain."""


class Forest:
    """The forest fitted to observed `rows` and `values`.

    Args:
        kind: "rf" for a random forest, "et" for extremely randomised trees.
        rows: Shape (n, columns).
        values: Shape (n,), about standardised.
        unordered: Columns without an order.
    """

    def __init__(self, kind: ForestKind, rows: Array, values: Array, unordered: Flags) -> None:
        self._kind, self._unordered = kind, unordered
        self._rows, self._values = rows, values
        self._levels = [np.unique(rows[:, column]) for column in np.flatnonzero(unordered)]
        self._fit()

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at each row, both of shape (n,)."""
        mean, std = self._forest.predict(self._features(rows), return_std=True)
        return mean, np.maximum(std, 1e-6)

    def mean(self, rows: Array) -> Array:
        """The mean alone."""
        return self.predict(rows)[0]

    def believe(self, rows: Array) -> None:
        """Take the mean at each row for observed."""
        mean = self.mean(rows)
        self._rows, self._values = np.vstack([self._rows, rows]), np.concatenate([self._values, mean])
        self._fit()

    def _fit(self) -> None:
        trees = ExtraTreesRegressor if self._kind == "et" else RandomForestRegressor
        self._forest = trees(
            _TREES, min_samples_leaf=_LEAF, min_variance=_DOUBT, bootstrap=self._kind == "rf", random_state=0
        )
        self._forest.fit(self._features(self._rows), self._values)

    def _features(self, rows: Array) -> Array:
        """Ordered columns as they are, and a column for each value seen of an unordered one."""
        columns = np.flatnonzero(self._unordered)
        shown = [rows[:, [column]] == levels for column, levels in zip(columns, self._levels, strict=True)]
        return np.hstack([rows[:, ~self._unordered], *shown]).astype(np.float32)
