"""Tests of the model of where trials fail."""

from __future__ import annotations

import numpy as np

from besom.strategies.feasibility import Feasibility

FLAGS = np.array([False, True])


def test_learns_where_trials_fail() -> None:
    """When one half of the space fails, its points are unlikely to work and the others likely, seen or not."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.random(40), rng.integers(0, 2, 40)])
    model = Feasibility(rows, rows[:, 0] > 0.5, FLAGS)
    probability = np.exp(model.log_probability(np.array([[0.1, 0.0], [0.4, 1.0], [0.6, 0.0], [0.9, 1.0]])))
    assert np.all(probability[:2] > 0.8)
    assert np.all(probability[2:] < 0.2)


def test_one_value_of_a_choice_that_fails_is_left() -> None:
    """A value of an unordered parameter with which every trial failed is held to fail again."""
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.random(30), rng.integers(0, 3, 30)])
    model = Feasibility(rows, rows[:, 1] == 2, FLAGS)
    works, fails = np.exp(model.log_probability(np.array([[0.5, 0.0], [0.5, 2.0]])))
    assert works > 0.8 > 0.2 > fails


def test_only_failures_are_survived() -> None:
    """When every trial failed, the probabilities are finite, and greater far from them."""
    model = Feasibility(np.array([[0.1, 0.0], [0.12, 0.0], [0.15, 0.0]]), np.ones(3, dtype=bool), FLAGS)
    near, far = model.log_probability(np.array([[0.11, 0.0], [0.9, 1.0]]))
    assert np.isfinite(near)
    assert near <= far
