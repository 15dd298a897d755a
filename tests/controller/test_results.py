"""What a strategy is told of a sweep's trials, and that it is the same list while that only grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from besom.controller.results import Results
from besom.controller.sweep_config import parse
from besom.strategies import EndedTrial, RunningTrial


def ended(number: int, value: float | None = 1.0, state: str = "finished") -> EndedTrial:
    return EndedTrial(number, {"x": number}, state, value)


def results(*trials: EndedTrial, repeats: int = 1, **metric: Any) -> Results:
    config = {"method": "bayes", "parameters": {"x": {"min": 0.0, "max": 1.0}}, "repeats": repeats}
    made = Results(parse({**config, "metric": {"name": "loss", **metric}}))
    for trial in trials:
        made.add(trial)
    return made


def values(told: Sequence[EndedTrial]) -> list[float | None]:
    return [trial.value for trial in told]


def numbers(pending: Sequence[RunningTrial]) -> list[int]:
    return [trial.number for trial in pending]


def test_list_grows() -> None:
    """Each end is appended to the list that was given before."""
    made = results(ended(2, 5.0))
    first = made.over()
    made.add(ended(1, 4.0))
    assert made.over() is first
    assert values(first) == [5.0, 4.0]


def test_trial_that_runs_again_is_pending() -> None:
    """Its result stays in the list, which the strategy is told to forget by its number; the next one comes after it."""
    made = results(ended(1, 5.0), ended(2, 6.0))
    first = made.over()
    made.remove(1)
    assert numbers(made.pending({1: {"x": 1}})) == [1]
    made.add(ended(1, 3.0))
    assert made.over() is first
    assert values(first) == [5.0, 6.0, 3.0]
    assert made.pending({}) == []


def test_points_are_over_with_their_last_trial() -> None:
    """Two trials of three make no result; the third does, and a point of which one runs again is pending once more."""
    made = results(ended(1, 1.0), ended(3, 3.0), ended(4, 9.0), repeats=3)
    assert made.over() == []
    assert made.pending({2: {"x": "of 2"}}) == [RunningTrial(1, {"x": "of 2"}), RunningTrial(2, {"x": 4})]
    made.add(ended(2, 2.0))
    assert values(made.over()) == [2.0]
    assert numbers(made.pending({})) == [2]
    made.remove(3)
    assert numbers(made.pending({3: {"x": 3}})) == [1, 2]
    made.add(ended(3, 6.0))
    assert values(made.over()) == [2.0, 3.0]
    for number in (1, 2, 3):
        made.remove(number)
    made.remove(4)
    assert made.pending({}) == []


def test_stopped_trials_count_in_means_as_what_they_would_have_come_to() -> None:
    """That changes with what the others do, so each end makes another list; without stopped trials it grows again."""
    curves = {1: (9.0, 1.0), 2: (9.0, 3.0), 3: (9.0,), 4: (9.0, 5.0)}
    trials = [EndedTrial(n, {"x": n}, "stopped" if n == 3 else "finished", c[-1], c) for n, c in curves.items()]
    made = results(*trials, repeats=2)
    first = made.over()
    assert values(first) == [2.0, pytest.approx((9.0 - 6.0 + 5.0) / 2)]
    assert made.over() is first
    made.add(EndedTrial(5, {"x": 5}, "finished", 0.0, (9.0, 0.0)))
    assert made.over() is not first
    made.remove(3)
    made.add(EndedTrial(3, {"x": 3}, "finished", 1.0, (9.0, 1.0)))
    assert values(made.over()) == [2.0, 3.0]
    last = made.over()
    made.add(EndedTrial(6, {"x": 6}, "finished", 2.0, (9.0, 2.0)))
    assert made.over() is last
    assert values(last) == [2.0, 3.0, 1.0]


def test_failure_is_taken_for_the_best_whenever_that_changes() -> None:
    """With a better value all failures have another one, which is another list; with a worse one they have not."""
    made = results(ended(1, None, "failed"), impute="best")
    assert values(made.over()) == [None]
    made.add(ended(2, 5.0))
    first = made.over()
    assert values(first) == [5.0, 5.0]
    made.add(ended(3, 7.0))
    made.add(ended(4, None, "crashed"))
    assert made.over() is first
    assert values(first) == [5.0, 5.0, 7.0, 5.0]
    made.add(ended(5, 2.0))
    assert values(made.over()) == [2.0, 5.0, 7.0, 2.0, 2.0]
    made.remove(5)
    assert values(made.over()) == [5.0, 5.0, 7.0, 5.0]


@pytest.mark.parametrize(
    ("how", "goal", "guess"),
    [("latest", "minimize", 8.0), ("best", "minimize", 1.0), ("worst", "minimize", 3.0), ("worst", "maximize", 1.0)],
)
def test_running_trials_with_something_logged(how: str, goal: str, guess: float) -> None:
    """They have the last value, or the best or worst of those that ended; the others and the list are left alone."""
    made = results(ended(1, 1.0), ended(2, 3.0), ended(3, None, "failed"), impute_while_running=how, goal=goal)
    guesses, left = made.guessed(made.pending({4: {"x": 4}, 5: {"x": 5}}), {4: (9.0, 8.0), 5: ()})
    assert guesses == [EndedTrial(4, {"x": 4}, "finished", guess, (9.0, 8.0))]
    assert left == [RunningTrial(5, {"x": 5})]
    assert values(made.over()) == [1.0, 3.0, None]


def test_nothing_to_guess_from() -> None:
    """The best of no value is none."""
    made = results(impute_while_running="best")
    assert made.guessed([RunningTrial(1, {})], {1: (2.0,)}) == ([], [RunningTrial(1, {})])
