"""Tests of the space and its domains."""

from __future__ import annotations

import json
import math
import pickle
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from besom.errors import ConfigError
from besom.strategies import (
    Categorical,
    Constant,
    Dimension,
    Domain,
    IntUniform,
    LogUniform,
    Normal,
    QUniform,
    Rounded,
    Space,
    Uniform,
)

from .spaces import FINITE, MIXED

# A busy machine is no reason to fail.
steady = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
units = st.floats(0, 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def ranges(draw: st.DrawFn, low: float = -1e6, high: float = 1e6) -> tuple[float, float]:
    a, b = draw(st.floats(low, high)), draw(st.floats(low, high))
    lower, upper = min(a, b), max(a, b)
    return (lower, upper) if upper - lower > 1e-6 * max(1.0, abs(upper)) else (lower, lower + max(1.0, abs(lower)))


@st.composite
def lattices(draw: st.DrawFn) -> QUniform:
    step = draw(st.sampled_from([0.1, 0.25, 0.3, 1, 3, 1.0, 1e-3, 64]))
    low = draw(st.integers(-1000, 1000))
    low_bound = float(low * Fraction(str(step)))
    high_bound = float((low + draw(st.integers(0, 200))) * Fraction(str(step)))
    return QUniform(low_bound - draw(st.sampled_from([0, step / 3])), high_bound + draw(st.floats(0, 5)), step)


finite_domains = st.one_of(
    st.builds(lambda low, more: IntUniform(low, low + more), st.integers(-(10**6), 10**6), st.integers(0, 10**9)),
    st.builds(lambda values: Categorical(tuple(values)), st.lists(json_values, min_size=1, max_size=6)),
    lattices(),
)
domains = st.one_of(
    finite_domains,
    ranges().map(lambda bounds: Uniform(*bounds)),
    ranges(1e-12, 1e12).map(lambda bounds: LogUniform(*bounds)),
)


@steady
@given(domains, units)
def test_unit_and_value_lead_to_each_other(domain: Domain, unit: float) -> None:
    """A value's coordinate gives the value back: exactly when finite, to rounding when continuous."""
    value = domain.from_unit(unit)
    back = domain.from_unit(domain.to_unit(value))
    assert 0 <= domain.to_unit(value) <= 1
    if domain.size is None:
        assert back == pytest.approx(value, rel=1e-9, abs=1e-6)
    else:
        assert back == value
        assert type(back) is type(value)


@steady
@given(ranges(1e-9, 1e9), units)
def test_continuous_values_stay_within_bounds(bounds: tuple[float, float], unit: float) -> None:
    """Neither rounding of the logarithm nor of the span leads out of [min, max]; the ends are reached."""
    low, high = bounds
    for domain in (Uniform(low, high), LogUniform(low, high)):
        assert low <= domain.from_unit(unit) <= high
        assert domain.from_unit(0.0) == pytest.approx(low)
        assert domain.from_unit(1.0) == pytest.approx(high)


@steady
@given(finite_domains, st.data())
def test_finite_values_are_counted(domain: Domain, data: st.DataObject) -> None:
    """Each index has its own share of the unit interval, and the ends of the interval are first and last value."""
    assert domain.size is not None
    index = data.draw(st.integers(0, domain.size - 1))
    value = domain.value_at(index)
    assert domain.to_unit(value) == (index + 0.5) / domain.size
    assert domain.from_unit(0.0) == domain.value_at(0)
    assert domain.from_unit(1.0) == domain.value_at(domain.size - 1)


@pytest.mark.parametrize(
    ("domain", "law"),
    [
        (Uniform(-3, 5), stats.uniform(-3, 8)),
        (LogUniform(1e-5, 10), stats.loguniform(1e-5, 10)),
    ],
)
def test_continuous_law(domain: Domain, law: Any) -> None:
    """Even units give the law that scipy calls by the same name."""
    source = random.Random(1)
    draws = [domain.from_unit(source.random()) for _ in range(5000)]
    assert stats.kstest(draws, law.cdf).pvalue > 0.01


@pytest.mark.parametrize("domain", [IntUniform(-2, 4), QUniform(0.0, 0.7, 0.1), Categorical(("a", None, True, 1.5))])
def test_finite_law(domain: Domain) -> None:
    """Even units give every value equally often, the ends too."""
    source = random.Random(2)
    draws = [domain.from_unit(source.random()) for _ in range(7000)]
    counts = [draws.count(domain.value_at(index)) for index in range(domain.size or 0)]
    assert sum(counts) == 7000
    assert stats.chisquare(counts).pvalue > 0.01


@steady
@given(lattices(), units)
def test_lattice(domain: QUniform, unit: float) -> None:
    """A quantised value is a multiple of q as written, lies within the bounds, and is an int exactly when q is."""
    value = domain.from_unit(unit)
    assert domain.min <= value <= domain.max
    assert (Fraction(str(value)) / Fraction(str(domain.q))).denominator == 1
    assert isinstance(value, int) == isinstance(domain.q, int)


def test_lattice_shows_short_decimals() -> None:
    """Steps of 0.1 print as they are written, and max is among them."""
    domain = QUniform(0.0, 1.0, 0.1)
    assert (
        str([domain.value_at(i) for i in range(domain.size)])
        == "[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]"
    )
    assert [QUniform(1, 11, 5).value_at(i) for i in range(QUniform(1, 11, 5).size)] == [5, 10]


def test_equal_categories_collapse() -> None:
    """1 and 1.0 are one value, of which the last stays; 1 and True are two."""
    domain = Categorical((1, "x", 1.0, True, math.nan, math.nan))
    values = [domain.value_at(i) for i in range(domain.size)]
    assert [(type(value), str(value)) for value in values] == [
        (float, "1.0"),
        (str, "x"),
        (bool, "True"),
        (float, "nan"),
    ]


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (Uniform(0, 1), 1.5),
        (Uniform(0, 1), "0.5"),
        (LogUniform(1, 2), math.nan),
        (IntUniform(0, 1), True),
        (IntUniform(0, 9), 2.5),
        (IntUniform(0, 9), math.inf),
        (QUniform(0, 1, 0.25), 0.3),
        (QUniform(0, 1, 0.25), None),
        (Categorical((1, 2)), True),
        (Categorical(("a", "b"), (1.0, 0.0)), "b"),
        (Constant(1), 2),
    ],
)
def test_foreign_value_is_refused(domain: Domain, value: object) -> None:
    """A value that the domain does not have has no coordinate."""
    for ask in (domain.to_unit, domain.own):
        with pytest.raises(ValueError, match="has no value"):
            ask(value)


@pytest.mark.parametrize(
    ("domain", "value", "own"),
    [
        (Uniform(0, 2), 1, "1.0"),
        (IntUniform(0, 9), 2.0, "2"),
        (QUniform(0, 8, 2), 4.0, "4"),
        (QUniform(0, 1, 0.25), 1, "1.0"),
        (Categorical((1, 2.0)), 2, "2.0"),
        (Constant([1]), [1.0], "[1]"),
        (Rounded(Normal(0, 1), 2), 4.0, "4"),
        (Rounded(Normal(0, 1), 0.5), 1, "1.0"),
    ],
)
def test_an_equal_value_becomes_the_domains_own(domain: Domain, value: object, own: str) -> None:
    """It is taken for the value that the domain has, and comes out with that one's type."""
    assert repr(domain.own(value)) == own


def test_params_are_nested_by_path() -> None:
    """A path of two names becomes a dict in a dict; a dot in a name does not."""
    space = Space(
        (Dimension(("a", "b"), Constant(1)), Dimension(("a", "c"), Constant(2)), Dimension(("a.b",), Constant(3)))
    )
    assert space.params([0.5] * 3) == {"a": {"b": 1, "c": 2}, "a.b": 3}


@pytest.mark.parametrize("space", [MIXED, FINITE])
def test_coordinates_lead_back_to_the_point(space: Space) -> None:
    """Params survive the way through coordinates and through JSON, and keep their key."""
    source = random.Random(3)
    for _ in range(50):
        params = space.params([source.random() for _ in space.dimensions])
        again = space.params(space.coordinates(json.loads(json.dumps(params))))
        assert space.coordinates(again) == pytest.approx(space.coordinates(params))
        if space is FINITE:
            assert space.key(again) == space.key(params)


def test_order_of_dimensions_does_not_matter() -> None:
    """A space written in another order is the same space."""
    assert Space(tuple(reversed(MIXED.dimensions))) == MIXED


@steady
@given(json_values, json_values)
def test_key_is_exact(left: Any, right: Any) -> None:
    """Two values share a key exactly when JSON readers would call them equal, numbers by value."""
    space = Space((Dimension(("a",), Constant(None)),))
    same = space.key({"a": left}) == space.key({"a": right})
    if repr(left) == repr(right):
        assert same
    if same:
        assert left == right
    assert space.key({"a": left}) == space.key({"a": json.loads(json.dumps(left))})


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (0, None, False),
        ([1, [2]], (1.0, [2]), True),
        ([1], [True], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (math.nan, float("nan"), True),
        ("1", 1, False),
        (2**53 + 1, float(2**53), False),
    ],
)
def test_key_examples(left: object, right: object, same: bool) -> None:
    """1 is 1.0 and not True; a tuple is the list that JSON makes of it; key order of a dict is nothing."""
    space = Space((Dimension(("a",), Constant(None)),))
    assert (space.key({"a": left}) == space.key({"a": right})) == same


def test_values_are_copies() -> None:
    """Changing a suggested list does not change the space."""
    space = Space((Dimension(("a",), Constant([1])), Dimension(("b",), Categorical(([2],)))))
    params = space.point(0)
    params["a"].append(9)
    params["b"].append(9)
    assert space.point(0) == {"a": [1], "b": [2]}


def test_space_survives_pickle() -> None:
    """A space goes to another process whole, after use too."""
    FINITE.point(3)
    assert pickle.loads(pickle.dumps(FINITE)) == FINITE


@pytest.mark.parametrize("domain", [Categorical(()), IntUniform(2, 1), QUniform(0.1, 0.2, 1)])
def test_empty_domain_is_refused(domain: Domain) -> None:
    """A parameter without any value is an error that names it."""
    with pytest.raises(ConfigError, match=r"a\.b"):
        Space((Dimension(("a", "b"), domain),))


def test_continuum_has_no_index() -> None:
    """Neither a continuous domain nor a space with one can be indexed."""
    with pytest.raises(TypeError, match="continuous"):
        Uniform(0, 1).value_at(0)
    with pytest.raises(IndexError):
        MIXED.point(0)
