"""Functional analysis of variance of a forest: how much of what it predicts varies with each parameter alone.

Exact for the trees, by their leaves' boxes in the unit cube; parameters are taken as independent and evenly drawn, so
the shares tell of the whole space and not of where the search went.  Knows nothing of sweeps.

Source: Hutter, Hoos and Leyton-Brown 2014, "An Efficient Approach for Assessing Hyperparameter Importance", ICML.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Leaves", "pair_shares", "shares"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Leaves:
    """The leaves of one regression tree over the unit cube."""

    low: Floats
    """Lower corners, shape `(leaves, parameters)`."""
    high: Floats
    """Upper corners."""
    value: Floats
    """What each predicts."""

    @classmethod
    def of(cls, tree: Any, width: int) -> Leaves:
        """Those of a fitted scikit-learn tree (`estimator.tree_`) of `width` parameters."""
        low, high = np.zeros((tree.node_count, width)), np.ones((tree.node_count, width))
        for node in range(tree.node_count):  # a node comes before its children
            left, right, feature = tree.children_left[node], tree.children_right[node], tree.feature[node]
            if left < 0:
                continue
            threshold = min(max(float(tree.threshold[node]), low[node, feature]), high[node, feature])
            for child in (left, right):
                low[child], high[child] = low[node], high[node]
            high[left, feature] = low[right, feature] = threshold
        ends = tree.children_left < 0
        return cls(low[ends], high[ends], tree.value[ends, 0, 0])

    @cached_property
    def mean(self) -> float:
        """Of the prediction, over the cube."""
        return float(self._mass.sum())

    @cached_property
    def variance(self) -> float:
        """Of the prediction, over the cube."""
        return float(((self.value - self.mean) ** 2 * self._volume).sum())

    @cached_property
    def first_order(self) -> Floats:
        """For each parameter the variance of the prediction's mean given it alone."""
        return np.array([self._along(parameter) for parameter in range(self.low.shape[1])])

    def second_order(self, one: int, other: int) -> float:
        """The variance that two parameters have together, beyond what each has alone."""
        edges = [self._edges(parameter) for parameter in (one, other)]
        (starts, ends), (above, below) = (self._places(axis, of) for axis, of in zip((one, other), edges, strict=True))
        weight = self._mass / (self._length(one) * self._length(other))
        steps = np.zeros((len(edges[0]), len(edges[1])))
        for rows, columns, sign in ((starts, above, 1), (starts, below, -1), (ends, above, -1), (ends, below, 1)):
            np.add.at(steps, (rows, columns), sign * weight)
        surface = steps.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]
        areas = np.outer(np.diff(edges[0]), np.diff(edges[1]))
        whole = float(((surface - self.mean) ** 2 * areas).sum())
        return max(0.0, whole - float(self.first_order[one]) - float(self.first_order[other]))

    # ---- inside

    @cached_property
    def _sides(self) -> Floats:
        # Of a side without length nothing is ever asked; 0/0 is kept out.
        return np.maximum(self.high - self.low, np.finfo(float).tiny)

    @cached_property
    def _volume(self) -> Floats:
        volume: Floats = (self.high - self.low).prod(axis=1)
        return volume

    @cached_property
    def _mass(self) -> Floats:
        mass: Floats = self.value * self._volume
        return mass

    def _length(self, parameter: int) -> Floats:
        length: Floats = self._sides[:, parameter]
        return length

    def _edges(self, parameter: int) -> Floats:
        return np.unique(np.concatenate([self.low[:, parameter], self.high[:, parameter]]))

    def _places(self, parameter: int, edges: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return np.searchsorted(edges, self.low[:, parameter]), np.searchsorted(edges, self.high[:, parameter])

    def _along(self, parameter: int) -> float:
        edges = self._edges(parameter)
        starts, ends = self._places(parameter, edges)
        steps, weight = np.zeros(len(edges)), self._mass / self._length(parameter)
        np.add.at(steps, starts, weight)
        np.add.at(steps, ends, -weight)
        curve = steps.cumsum()[:-1]
        return float(((curve - self.mean) ** 2 * np.diff(edges)).sum())


def shares(forest: Sequence[Leaves]) -> Floats:
    """For each parameter the share of the variance that it has alone, from 0 to 1; the mean over trees."""
    return _mean([tree.first_order / tree.variance for tree in forest if tree.variance > 0], forest)


def pair_shares(forest: Sequence[Leaves], pairs: Iterable[tuple[int, int]]) -> Floats:
    """For each pair the share of the variance that it has beyond its two parameters' own."""
    wanted = list(pairs)
    rows = [
        np.array([tree.second_order(*pair) for pair in wanted]) / tree.variance for tree in forest if tree.variance > 0
    ]
    return _mean(rows, forest) if rows else np.zeros(len(wanted))


def _mean(rows: Sequence[Floats], forest: Sequence[Leaves]) -> Floats:
    if not rows:  # no tree has split
        return np.zeros(forest[0].low.shape[1] if forest else 0)
    mean: Floats = np.mean(rows, axis=0)
    return mean
