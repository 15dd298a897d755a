"""What every strategy promises, checked on each over several spaces."""

from __future__ import annotations

import json
import math
import pickle
import random
from collections.abc import Sequence

import pytest

from besom.errors import ConfigError
from besom.strategies import EndedTrial, Params, RunningTrial, Space, Strategy, make_strategy

from .spaces import FINITE, MIXED

CASES = [
    pytest.param("grid", FINITE, id="grid-finite"),
    pytest.param("random", FINITE, id="random-finite"),
    pytest.param("random", MIXED, id="random-mixed"),
    pytest.param("bayes", FINITE, id="bayes-finite"),
    pytest.param("bayes", MIXED, id="bayes-mixed"),
    pytest.param("two metrics", FINITE, id="bayes-two-metrics-finite"),
    pytest.param("two metrics", MIXED, id="bayes-two-metrics-mixed"),
    pytest.param("two metrics, one judged", MIXED, id="bayes-one-metric-judged-mixed"),
]
every_strategy = pytest.mark.parametrize(("method", "space"), CASES)
SEEDED = [case for case in CASES if not str(case.id).startswith("grid")]

Step = tuple[list[EndedTrial], list[RunningTrial]]


def history(method: str, space: Space, trials: int = 24) -> list[Step]:
    """The steps of a sweep of which up to four trials run at once and end in any order and state."""
    source = random.Random(7)
    points = make_strategy("random" if method == "random" else "bayes", space, seed=3).suggest(trials)
    running: list[RunningTrial] = []
    steps: list[Step] = []
    for number, params in enumerate(points, 1):
        running.append(RunningTrial(number, params))
        ended = []
        while len(running) > source.randint(1, 4):
            trial = running.pop(source.randrange(len(running)))
            state = source.choice(["finished"] * 4 + ["failed", "crashed", "stopped", "cancelled"])
            value = None if state == "failed" else source.choice([source.gauss(0, 1), math.nan, math.inf, 1e30])
            curve = () if value is None else tuple(value + gain for gain in range(trial.number % 5, -1, -1))
            values = source.choice([(value, math.sin(trial.number))] * 4 + [(value, None), ()])
            spread, spreads = (0.1, (0.1, 0.2)) if trial.number % 3 else (None, ())
            details = {"spread": spread, "trials": 3 if spread else 1, "values": values, "spreads": spreads}
            ended.append(EndedTrial(trial.number, trial.params, state, value, curve, **details))
        steps.append((ended, list(running)))
    return steps


def told(strategy: Strategy, steps: Sequence[Step]) -> Strategy:
    for ended, running in steps:
        strategy.update(ended, running)
    return strategy


def whole(steps: Sequence[Step]) -> Step:
    """All steps as one."""
    return [trial for ended, _ in steps for trial in ended], steps[-1][1]


def make(method: str, space: Space, seed: int = 11) -> Strategy:
    if method == "two metrics":
        return make_strategy("bayes", space, seed=seed, goals=("minimize", "maximize"))
    if method == "two metrics, one judged":
        goals = ("minimize", "maximize")
        return make_strategy("bayes", space, seed=seed, goals=goals, thresholds=(None, -0.5), judged=0)
    return make_strategy(method, space, seed=seed)


def exact(points: Sequence[Params]) -> str:
    """Points with their types, to the last digit."""
    return json.dumps(points)


@every_strategy
def test_cuts_of_the_history_do_not_matter(method: str, space: Space) -> None:
    """Told step by step, in two parts, or at once: the suggestions are the same."""
    steps = history(method, space)
    expected = exact(told(make(method, space), steps).suggest(3))
    assert exact(told(make(method, space), [whole(steps)]).suggest(3)) == expected
    halves = [whole(steps[:9]), whole(steps[9:])]
    assert exact(told(make(method, space), halves).suggest(3)) == expected


@every_strategy
def test_asking_between_updates_changes_nothing(method: str, space: Space) -> None:
    """A strategy that was asked on the way answers as one that was not."""
    steps = history(method, space)
    asked = make(method, space)
    for i, step in enumerate(steps):
        told(asked, [step])
        if i % 8 == 7:
            asked.suggest(2)
    assert exact(asked.suggest(2)) == exact(told(make(method, space), steps).suggest(2))


@every_strategy
def test_order_of_ending_does_not_matter(method: str, space: Space) -> None:
    """The same trials in another order give the same suggestions."""
    ended, running = whole(history(method, space))
    backwards = told(make(method, space), [(ended[::-1], running[::-1])])
    assert exact(backwards.suggest(2)) == exact(told(make(method, space), [(ended, running)]).suggest(2))


@every_strategy
def test_suggest_is_pure(method: str, space: Space) -> None:
    """Asked twice, a strategy says the same, and a larger batch begins with the smaller one."""
    strategy = told(make(method, space), history(method, space))
    first = exact(strategy.suggest(2))
    assert exact(strategy.suggest(2)) == first
    assert exact(strategy.suggest(4)[:2]) == first


@every_strategy
@pytest.mark.parametrize("known", [0, 24])
def test_suggestions_are_json_in_the_space(method: str, space: Space, known: int) -> None:
    """As many points as asked for come out, all in the space, in plain values that survive JSON."""
    strategy = told(make(method, space), history(method, space)[:known])
    for count in (0, 1, 5):
        points = strategy.suggest(count)
        assert len(points) == count
        assert json.loads(json.dumps(points, allow_nan=False)) == points
        for point in points:
            again = space.params(space.coordinates(point))
            assert space.coordinates(again) == pytest.approx(space.coordinates(point))


@every_strategy
def test_same_seed_same_suggestions(method: str, space: Space) -> None:
    """A sweep can be run again from its seed and history."""
    steps = history(method, space)
    assert exact(told(make(method, space), steps).suggest(2)) == exact(told(make(method, space), steps).suggest(2))
    assert exact(make(method, space).suggest(6)) == exact(make(method, space).suggest(6))


@pytest.mark.parametrize(("method", "space"), SEEDED)
def test_other_seed_other_suggestions(method: str, space: Space) -> None:
    """Two seeds search differently."""
    assert exact(make(method, space, 1).suggest(6)) != exact(make(method, space, 2).suggest(6))


@every_strategy
def test_survives_pickle(method: str, space: Space) -> None:
    """A strategy sent to another process goes on as it would have here."""
    strategy = told(make(method, space), history(method, space))
    expected = exact(strategy.suggest(2))
    assert exact(pickle.loads(pickle.dumps(strategy)).suggest(2)) == expected


def test_unknown_method_and_goal_are_refused() -> None:
    """A slip in method or goal is an error that says what to write."""
    with pytest.raises(ConfigError, match="write grid, random or bayes"):
        make_strategy("baies", MIXED, seed=0)
    with pytest.raises(ConfigError, match="write minimize or maximize"):
        make_strategy("bayes", MIXED, seed=0, goal="minimise")
