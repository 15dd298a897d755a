"""What stopped trials are taken for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from besom.strategies import Dimension, EndedTrial, Space, Uniform
from besom.strategies.cube import Cube
from besom.strategies.early_ends import final_values
from besom.strategies.observations import Observations

CUBE = Cube(Space((Dimension(("x",), Uniform(0, 1)),)))


def carried(*rows: tuple[Sequence[float], bool]) -> list[float]:
    """Final values of trials given by curve and whether they were stopped; a value is the lowest of its curve."""
    values = np.array([min(curve, default=math.inf) for curve, _ in rows])
    return final_values(values, [curve for curve, _ in rows], np.array([stopped for _, stopped in rows])).tolist()


def test_a_stopped_trial_gains_what_others_gained_from_there() -> None:
    """The median of what the best value still fell by after that iteration; finished trials stay as they are."""
    finished = [([5, 4, 3], False), ([6, 6, 3], False), ([7, 5, 1], False)]
    assert carried(*finished, ([9, 8], True)) == [3, 3, 1, 8 - 3]
    assert carried(*finished, ([9], True)) == [3, 3, 1, 9 - 3]


def test_stopped_trials_that_came_further_count_too() -> None:
    """First the longer one is carried on, then the shorter one by what both gain in the median."""
    assert carried(([10, 9, 3], False), ([20, 12], True), ([30], True)) == [3, 6, 30 - 10.5]


def test_nobody_is_taken_for_better_than_the_best_seen() -> None:
    """A stopped trial that would pass the best value counts as equal to it."""
    assert carried(([9, 1], False), ([3], True)) == [1, 1]


def test_what_cannot_be_carried_on_stays() -> None:
    """Nobody came further, no curve, or no value; one that ended by itself sooner is nobody to go by."""
    assert carried(([5, 4], False), ([3, 2], True), ([], True)) == [4, 2, math.inf]
    values = final_values(np.array([4.0, 7.0]), [(5, 4), ()], np.array([False, True]))
    assert values.tolist() == [4, 7]


def test_long_histories_are_compared_with_the_latest() -> None:
    """Of a thousand trials the last ones tell the gain."""
    old, new = [([9, 8], False)] * 700, [([9, 5], False)] * 300
    assert carried(*old, *new, ([20], True))[-1] == 20 - 4


def test_bayes_carries_stopped_trials_on_whatever_the_goal() -> None:
    """For a metric to be maximised the same, mirrored; and as soon as a trial finishes, also those stopped before."""
    for sign, goal in ((1.0, 1.0), (-1.0, -1.0)):
        seen = Observations(CUBE, goal)
        seen.add([EndedTrial(1, {"x": 0.1}, "stopped", sign * 9.0, (sign * 9.0,))])
        assert seen.history().values.tolist() == [9]
        seen.add([EndedTrial(2, {"x": 0.2}, "finished", sign * 1.0, (sign * 6.0, sign * 1.0))])
        assert seen.history().values.tolist() == [4, 1]
