"""Tests of what bayes remembers."""

from __future__ import annotations

import math

import numpy as np

from besom.strategies import Dimension, EndedTrial, RunningTrial, Space, Uniform
from besom.strategies.cube import Cube
from besom.strategies.observations import History, Observations

CUBE = Cube(Space((Dimension(("x",), Uniform(0, 1)),)))


def ended(number: int, value: float | None, state: str = "finished") -> EndedTrial:
    return EndedTrial(number, {"x": number / 100}, state, value)


def test_history_is_by_number() -> None:
    """Trials stand in order of issue, failures as infinity, cancelled ones not at all."""
    seen = Observations(CUBE, -1.0)
    seen.add([ended(3, 5.0), ended(1, math.nan)])
    seen.add([ended(2, 7.0, "cancelled"), ended(4, 9.0, "failed"), ended(5, 1.0, "stopped")])
    history = seen.history()
    np.testing.assert_allclose(history.rows[:, 0], [0.01, 0.03, 0.04, 0.05])
    assert history.values.tolist() == [math.inf, -5.0, math.inf, -1.0]
    assert history.valued().values.tolist() == [-5.0, -1.0]
    assert len(seen.tried()) == 5


def test_settled_trials_are_those_before_the_oldest_that_runs() -> None:
    """Trials below the oldest running one are settled, and stay so as a part of the history."""
    seen = Observations(CUBE, 1.0)
    seen.add([ended(number, None if number == 2 else 1.0) for number in (1, 2, 4, 6)])
    assert seen.history().settled == 4
    seen.set_pending([RunningTrial(3, {"x": 0.5}), RunningTrial(5, {"x": 0.6})])
    assert seen.history().settled == 2
    assert seen.history().valued().settled == 1
    np.testing.assert_allclose(seen.pending_rows(), [[0.5], [0.6]])


def test_essence_keeps_what_tells_most() -> None:
    """Of a long history the best half and the latest quarter stay, the rest evenly, in order and as many as asked."""
    values = np.random.default_rng(0).permutation(1000).astype(float)
    essence = History(np.arange(1000.0)[:, None], values, 1000).essence(100)
    numbers = essence.rows[:, 0]
    assert len(numbers) == len(set(numbers)) == 100
    assert set(np.argsort(values)[:50]) <= set(numbers.astype(int))
    assert set(range(975, 1000)) <= set(numbers.astype(int))
    assert np.all(np.diff(numbers) > 0)
    gaps = np.diff([number for number in numbers if values[int(number)] >= 50 and number < 975])
    assert gaps.max() < 100
