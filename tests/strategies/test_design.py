"""Tests of the first trials."""

from __future__ import annotations

import numpy as np

from besom.strategies import Categorical, Constant, Dimension, IntUniform, Space, Uniform
from besom.strategies.cube import Cube
from besom.strategies.design import design, design_size


def test_design_covers_every_dimension() -> None:
    """After the middle, 64 trials have one in each 64th of every axis, however many axes there are."""
    rows = design(Cube(Space(tuple(Dimension((f"x{i}",), Uniform(0, 1)) for i in range(8)))), seed=5)
    np.testing.assert_array_equal(rows[0], 0.5)
    for column in rows[1:65].T:
        assert sorted((column * 64).astype(int)) == list(range(64))


def test_design_tries_choices_alike() -> None:
    """Values of a finite dimension come about equally often."""
    cube = Cube(Space((Dimension(("kind",), Categorical("abcd")), Dimension(("n",), IntUniform(1, 4)))))
    for column in design(cube, seed=1)[1:65].T:
        assert np.unique(column, return_counts=True)[1].tolist() == [16, 16, 16, 16]


def test_seeds_differ() -> None:
    """Another seed gives another design, and the same one the same."""
    cube = Cube(Space((Dimension(("x",), Uniform(0, 1)),)))
    assert not np.array_equal(design(cube, 1), design(cube, 2))
    np.testing.assert_array_equal(design(cube, 1), design(cube, 1))


def test_size_grows_with_what_is_searched() -> None:
    """Constants ask for no trials; many dimensions for no more than a dozen."""
    sizes = [
        design_size(
            Cube(Space((*(Dimension((f"x{i}",), Uniform(0, 1)) for i in range(n)), Dimension(("c",), Constant(1)))))
        )
        for n in (1, 3, 40)
    ]
    assert sizes == [4, 7, 12]
