"""Tests of the forests as surrogates."""

from __future__ import annotations

import numpy as np
import pytest

from besom.strategies.forest import Forest, ForestKind

FLAGS = np.array([False, True])
RNG = np.random.default_rng(0)
ROWS = np.column_stack([RNG.random(80), RNG.integers(0, 2, 80)])
VALUES = np.where(ROWS[:, 0] < 0.4, -1.0, 1.0) + ROWS[:, 1]


@pytest.mark.parametrize("kind", ["rf", "et"])
def test_sees_steps(kind: ForestKind) -> None:
    """A step in an ordered parameter and one between unordered values are found where they are."""
    probes = np.array([[0.2, 0.0], [0.2, 1.0], [0.7, 0.0], [0.7, 1.0]])
    mean, std = Forest(kind, ROWS, VALUES, FLAGS).predict(probes)
    np.testing.assert_allclose(mean, [-1.0, 0.0, 1.0, 2.0], atol=0.25)
    assert np.all(std > 0)


@pytest.mark.parametrize("kind", ["rf", "et"])
def test_doubts_where_its_trees_differ(kind: ForestKind) -> None:
    """The deviation is greater at the step than in the middle of a plateau."""
    _, std = Forest(kind, ROWS, VALUES, FLAGS).predict(np.array([[0.4, 0.0], [0.75, 0.0]]))
    assert std[0] > 1.5 * std[1]


def test_believing_is_being_told() -> None:
    """A believed point enters as if the forest's own mean had been observed there."""
    forest = Forest("et", ROWS, VALUES, FLAGS)
    probe = np.array([[0.4, 0.0]])
    told = Forest("et", np.vstack([ROWS, probe]), np.append(VALUES, forest.mean(probe)), FLAGS)
    forest.believe(probe)
    np.testing.assert_array_equal(forest.mean(ROWS), told.mean(ROWS))
