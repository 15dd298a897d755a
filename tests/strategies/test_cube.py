"""Tests of points as rows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from besom.strategies import Categorical, Condition, Dimension, IntUniform, LogUniform, QLogUniform, Space, Uniform
from besom.strategies.cube import Cube

from .spaces import FINITE, MIXED

CONDITIONAL = Space(
    (
        Dimension(("optimizer",), Categorical(("adam", "sgd", "rms"))),
        Dimension(("momentum",), Uniform(0.0, 1.0), when=(Condition(("optimizer",), ("sgd",)),)),
        Dimension(("nesterov",), Categorical((False, True)), when=(Condition(("optimizer",), ("sgd",)),)),
        Dimension(("damping",), IntUniform(1, 3), when=(Condition(("nesterov",), (True,)),)),
        Dimension(("width",), QLogUniform(8, 512, 1)),
    )
)
LARGE = Space((Dimension(("steps",), QLogUniform(1, 10**6, 1)), Dimension(("lr",), LogUniform(1e-5, 1.0))))


@pytest.mark.parametrize("space", [FINITE, MIXED, CONDITIONAL, LARGE])
def test_rows_and_points_are_one(space: Space) -> None:
    """A row's point has that row again, whatever the domains and conditions."""
    cube = Cube(space)
    for row in cube.draw(np.random.default_rng(0), 60):
        params = cube.params(row)
        (again,) = cube.rows([params])
        assert again is not None
        assert space.key(cube.params(again)) == space.key(params)
        np.testing.assert_allclose(again, row, atol=0.05 if space is LARGE else 1e-9)


@pytest.mark.parametrize("space", [FINITE, MIXED, CONDITIONAL])
def test_equal_points_are_equal_rows(space: Space) -> None:
    """Two rows have the same point exactly when they are the same once snapped, and snapping again changes nothing."""
    cube = Cube(space)
    rows = cube.snap(np.round(np.random.default_rng(1).random((40, len(space.dimensions))), 1))
    np.testing.assert_array_equal(cube.snap(rows), rows)
    for one, other in itertools.combinations(rows, 2):
        same_points = space.key(cube.params(one)) == space.key(cube.params(other))
        assert same_points == bool(np.allclose(one, other))


def test_idle_coordinates_do_not_vary() -> None:
    """Where a condition fails, at any depth, the coordinate is the same for all points, and unlike any choice."""
    cube = Cube(CONDITIONAL)
    names = [dimension.name for dimension in CONDITIONAL.dimensions]
    for row in cube.draw(np.random.default_rng(2), 80):
        params = cube.params(row)
        for name, place in zip(names, row, strict=True):
            if name not in params:
                assert place == (-1.0 if name == "nesterov" else 0.5)
            elif name == "nesterov":
                assert place in (0.25, 0.75)


def test_log_domains_are_even_on_the_logarithm() -> None:
    """Integers on a log scale lie where their logarithm does, so doubling is the same step anywhere."""
    cube = Cube(Space((Dimension(("width",), QLogUniform(8, 512, 1)),)))
    places = cube.rows([{"width": width} for width in (8, 16, 32, 512)])
    np.testing.assert_allclose(np.ravel(places), [0.0, 1 / 6, 2 / 6, 1.0], atol=1e-9)


def test_all_rows_are_all_points() -> None:
    """A finite space's rows are its points, each once, but those a constraint rules out."""

    class Odd:
        def holds(self, params: dict[str, int]) -> bool:
            return bool(params["a"] % 2)

    space = Space(
        (
            Dimension(("a",), IntUniform(1, 5)),
            Dimension(("b",), Categorical("xyz"), when=(Condition(("a",), (3,)),)),
        ),
        (Odd(),),
    )
    cube = Cube(space)
    points = [cube.params(row) for row in cube.all_rows()]
    assert sorted(map(repr, points)) == sorted(map(repr, [{"a": 1}, *({"a": 3, "b": b} for b in "xyz"), {"a": 5}]))
    assert cube.allowed(cube.snap(np.array([[0.0, 0.1], [0.25, 0.1]]))).tolist() == [True, False]


def test_foreign_points_have_no_row() -> None:
    """Params that lack a parameter or have a value of none of the domains are not of the space."""
    cube = Cube(CONDITIONAL)
    points = [{"optimizer": "adam"}, {"optimizer": "adam", "width": 8}, {"optimizer": "lion", "width": 8}, {}]
    assert [row is None for row in cube.rows(points)] == [True, False, True, True]
