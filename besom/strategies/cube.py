"""The space as bayes sees it: points as rows of numbers.

A row has one coordinate in [0, 1] for each dimension: where the value lies for measuring distances, and one half
where a condition does not hold, so equal rows are equal points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from besom.strategies.domains import Categorical, Domain, Value
from besom.strategies.space import Space
from besom.strategies.strategy import Params

__all__ = ["Array", "Cube", "Flags", "Positions"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Positions = NDArray[np.intp]

_LISTED = 4096
"""A finite domain up to this size is kept as a list of its places; a larger one is as good as continuous."""
_IDLE, _IDLE_UNORDERED = 0.5, -1.0
"""The coordinate of a dimension whose condition does not hold; no value of an unordered one lies there."""


class Cube:
    """Rows of the points of a space."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._domains = [dimension.domain for dimension in space.dimensions]
        self.searched = np.array([i for i, domain in enumerate(self._domains) if domain.size != 1], dtype=int)
        """Positions of the dimensions that have a choice."""
        self.unordered: Flags = np.array([isinstance(domain, Categorical) for domain in self._domains], dtype=bool)
        """Of all dimensions, those whose values have no order."""
        self.gaps = np.array([1.0 / domain.size if domain.size else 0.0 for domain in self._domains])
        """Of all dimensions, about how far neighbouring values are apart; 0 where continuous."""
        listed = [(i, _places(domain)) for i, domain in enumerate(self._domains) if _is_listed(domain)]
        self._places = dict(listed)
        self._edges = {i: (places[1:] + places[:-1]) / 2 for i, places in listed}
        self._conditions = _conditions(space)

    def params(self, row: Array) -> Params:
        """The point as a train function sees it."""
        return self.space.params([self._coordinate(i, float(place)) for i, place in enumerate(row)])

    def rows(self, points: Sequence[Params]) -> list[Array | None]:
        """The row of each point; None for one that is not of this space."""
        coordinates = [self._coordinates(params) for params in points]
        known = np.array([units for units in coordinates if units is not None]).reshape(-1, len(self._domains))
        rows = iter(self.snap(self._placed(known)))
        return [None if units is None else next(rows) for units in coordinates]

    def snap(self, rows: Array) -> Array:
        """The rows moved to the nearest points: values of finite dimensions, one half where a condition fails."""
        snapped = rows.copy()
        for column, places in self._places.items():
            snapped[:, column] = places[np.searchsorted(self._edges[column], rows[:, column])]
        if not self._conditions:
            return snapped
        active = np.ones(rows.shape, dtype=bool)
        for column, parent, allowed in self._conditions:
            active[:, column] &= active[:, parent] & (snapped[:, parent, None] == allowed).any(axis=1)
            snapped[~active[:, column], column] = _IDLE_UNORDERED if self.unordered[column] else _IDLE
        return snapped

    def draw(self, rng: np.random.Generator, count: int) -> Array:
        """Rows of `count` points spread evenly at random."""
        return self.snap(rng.random((count, len(self._domains))))

    def all_rows(self) -> Array:
        """Rows of every point of a finite space that satisfies the constraints, each once, by index."""
        rows = [row for row in self.rows(list(self.space.points())) if row is not None]
        return np.array(rows).reshape(-1, len(self._domains))

    def allowed(self, rows: Array) -> Flags:
        """Which rows satisfy the space's constraints."""
        if not self.space.constraints:
            return np.ones(len(rows), dtype=bool)
        return np.array([self.space.allows(self.params(row)) for row in rows], dtype=bool)

    def _coordinates(self, params: Params) -> list[float] | None:
        try:
            return self.space.coordinates(params)
        except (KeyError, TypeError, ValueError):
            return None

    def _placed(self, coordinates: Array) -> Array:
        """Places for coordinates; they differ where the domain is finite."""
        placed = coordinates.copy()
        for column, domain in enumerate(self._domains):
            units = coordinates[:, column]
            if column in self._places:
                places = self._places[column]
                placed[:, column] = places[np.minimum(units * len(places), len(places) - 1).astype(int)]
            elif domain.size is not None:
                placed[:, column] = [domain.place(domain.from_unit(float(unit))) for unit in units]
        return placed

    def _coordinate(self, column: int, place: float) -> float:
        edges, domain = self._edges.get(column), self._domains[column]
        if edges is not None:
            return (int(np.searchsorted(edges, place)) + 0.5) / (len(edges) + 1)
        return _coordinate_at(domain, place) if domain.size else place


def _is_listed(domain: Domain) -> bool:
    return domain.size is not None and domain.size <= _LISTED


def _places(domain: Domain) -> Array:
    """Where the values of a finite domain lie."""
    return np.array([domain.place(domain.value_at(index)) for index in range(domain.size or 0)])


def _coordinate_at(domain: Domain, place: float) -> float:
    """The coordinate of the last value of a large finite domain that lies at or before `place`, by bisection."""
    size = domain.size or 1
    low, high = 0, size
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if domain.place(domain.value_at(middle)) <= place else (low, middle)
    return (low + 0.5) / size


def _conditions(space: Space) -> list[tuple[int, int, Array]]:
    """For each condition, parents first: the dimension's position, its parent's, and the places that allow it."""
    positions = {dimension.path: i for i, dimension in enumerate(space.dimensions)}
    found = []
    for i, dimension in enumerate(space.dimensions):
        for condition in dimension.when:
            parent = positions[condition.path]
            found.append((i, parent, _places_of(space.dimensions[parent].domain, condition.values)))
    return found


def _places_of(domain: Domain, values: Sequence[Value]) -> Array:
    """Where those of the values lie that the domain has."""
    places = []
    for value in values:
        try:
            places.append(domain.place(value))
        except ValueError:
            continue
    return np.array(places)
