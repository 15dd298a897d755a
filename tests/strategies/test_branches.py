"""Spaces with conditions: which parameters a point has, and every point counted and found once."""

from __future__ import annotations

import itertools
import pickle
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from besom.errors import ConfigError
from besom.strategies import Categorical, Condition, Dimension, IntUniform, LogUniform, Params, Space, Uniform
from besom.strategies.branches import Branches


def when(name: str, *values: Any) -> Condition:
    return Condition(tuple(name.split(".")), values)


OPTIMIZERS = Space(
    (
        Dimension(("optimizer",), Categorical(("adam", "sgd", "none"))),
        Dimension(("lr",), IntUniform(1, 2)),
        Dimension(("sgd", "momentum"), Categorical((0.0, 0.9)), (when("optimizer", "sgd"),)),
        Dimension(("sgd", "nesterov"), Categorical((False, True)), (when("sgd.momentum", 0.9),)),
        Dimension(("decay",), IntUniform(0, 2), (when("optimizer", "adam", "sgd"),)),
    )
)


def test_points_in_order() -> None:
    """By name, but a parameter after those that it depends on; the last one turns fastest."""
    assert [one.name for one in OPTIMIZERS.dimensions] == ["lr", "optimizer", "decay", "sgd.momentum", "sgd.nesterov"]
    points = [OPTIMIZERS.point(index) for index in range(OPTIMIZERS.size or 0)]
    assert len(points) == 2 * (3 + 3 * (1 + 2) + 1)
    assert points[:5] == [
        {"lr": 1, "optimizer": "adam", "decay": 0},
        {"lr": 1, "optimizer": "adam", "decay": 1},
        {"lr": 1, "optimizer": "adam", "decay": 2},
        {"lr": 1, "optimizer": "sgd", "decay": 0, "sgd": {"momentum": 0.0}},
        {"lr": 1, "optimizer": "sgd", "decay": 0, "sgd": {"momentum": 0.9, "nesterov": False}},
    ]
    assert points[12] == {"lr": 1, "optimizer": "none"}


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    count = draw(st.integers(1, 6))
    names = draw(st.permutations(["a", "b", "c", "d", "e", "f"]))[:count]
    dimensions = []
    for position, name in enumerate(names):
        conditions = []
        for other in draw(st.sets(st.sampled_from(names[:position]), max_size=2)) if position else ():
            values = draw(st.sets(st.integers(0, 2), min_size=1, max_size=2))
            conditions.append(Condition((other,), tuple(values)))
        dimensions.append(Dimension((name,), IntUniform(0, 2), tuple(conditions)))
    return Space(tuple(dimensions))


def listed(space: Space) -> list[Params]:
    """Every point by brute force: the product of all values, without what is absent, without repeats."""
    found: list[Params] = []
    for values in itertools.product(range(3), repeat=len(space.dimensions)):
        params: Params = {}
        for dimension, value in zip(space.dimensions, values, strict=True):
            if all(params.get(one.path[0]) in one.values for one in dimension.when):
                params[dimension.name] = value
        if params not in found:
            found.append(params)
    return found


@settings(deadline=None, max_examples=60)
@given(spaces())
def test_points_are_those_of_itertools(space: Space) -> None:
    """Counting agrees with listing the product and dropping repeats, and so does the order."""
    points = [space.point(index) for index in range(space.size or 0)]
    assert points == listed(space)
    assert len({space.key(point) for point in points}) == space.size


@settings(deadline=None, max_examples=60)
@given(spaces(), st.randoms())
def test_absent_parameters_are_absent(space: Space, source: random.Random) -> None:
    """A drawn point has exactly the parameters that are active in it, and its coordinates lead back to it."""
    params = space.draw([source.random() for _ in space.dimensions])
    active = [one.name for one, there in zip(space.dimensions, space.active(params), strict=True) if there]
    assert sorted(active) == sorted(params)
    assert space.params(space.coordinates(params)) == params
    assert params in listed(space)


def test_a_conditional_continuum_is_not_counted() -> None:
    """With a continuous parameter there is no count; the point has it only where its condition holds."""
    lr = Dimension(("lr",), LogUniform(1e-4, 1.0), (when("use", True),))
    space = Space((Dimension(("use",), Categorical((True, False))), lr))
    assert space.size is None
    assert space.draw([0.5, 0.9]) == {"use": False} or space.draw([0.5, 0.1]) == {"use": False}
    assert space.active({"use": True, "lr": 0.1}) == (True, True)
    with pytest.raises(KeyError):
        space.coordinates({"use": True})


def test_many_independent_conditions_are_counted() -> None:
    """Forty switches, each with a parameter of its own, are no 2**40 cases."""
    dimensions = []
    for number in range(40):
        dimensions.append(Dimension((f"s{number}",), Categorical((False, True))))
        dimensions.append(Dimension((f"x{number}",), IntUniform(0, 9), (when(f"s{number}", True),)))
    space = Space(tuple(dimensions))
    assert space.size == 11**40
    assert pickle.loads(pickle.dumps(space)).point(11**40 - 1) == space.point(11**40 - 1)


def test_entangled_conditions_are_refused() -> None:
    """Switches all before their parameters would need as many cases as there are combinations."""
    sizes = [2] * 20 + [3] * 20
    needs: list[dict[int, frozenset[int]]] = [*({} for _ in range(20)), *({i: frozenset({1})} for i in range(20))]
    with pytest.raises(ConfigError, match="in too many ways"):
        Branches(sizes, needs)


@pytest.mark.parametrize(
    ("dimensions", "told"),
    [
        ([Dimension(("a",), IntUniform(0, 1), (when("b", 0),))], "names b, which is no parameter"),
        (
            [Dimension(("a",), IntUniform(0, 1), (when("b", 0.5),)), Dimension(("b",), Uniform(0, 1))],
            "no parameter with a list",
        ),
        ([Dimension(("a",), IntUniform(0, 1), (when("b", 7),)), Dimension(("b",), IntUniform(0, 1))], "no value 7"),
        (
            [Dimension((a,), IntUniform(0, 1), (when(b, 0),)) for a, b in (("a", "b"), ("b", "c"), ("c", "a"))],
            "a, b, c: each is there only where another",
        ),
    ],
)
def test_conditions_that_cannot_be_are_refused(dimensions: list[Dimension], told: str) -> None:
    """A condition on nothing, on a continuum, on a foreign value, or in a circle is an error."""
    with pytest.raises(ConfigError, match=told):
        Space(tuple(dimensions))
