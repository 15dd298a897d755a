"""The space of a sweep: its parameters, each with a domain, and the points they span.

A point is written in three ways: nested params as a train function sees them, coordinates in the unit cube,
and, when every domain is finite, an index. A parameter that stands under a condition is absent from the points where
the condition does not hold. Knows nothing of how a sweep file is written.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from besom.errors import ConfigError
from besom.strategies.branches import Branches
from besom.strategies.domains import Domain, Finite, Value, identity
from besom.strategies.strategy import Params

__all__ = ["Condition", "Constraint", "Dimension", "Space"]


@dataclass(frozen=True)
class Condition:
    """Holds where another parameter is part of the point and has one of these values."""

    path: tuple[str, ...]
    """Of the other parameter, whose domain is finite."""
    values: tuple[Value, ...]


class Constraint(Protocol):
    """What a point must satisfy as a whole; where it speaks of a parameter that is absent, it holds."""

    def holds(self, params: Params) -> bool:
        """Whether the point satisfies it."""
        ...


@dataclass(frozen=True)
class Dimension:
    """One parameter and what it may be."""

    path: tuple[str, ...]
    """Where it stands in the params: ("optimizer", "lr") is params["optimizer"]["lr"]."""
    domain: Domain
    when: tuple[Condition, ...] = ()
    """It is part of a point when all of these hold."""

    @property
    def name(self) -> str:
        """The path as users write it, with dots."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Space:
    """All points a sweep may try, constants included.

    Dimensions are kept sorted by name, but one under conditions comes right after the last one that they name.

    Raises:
        ConfigError: if a parameter has no value to choose, or a condition cannot be.
    """

    dimensions: tuple[Dimension, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimensions", _ordered(self.dimensions))
        for dimension in self.dimensions:
            size = dimension.domain.size
            if size is not None and size < 1:
                raise ConfigError(f"parameter {dimension.name}: {dimension.domain} has no value to choose")
        assert self.size != 0, "each parameter has a value, so there is a point"

    @cached_property
    def size(self) -> int | None:
        """How many different points, before constraints; None when a domain is continuous, 1 when all are constant."""
        return None if self._branches is None else self._branches.count

    def allows(self, params: Params) -> bool:
        """Whether the point satisfies every constraint."""
        return all(constraint.holds(params) for constraint in self.constraints)

    def active(self, params: Params) -> tuple[bool, ...]:
        """For each dimension, whether it is part of the point: its conditions hold.

        Raises:
            KeyError: if a parameter that is part of the point is missing.
        """
        return tuple(value is not _ABSENT for value in self._flat(params))

    def draw(self, units: Sequence[float]) -> Params:
        """The point with these quantiles, one in [0, 1] for each dimension: even units draw from the space's law."""
        return self._nested(lambda position, domain: domain.draw(float(units[position])))

    def fill(self, given: Mapping[tuple[str, ...], Value], units: Sequence[float]) -> Params:
        """The point with the values that are given by path, the rest as `draw` has it."""
        paths = [dimension.path for dimension in self.dimensions]
        return self._nested(
            lambda position, domain: (
                copy.deepcopy(given[paths[position]])
                if paths[position] in given
                else domain.draw(float(units[position]))
            )
        )

    def params(self, coordinates: Sequence[float]) -> Params:
        """The point at these coordinates, one in [0, 1] for each dimension; those of absent ones do not matter."""
        return self._nested(lambda position, domain: domain.from_unit(float(coordinates[position])))

    def coordinates(self, params: Params) -> list[float]:
        """Where the point lies in the unit cube, one coordinate for each dimension; 0.5 for an absent one.

        Raises:
            KeyError: if a parameter is missing.
            ValueError: if a value is not in its domain.
        """
        pairs = zip(self.dimensions, self._flat(params), strict=True)
        return [0.5 if value is _ABSENT else dimension.domain.to_unit(value) for dimension, value in pairs]

    def point(self, index: int) -> Params:
        """The point at `index` from 0 below `size`, in the order of `itertools.product`: the last name turns fastest.

        Points that differ only in a parameter that both lack are one point.

        Raises:
            IndexError: if there is no such point.
        """
        if self._branches is None or not 0 <= index < self._branches.count:
            raise IndexError(f"no point {index} in a space of size {self.size}")
        digits = self._branches.digits(index)
        return self._nested(lambda position, domain: domain.value_at(digits[position]))

    def points(self, start: int = 0) -> Iterator[Params]:
        """The points from `start` on that satisfy the constraints, in order of their index."""
        return (point for index in range(start, self.size or 0) if self.allows(point := self.point(index)))

    def key(self, params: Params) -> Hashable:
        """What two points share exactly when they are the same, for sets and dicts.

        Raises:
            KeyError: if a parameter is missing.
        """
        return tuple(_ABSENT if value is _ABSENT else identity(value) for value in self._flat(params))

    @cached_property
    def _conditions(self) -> tuple[tuple[tuple[int, frozenset[Hashable]], ...], ...]:
        """For each dimension its conditions, as the position of the other parameter and the values it must have."""
        place = {dimension.path: position for position, dimension in enumerate(self.dimensions)}
        return tuple(
            tuple((place[condition.path], frozenset(map(identity, condition.values))) for condition in dimension.when)
            for dimension in self.dimensions
        )

    @cached_property
    def _branches(self) -> Branches | None:
        domains = {one.path: one.domain for one in self.dimensions if isinstance(one.domain, Finite)}
        if len(domains) < len(self.dimensions):
            return None
        place = {path: position for position, path in enumerate(domains)}
        needs: list[dict[int, frozenset[int]]] = [{} for _ in self.dimensions]
        for dimension, needed in zip(self.dimensions, needs, strict=True):
            for condition in dimension.when:
                indices = frozenset(domains[condition.path].index_of(value) for value in condition.values)
                other = place[condition.path]
                needed[other] = needed.get(other, indices) & indices
        return Branches([domain.size for domain in domains.values()], needs)

    def _holds(self, position: int, values: Sequence[Value]) -> bool:
        """Whether a dimension is part of the point whose earlier dimensions have these values."""
        return all(
            values[other] is not _ABSENT and identity(values[other]) in allowed
            for other, allowed in self._conditions[position]
        )

    def _flat(self, params: Params) -> list[Value]:
        values: list[Value] = []
        for position, dimension in enumerate(self.dimensions):
            values.append(_value_at(params, dimension.path) if self._holds(position, values) else _ABSENT)
        return values

    def _nested(self, choose: Callable[[int, Domain], Value]) -> Params:
        """The params whose values are chosen one after the other."""
        params: Params = {}
        values: list[Value] = []
        for position, dimension in enumerate(self.dimensions):
            if not self._holds(position, values):
                values.append(_ABSENT)
                continue
            value = choose(position, dimension.domain)
            values.append(value)
            inner = params
            for name in dimension.path[:-1]:
                inner = inner.setdefault(name, {})
            inner[dimension.path[-1]] = value
        return params


_ABSENT = ("absent",)
"""Stands for the value of a parameter that is not part of a point; a domain's value is never a tuple."""


def _ordered(dimensions: Sequence[Dimension]) -> tuple[Dimension, ...]:
    """By name, but one that stands under conditions right after the last one that they name.

    Raises:
        ConfigError: if a condition names no parameter of finitely many values, or one that depends on this one.
    """
    by_name = sorted(dimensions, key=lambda dimension: (dimension.name, dimension.path))
    _check_conditions(by_name)
    missing = {one.path: {condition.path for condition in one.when} for one in by_name}
    followers = defaultdict(list)
    for dimension in reversed(by_name):
        for path in missing[dimension.path]:
            followers[path].append(dimension)
    ordered: list[Dimension] = []
    stack = [dimension for dimension in reversed(by_name) if not dimension.when]
    while stack:
        ordered.append(dimension := stack.pop())
        for follower in followers[dimension.path]:
            missing[follower.path].discard(dimension.path)
            if not missing[follower.path]:
                stack.append(follower)
    if len(ordered) < len(by_name):
        names = ", ".join(one.name for one in by_name if missing[one.path])
        raise ConfigError(f"parameters {names}: each is there only where another of them is; remove one condition")
    return tuple(ordered)


def _check_conditions(dimensions: Sequence[Dimension]) -> None:
    domains = {dimension.path: dimension.domain for dimension in dimensions}
    for dimension in dimensions:
        for condition in dimension.when:
            domain, name = domains.get(condition.path), ".".join(condition.path)
            if not isinstance(domain, Finite):
                raise ConfigError(f"parameter {dimension.name}: when names {name}, which is no parameter with a list")
            try:
                for value in condition.values:
                    domain.index_of(value)
            except ValueError as error:
                raise ConfigError(f"parameter {dimension.name}: when {name}: {error}") from None


def _value_at(params: Params, path: tuple[str, ...]) -> Value:
    value: Value = params
    for name in path:
        value = value[name]
    return value
