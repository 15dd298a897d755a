"""What one parameter may be: a value for each point of [0, 1), and back.

Each domain gives `from_unit` and `to_unit`; a finite one also counts its values and gives them by index.
All values that come out are plain Python. Bounds are checked by whoever reads the sweep file.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

__all__ = [
    "Categorical",
    "Constant",
    "Domain",
    "IntUniform",
    "LogUniform",
    "QUniform",
    "Uniform",
    "Value",
    "identity",
]

Value = Any
"""Anything that JSON can say."""


def identity(value: Value) -> Hashable:
    """What two values share exactly when they are the same: 1 is 1.0, but not True; NaN is NaN; a tuple is a list."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, float) and math.isnan(value):
        return ("float", "nan")
    if isinstance(value, list | tuple):
        return ("list", tuple(identity(item) for item in value))
    if isinstance(value, dict):
        return ("dict", frozenset((key, identity(item)) for key, item in value.items()))
    hashable: Hashable = value
    return hashable


def _is_between(value: Value, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


class Domain(ABC):
    """The values of one parameter."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many distinct values; None when continuous."""

    @abstractmethod
    def from_unit(self, unit: float) -> Value:
        """The value at `unit`, in [0, 1]; drawing `unit` evenly draws from the domain's law."""

    @abstractmethod
    def to_unit(self, value: Value) -> float:
        """Where `value` lies in [0, 1]; `from_unit` leads back to it.

        Raises:
            ValueError: if the domain does not have this value.
        """

    @abstractmethod
    def value_at(self, index: int) -> Value:
        """The value at `index`, counted from 0.

        Raises:
            TypeError: if the domain is continuous.
        """


class Continuous(Domain):
    """Infinitely many values between `min` and `max`."""

    min: float
    max: float

    @property
    def size(self) -> None:
        """None: values are not counted."""
        return None

    def value_at(self, index: int) -> Value:
        """Raises TypeError: a continuum has no index."""
        raise TypeError(f"{self} is continuous, so it has no value at index {index}")

    def _clip(self, value: float) -> float:
        return float(min(max(value, self.min), self.max))

    def _check(self, value: Value) -> None:
        if not _is_between(value, self.min, self.max):
            raise ValueError(f"{self} has no value {value!r}")


class Finite(Domain):
    """Values that can be counted; each has the same share of [0, 1], and lies in the middle of it."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many distinct values."""

    @abstractmethod
    def index_of(self, value: Value) -> int:
        """Where `value` stands, counted from 0.

        Raises:
            ValueError: if the domain does not have this value.
        """

    def from_unit(self, unit: float) -> Value:
        """The value whose share `unit` falls in."""
        return self.value_at(min(int(unit * self.size), self.size - 1))

    def to_unit(self, value: Value) -> float:
        """The middle of the value's share; exact up to 2**50 values."""
        return (self.index_of(value) + 0.5) / self.size


@dataclass(frozen=True)
class Constant(Finite):
    """One value, not searched."""

    value: Value

    @property
    def size(self) -> int:
        """Always 1."""
        return 1

    def value_at(self, index: int) -> Value:
        """The value, a copy so that the caller may change it."""
        return copy.deepcopy(self.value)

    def index_of(self, value: Value) -> int:
        """Always 0."""
        if identity(value) != identity(self.value):
            raise ValueError(f"{self} has no value {value!r}")
        return 0


@dataclass(frozen=True)
class Categorical(Finite):
    """Values without an order, equally likely. Of equal ones (1, 1.0) the last is kept, at the place of the first."""

    values: tuple[Value, ...]

    @cached_property
    def _distinct(self) -> tuple[Value, ...]:
        return tuple({identity(value): value for value in self.values}.values())

    @cached_property
    def _indices(self) -> dict[Hashable, int]:
        return {identity(value): index for index, value in enumerate(self._distinct)}

    @property
    def size(self) -> int:
        """How many distinct values."""
        return len(self._distinct)

    def value_at(self, index: int) -> Value:
        """The value at `index`, a copy so that the caller may change it."""
        return copy.deepcopy(self._distinct[index])

    def index_of(self, value: Value) -> int:
        """Where `value` stands among the distinct ones."""
        try:
            return self._indices[identity(value)]
        except KeyError:
            raise ValueError(f"{self} has no value {value!r}") from None


@dataclass(frozen=True)
class IntUniform(Finite):
    """An integer from [min, max], both included, equally likely."""

    min: int
    max: int

    @property
    def size(self) -> int:
        """How many integers."""
        return self.max - self.min + 1

    def value_at(self, index: int) -> int:
        """The integer `index` above `min`."""
        return self.min + index

    def index_of(self, value: Value) -> int:
        """How far above `min`."""
        if not _is_between(value, self.min, self.max) or value != int(value):
            raise ValueError(f"{self} has no value {value!r}")
        return int(value) - self.min


@dataclass(frozen=True)
class QUniform(Finite):
    """A multiple of `q` within [min, max], equally likely; an int when `q` is one.

    It is round(x / q) * q, for x drawn evenly from half a step below the lowest multiple to half a step above
    the highest: the ends are as likely as the rest and no value leaves the bounds. `q`, `min` and `max` are
    taken for the decimals they are written as, so three steps of 0.1 are 0.3.
    """

    min: float
    max: float
    q: float

    @cached_property
    def _step(self) -> Fraction:
        return Fraction(str(self.q))

    @cached_property
    def _first(self) -> int:
        return math.ceil(Fraction(str(self.min)) / self._step)

    @cached_property
    def _last(self) -> int:
        return math.floor(Fraction(str(self.max)) / self._step)

    @property
    def size(self) -> int:
        """How many multiples of `q`; 0 when none lies within the bounds."""
        return self._last - self._first + 1

    def value_at(self, index: int) -> float:
        """The multiple `index` above the lowest."""
        value = (self._first + index) * self._step
        return int(value) if isinstance(self.q, int) else float(value)

    def index_of(self, value: Value) -> int:
        """How many multiples above the lowest."""
        if _is_between(value, self.min, self.max):
            index = round(Fraction(str(value)) / self._step) - self._first
            if 0 <= index < self.size and self.value_at(index) == value:
                return index
        raise ValueError(f"{self} has no value {value!r}")


@dataclass(frozen=True)
class Uniform(Continuous):
    """A real number drawn evenly from [min, max]."""

    min: float
    max: float

    def from_unit(self, unit: float) -> float:
        """Straight from `min` to `max`."""
        return self._clip(self.min + unit * (self.max - self.min))

    def to_unit(self, value: Value) -> float:
        """How far along."""
        self._check(value)
        return float((value - self.min) / (self.max - self.min))


@dataclass(frozen=True)
class LogUniform(Continuous):
    """A real number whose logarithm is drawn evenly; `min` and `max` are the values themselves, `min` above 0."""

    min: float
    max: float

    def from_unit(self, unit: float) -> float:
        """Straight from log `min` to log `max`."""
        low, high = math.log(self.min), math.log(self.max)
        return self._clip(math.exp(low + unit * (high - low)))

    def to_unit(self, value: Value) -> float:
        """How far along on the logarithmic scale."""
        self._check(value)
        low, high = math.log(self.min), math.log(self.max)
        return min(max((math.log(value) - low) / (high - low), 0.0), 1.0)
