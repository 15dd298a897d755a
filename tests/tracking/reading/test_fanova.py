"""Shares of variance against functions and trees whose shares are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from besom.tracking.reading.fanova import Leaves, pair_shares, shares


def forest_of(points: np.ndarray, values: np.ndarray, trees: int) -> list[Leaves]:
    fitted = RandomForestRegressor(trees, random_state=0).fit(points, values)
    return [Leaves.of(one.tree_, points.shape[1]) for one in fitted.estimators_]


def test_two_steps_have_the_shares_of_their_heights() -> None:
    """3·[x > 1/2] + [y > 1/4] has variances 9/4 and 3/16 and nothing in common, whatever z does."""
    points = np.array(list(itertools.product(np.linspace(0.0625, 0.9375, 8), repeat=3)))
    values = 3.0 * (points[:, 0] > 0.5) + 1.0 * (points[:, 1] > 0.25)
    tree = Leaves.of(DecisionTreeRegressor(random_state=0).fit(points, values).tree_, 3)
    assert tree.mean == pytest.approx(1.5 + 0.75)
    assert tree.variance == pytest.approx(9 / 4 + 3 / 16)
    assert shares([tree]) == pytest.approx(np.array([9 / 4, 3 / 16, 0]) / (9 / 4 + 3 / 16), abs=1e-12)
    assert pair_shares([tree], [(0, 1), (0, 2)]) == pytest.approx([0, 0], abs=1e-12)


def test_exclusive_or_has_all_its_variance_in_the_pair() -> None:
    """[x > 1/2] xor [y > 1/2] varies with neither alone."""
    points = np.array(list(itertools.product([0.125, 0.375, 0.625, 0.875], repeat=2)))
    values = ((points[:, 0] > 0.5) ^ (points[:, 1] > 0.5)).astype(float)
    tree = Leaves.of(DecisionTreeRegressor(random_state=0).fit(points, values).tree_, 2)
    assert shares([tree]) == pytest.approx([0, 0], abs=1e-12)
    assert pair_shares([tree], [(0, 1)]) == pytest.approx([1])


def test_a_tree_agrees_with_its_own_predictions() -> None:
    """Means over the cells between all thresholds, asked of the tree itself, give the same variances."""
    rng = np.random.default_rng(1)
    points = rng.random((60, 3))
    fitted = DecisionTreeRegressor(random_state=0).fit(points, np.sin(9 * points[:, 0]) * points[:, 1] + points[:, 2])
    leaves = Leaves.of(fitted.tree_, 3)
    edges = [np.unique([0.0, 1.0, *fitted.tree_.threshold[fitted.tree_.feature == axis]]) for axis in range(3)]
    cells = np.array(list(itertools.product(*[(of[1:] + of[:-1]) / 2 for of in edges])))
    told = fitted.predict(cells).reshape([len(of) - 1 for of in edges])
    lengths = [np.diff(of) for of in edges]
    mean = np.einsum("ijk,i,j,k", told, *lengths)
    first = [
        np.average((np.einsum(f"ijk,{'ijk'.replace(kept, '')[0]},{'ijk'.replace(kept, '')[1]}->{kept}", told,
                              *[lengths["ijk".index(axis)] for axis in "ijk" if axis != kept]) - mean) ** 2,
                   weights=lengths["ijk".index(kept)])
        for kept in "ijk"
    ]  # fmt: skip
    both = np.einsum("ijk,k->ij", told, lengths[2])
    pair = np.einsum("ij,i,j", (both - mean) ** 2, *lengths[:2]) - first[0] - first[1]
    assert leaves.mean == pytest.approx(mean)
    assert leaves.first_order == pytest.approx(first)
    assert leaves.second_order(0, 1) == pytest.approx(pair)


def test_ishigami() -> None:
    """A tree that holds Ishigami's function (a = 7, b = 0.1) in 20³ cells has its shares of variance, of pairs as well.

    Source: Ishigami and Homma 1990; the shares follow from its closed-form variances.
    """
    points = np.array(list(itertools.product((np.arange(20) + 0.5) / 20, repeat=3)))
    x1, x2, x3 = (np.pi * (2 * points - 1)).T
    values = np.sin(x1) + 7 * np.sin(x2) ** 2 + 0.1 * x3**4 * np.sin(x1)
    tree = Leaves.of(DecisionTreeRegressor(random_state=0).fit(points, values).tree_, 3)
    assert shares([tree]) == pytest.approx([0.3139, 0.4424, 0.0], abs=0.01)
    assert pair_shares([tree], [(0, 1), (0, 2), (1, 2)]) == pytest.approx([0.0, 0.2437, 0.0], abs=0.01)


def test_a_forest_that_never_split_has_no_shares() -> None:
    """Equal values leave nothing to be shared."""
    forest = forest_of(np.random.default_rng(0).random((8, 2)), np.ones(8), trees=2)
    assert shares(forest).tolist() == [0.0, 0.0]
    assert pair_shares(forest, [(0, 1)]).tolist() == [0.0]
