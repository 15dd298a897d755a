"""What one parameter may be: a value for each point of [0, 1], and back, and the law it is drawn from.

Each domain gives `draw`, the quantile of its law, for random numbers, and `from_unit` and `to_unit`, the coordinates in
which a strategy searches; a finite one also counts its values and gives them by index. For a continuous domain the two
are one; the values of a finite one have equal shares of the coordinate, however likely each of them is.
All values that come out are plain Python. Bounds are checked by whoever reads the sweep file.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from statistics import NormalDist
from typing import Any

__all__ = [
    "Beta",
    "Categorical",
    "Constant",
    "Continuous",
    "Domain",
    "Finite",
    "IntUniform",
    "LogNormal",
    "LogUniform",
    "Normal",
    "QLogUniform",
    "QUniform",
    "Rounded",
    "Uniform",
    "Value",
    "identity",
]

_EDGE = 1e-9
"""How near to 0 and 1 a law without bounds is asked for its quantile: six deviations of a normal one. Further out
floats no longer tell coordinates apart."""

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

    def draw(self, unit: float) -> Value:
        """The quantile of the domain's law at `unit`, in [0, 1]: drawing `unit` evenly draws the value from the law."""
        return self.from_unit(unit)

    @abstractmethod
    def from_unit(self, unit: float) -> Value:
        """The value at this coordinate, in [0, 1]."""

    @abstractmethod
    def to_unit(self, value: Value) -> float:
        """The coordinate of `value`, in [0, 1]; `from_unit` leads back to it.

        Raises:
            ValueError: if the domain does not have this value.
        """

    def place(self, value: Value) -> float:
        """Where `value` lies in [0, 1] for measuring distances, ends included: on a log scale for a log law.

        Raises:
            ValueError: if the domain does not have this value.
        """
        return self.to_unit(value)

    @abstractmethod
    def own(self, value: Value) -> Value:
        """The domain's value that equals this one, of the type that it has there: 2 for 2.0 among whole numbers.

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
    """Infinitely many values; those of a law without bounds lie between minus and plus infinity."""

    min: float
    max: float

    @property
    def size(self) -> None:
        """None: values are not counted."""
        return None

    def own(self, value: Value) -> float:
        """The value as a float."""
        self.to_unit(value)
        return float(value)

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

    def own(self, value: Value) -> Value:
        """The value at its index."""
        return self.value_at(self.index_of(value))

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
    """Values without an order, equally likely unless `probabilities` says otherwise.

    Of equal values (1, 1.0) the last is kept, at the place of the first, and their probabilities add up. A value of
    probability 0 is none of the domain's.
    """

    values: tuple[Value, ...]
    probabilities: tuple[float, ...] | None = None

    @cached_property
    def _distinct(self) -> tuple[Value, ...]:
        return tuple({identity(value): value for value, weight in self._weighed() if weight > 0}.values())

    @cached_property
    def _indices(self) -> dict[Hashable, int]:
        return {identity(value): index for index, value in enumerate(self._distinct)}

    @cached_property
    def _cumulated(self) -> list[float]:
        weights = [0.0] * self.size
        for value, weight in self._weighed():
            if weight > 0:
                weights[self._indices[identity(value)]] += weight
        return list(accumulate(weights))

    def _weighed(self) -> Iterator[tuple[Value, float]]:
        return zip(self.values, self.probabilities or (1.0,) * len(self.values), strict=True)

    @property
    def size(self) -> int:
        """How many distinct values."""
        return len(self._distinct)

    def draw(self, unit: float) -> Value:
        """The value in whose share of the total probability `unit` falls."""
        if self.probabilities is None:
            return self.from_unit(unit)
        return self.value_at(min(bisect_right(self._cumulated, unit * self._cumulated[-1]), self.size - 1))

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


class _Multiples(Finite):
    """The multiples of `q` within [min, max], each with the share of the unrounded law that rounds to it.

    What would round to a multiple outside the bounds goes to the nearest one within. `q`, `min` and `max` are taken
    for the decimals they are written as, so three steps of 0.1 are 0.3. A value is an int when `q` is one.
    """

    min: float
    max: float
    q: float

    @abstractmethod
    def _law(self, unit: float) -> float:
        """The quantile before rounding."""

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

    def draw(self, unit: float) -> float:
        """round(x / q) * q, kept within the bounds, for the quantile x of the unrounded law."""
        nearest = round(self._law(unit) / self.q)
        return self.value_at(min(max(nearest, self._first), self._last) - self._first)

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
class QUniform(_Multiples):
    """A multiple of `q` within [min, max]: a number drawn evenly, rounded."""

    min: float
    max: float
    q: float

    def _law(self, unit: float) -> float:
        return self.min + unit * (self.max - self.min)


@dataclass(frozen=True)
class QLogUniform(_Multiples):
    """A multiple of `q` within [min, max]: a number whose logarithm is drawn evenly, rounded; `min` is above 0."""

    min: float
    max: float
    q: float

    def _law(self, unit: float) -> float:
        return LogUniform(self.min, self.max).from_unit(unit)

    def place(self, value: Value) -> float:
        """How far along on the logarithmic scale."""
        self.index_of(value)
        return LogUniform(self.min, self.max).to_unit(value)


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


class _Unbounded(Continuous):
    """A law whose coordinate is its distribution function, and whose values have no ends."""

    min = -math.inf
    max = math.inf

    def from_unit(self, unit: float) -> float:
        """The quantile; that of 0 and 1 is taken a hair within, where it is finite."""
        return self._quantile(min(max(unit, _EDGE), 1.0 - _EDGE))

    def to_unit(self, value: Value) -> float:
        """The share of the law below `value`."""
        self._check(value)
        if not math.isfinite(value):
            raise ValueError(f"{self} has no value {value!r}")
        return self.share_below(float(value))

    @abstractmethod
    def share_below(self, value: float) -> float:
        """The distribution function."""

    @abstractmethod
    def _quantile(self, unit: float) -> float: ...


@dataclass(frozen=True)
class Normal(_Unbounded):
    """A real number from the normal law; with `sigma` 0 it is `mu`."""

    mu: float
    sigma: float

    def share_below(self, value: float) -> float:
        """The normal distribution function; a half at `mu` when there is nothing but `mu`."""
        if self.sigma == 0:
            return 0.5 + 0.5 * ((value > self.mu) - (value < self.mu))
        return NormalDist(self.mu, self.sigma).cdf(value)

    def _quantile(self, unit: float) -> float:
        return self.mu + self.sigma * NormalDist().inv_cdf(unit)


@dataclass(frozen=True)
class LogNormal(_Unbounded):
    """A number above 0 whose logarithm is normal."""

    mu: float
    sigma: float
    min = 0.0

    def share_below(self, value: float) -> float:
        """The normal distribution function of the logarithm."""
        return Normal(self.mu, self.sigma).share_below(math.log(value)) if value > 0 else 0.0

    def _quantile(self, unit: float) -> float:
        return math.exp(Normal(self.mu, self.sigma)._quantile(unit))


@dataclass(frozen=True)
class Beta(_Unbounded):
    """A number between 0 and 1 from the beta law; `a` and `b` are above 0."""

    a: float
    b: float
    min = 0.0
    max = 1.0

    def share_below(self, value: float) -> float:
        """The regularised incomplete beta function."""
        from scipy.special import betainc

        return float(betainc(self.a, self.b, min(max(value, 0.0), 1.0)))

    def _quantile(self, unit: float) -> float:
        from scipy.special import betaincinv

        return float(betaincinv(self.a, self.b, unit))


@dataclass(frozen=True)
class Rounded(Continuous):
    """A multiple of `q`: a value of an unbounded law, rounded; an int when `q` is one. They are not counted."""

    law: Normal | LogNormal | Beta
    q: float
    min = -math.inf
    max = math.inf

    def from_unit(self, unit: float) -> float:
        """round(x / q) * q for the law's quantile x."""
        return self._multiple(round(self.law.from_unit(unit) / self.q))

    def to_unit(self, value: Value) -> float:
        """The middle of what rounds to `value`, by the law's distribution function."""
        self._check(value)
        if not math.isfinite(value) or self._multiple(count := round(value / self.q)) != value:
            raise ValueError(f"{self} has no value {value!r}")
        low, high = (self.law.share_below((count + side) * self.q) for side in (-0.5, 0.5))
        return (low + high) / 2

    def own(self, value: Value) -> float:
        """The value as the multiple that it is."""
        self.to_unit(value)
        return self._multiple(round(value / self.q))

    def _multiple(self, count: int) -> float:
        value = count * Fraction(str(self.q))
        return int(value) if isinstance(self.q, int) else float(value)
