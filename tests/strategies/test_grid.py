"""Tests of grid search."""

from __future__ import annotations

import itertools

import pytest

from besom.errors import ConfigError
from besom.strategies import (
    Categorical,
    Constant,
    Dimension,
    EndedTrial,
    IntUniform,
    LogUniform,
    QUniform,
    RunningTrial,
    Space,
    Uniform,
    make_strategy,
)

from .spaces import FINITE

HUGE = Space(tuple(Dimension((name,), IntUniform(1, 10**4)) for name in "cab"))


def test_grid_is_the_product() -> None:
    """The grid is itertools.product over the sorted names, each point once, then nothing."""
    distinct = [1.0, True, None, "1", [1, 2], {"k": 0}]
    expected = [
        {"a": {"x": x, "y": y}, "b": b, "c": 7} for x, y, b in itertools.product([0.2, 0.4], [-1, 0, 1, 2], distinct)
    ]
    grid = make_strategy("grid", FINITE, seed=0)
    assert repr(grid.suggest(1000)) == repr(expected)
    grid.update([EndedTrial(48, expected[-1], "failed")], [])
    assert grid.suggest(1000) == []


def test_one_by_one_covers_the_grid() -> None:
    """Asked for one at a time, with any order of ending, every point comes once."""
    grid, whole = make_strategy("grid", FINITE, seed=0), make_strategy("grid", FINITE, seed=0).suggest(1000)
    seen: list[object] = []
    running: list[RunningTrial] = []
    while point := grid.suggest(1):
        seen += point
        running.append(RunningTrial(len(seen), point[0]))
        ended = [running.pop(len(running) // 2)] if len(running) == 4 else []
        grid.update([EndedTrial(trial.number, trial.params, "finished", 0.0) for trial in ended], running)
    assert seen == whole


def test_huge_grid_is_exact() -> None:
    """A grid of 10**12 points is never listed, and its last point is the last."""
    grid = make_strategy("grid", HUGE, seed=0)
    assert HUGE.size == 10**12
    grid.update([], [RunningTrial(123_456_789_012, {})])
    assert grid.suggest(2) == [{"a": 1235, "b": 5679, "c": 9013}, {"a": 1235, "b": 5679, "c": 9014}]
    grid.update([], [RunningTrial(10**12 - 1, {})])
    assert grid.suggest(5) == [{"a": 10**4, "b": 10**4, "c": 10**4}]


def test_constants_are_one_point() -> None:
    """With nothing to choose, the grid is a single trial."""
    grid = make_strategy("grid", Space((Dimension(("a",), Constant([1])), Dimension(("b",), Constant(None)))), seed=0)
    assert grid.suggest(3) == [{"a": [1], "b": None}]


def test_ranges_include_their_ends() -> None:
    """max belongs to an integer range, and to a quantised one when it is a multiple of q."""
    space = Space((Dimension(("a",), IntUniform(1, 2)), Dimension(("b",), QUniform(0.0, 0.3, 0.1))))
    points = make_strategy("grid", space, seed=0).suggest(99)
    assert [(point["a"], point["b"]) for point in points] == list(itertools.product([1, 2], [0.0, 0.1, 0.2, 0.3]))


def test_numbers_with_gaps_move_on() -> None:
    """The next point follows the highest number known, even if lower ones were never seen."""
    grid = make_strategy("grid", Space((Dimension(("a",), Categorical(tuple("abcdef"))),)), seed=0)
    grid.update([EndedTrial(4, {"a": "d"}, "crashed")], [RunningTrial(2, {"a": "b"})])
    assert grid.suggest(9) == [{"a": "e"}, {"a": "f"}]


@pytest.mark.parametrize("domain", [Uniform(0, 1), LogUniform(0.1, 1)])
def test_continuous_parameter_is_refused(domain: Uniform | LogUniform) -> None:
    """A grid over a continuum is an error that names the parameter."""
    with pytest.raises(ConfigError, match=r"optimizer\.lr"):
        make_strategy("grid", Space((Dimension(("optimizer", "lr"), domain),)), seed=0)
