"""The space of a sweep: its parameters, each with a domain, and the points they span.

A point is written in three ways: nested params as a train function sees them, coordinates in the unit cube,
and, when every domain is finite, an index. Knows nothing of how a sweep file is written.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from besom.errors import ConfigError
from besom.strategies.domains import Domain, Value, identity
from besom.strategies.strategy import Params

__all__ = ["Dimension", "Space"]


@dataclass(frozen=True)
class Dimension:
    """One parameter and what it may be."""

    path: tuple[str, ...]
    """Where it stands in the params: ("optimizer", "lr") is params["optimizer"]["lr"]."""
    domain: Domain

    @property
    def name(self) -> str:
        """The path as users write it, with dots."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Space:
    """All points a sweep may try. Dimensions are kept sorted by name, constants among them.

    Raises:
        ConfigError: if a parameter has no value to choose.
    """

    dimensions: tuple[Dimension, ...]

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.dimensions, key=lambda dimension: (dimension.name, dimension.path)))
        object.__setattr__(self, "dimensions", ordered)
        for dimension in ordered:
            size = dimension.domain.size
            if size is not None and size < 1:
                raise ConfigError(f"parameter {dimension.name}: {dimension.domain} has no value to choose")

    @property
    def size(self) -> int | None:
        """How many points; None when a domain is continuous, 1 when all are constant."""
        size = 1
        for dimension in self.dimensions:
            if dimension.domain.size is None:
                return None
            size *= dimension.domain.size
        return size

    def params(self, coordinates: Sequence[float]) -> Params:
        """The point at these coordinates, one in [0, 1] for each dimension."""
        pairs = zip(self.dimensions, coordinates, strict=True)
        return self._nested(dimension.domain.from_unit(float(unit)) for dimension, unit in pairs)

    def coordinates(self, params: Params) -> list[float]:
        """Where the point lies in the unit cube, one coordinate for each dimension.

        Raises:
            KeyError: if a parameter is missing.
            ValueError: if a value is not in its domain.
        """
        pairs = zip(self.dimensions, self._flat(params), strict=True)
        return [dimension.domain.to_unit(value) for dimension, value in pairs]

    def point(self, index: int) -> Params:
        """The point at `index` from 0 below `size`, in the order of `itertools.product`: the last name turns fastest.

        Raises:
            IndexError: if there is no such point.
        """
        size = self.size
        if size is None or not 0 <= index < size:
            raise IndexError(f"no point {index} in a space of size {size}")
        values: list[Value] = []
        for dimension in reversed(self.dimensions):
            index, digit = divmod(index, dimension.domain.size or 1)
            values.append(dimension.domain.value_at(digit))
        return self._nested(reversed(values))

    def key(self, params: Params) -> Hashable:
        """What two points share exactly when they are the same, for sets and dicts.

        Raises:
            KeyError: if a parameter is missing.
        """
        return tuple(identity(value) for value in self._flat(params))

    def _flat(self, params: Params) -> list[Value]:
        return [_value_at(params, dimension.path) for dimension in self.dimensions]

    def _nested(self, values: Iterable[Value]) -> Params:
        params: Params = {}
        for dimension, value in zip(self.dimensions, values, strict=True):
            inner = params
            for name in dimension.path[:-1]:
                inner = inner.setdefault(name, {})
            inner[dimension.path[-1]] = value
        return params


def _value_at(params: Params, path: tuple[str, ...]) -> Value:
    value: Value = params
    for name in path:
        value = value[name]
    return value
