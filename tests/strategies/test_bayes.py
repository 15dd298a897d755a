"""Tests of Bayesian optimization."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest

from besom.errors import ConfigError
from besom.strategies import (
    Categorical,
    Constant,
    Dimension,
    EndedTrial,
    IntUniform,
    Params,
    RunningTrial,
    Space,
    Strategy,
    Uniform,
    make_strategy,
)
from besom.strategies.surrogate import Surrogate, log_expected_improvement, tame

from .spaces import BRANIN, HARTMANN, MIXED, branin, hartmann, mixed_loss

Objective = Callable[[Params], float]
LINE = Space((Dimension(("x",), Uniform(0, 1)),))


def search(strategy: Strategy, objective: Objective, trials: int, sign: float = 1.0) -> list[float]:
    """The values of trials run one after the other."""
    values: list[float] = []
    for number in range(1, trials + 1):
        params = strategy.suggest(1)[0]
        values.append(objective(params))
        strategy.update([EndedTrial(number, params, "finished", sign * values[-1])], [])
    return values


def median_regret(method: str, space: Space, objective: Objective, seeds: range) -> float:
    return statistics.median(
        min(search(make_strategy(method, space, seed=seed), objective, trials=40)) for seed in seeds
    )


def finished(strategy: Strategy, objective: Objective, trials: int) -> Strategy:
    """The strategy after so many random trials, told at once."""
    points = make_strategy("random", BRANIN, seed=9).suggest(trials)
    strategy.update([EndedTrial(i, point, "finished", objective(point)) for i, point in enumerate(points, 1)], [])
    return strategy


@pytest.mark.parametrize(
    ("space", "objective", "share"),
    [
        pytest.param(BRANIN, branin, 0.05, id="branin"),
        pytest.param(HARTMANN, hartmann, 0.3, id="hartmann6"),
        pytest.param(MIXED, mixed_loss, 0.3, id="mixed"),
    ],
)
def test_beats_random(space: Space, objective: Objective, share: float) -> None:
    """After 40 trials the median regret is a small share of random search's."""
    seeds = range(3)
    assert median_regret("bayes", space, objective, seeds) < share * median_regret(
        "random", space, objective, range(20)
    )


def test_maximize_mirrors_minimize() -> None:
    """Maximizing the negative takes the same way as minimizing."""
    down = search(make_strategy("bayes", BRANIN, seed=1), branin, 14)
    up = search(make_strategy("bayes", BRANIN, seed=1, goal="maximize"), branin, 14, sign=-1.0)
    assert up == down


def test_first_trials_are_spread() -> None:
    """The initial design puts one trial into each slice of every parameter."""
    points = make_strategy("bayes", HARTMANN, seed=4).suggest(10)
    for name in points[0]:
        assert sorted(int(point[name] * 10) for point in points) == list(range(10))


@pytest.mark.parametrize("batch", [1, 5])
def test_finite_space_is_covered_without_repeats(batch: int) -> None:
    """Every point of a small space comes exactly once, failed and running ones included, then nothing."""
    space = Space((Dimension(("a",), Categorical((1, True, None))), Dimension(("b",), IntUniform(0, 6))))
    strategy = make_strategy("bayes", space, seed=2)
    ended: list[EndedTrial] = []
    while points := strategy.suggest(batch):
        new = [
            EndedTrial(len(ended) + i, point, "failed" if i % 2 else "finished", 1.0)
            for i, point in enumerate(points, 1)
        ]
        strategy.update([], [RunningTrial(trial.number, trial.params) for trial in new])
        strategy.update(new, [])
        ended += new
    assert len(ended) == 21
    assert len({space.key(trial.params) for trial in ended}) == 21


def test_nearly_full_space_gives_what_is_left() -> None:
    """In a space too large to score whole, the last free points are found, and fewer than asked for come out."""
    space = Space((Dimension(("a",), IntUniform(1, 3000)),))
    ended = [EndedTrial(i, {"a": i}, "finished", float(i)) for i in range(1, 3001) if i not in (77, 2048)]
    strategy = make_strategy("bayes", space, seed=0)
    strategy.update(ended, [])
    assert sorted(point["a"] for point in strategy.suggest(5)) == [77, 2048]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_failure_counts_as_the_worst(value: float | None) -> None:
    """A trial without a finite value sends the search away from it, as the worst value would."""

    def suggestions(ending: EndedTrial) -> list[Params]:
        strategy = finished(make_strategy("bayes", BRANIN, seed=0), branin, 11)
        strategy.update([ending], [])
        return strategy.suggest(2)

    params = {"x": 1.0, "y": 2.0}
    worst = max(branin(point) for point in make_strategy("random", BRANIN, seed=9).suggest(11))
    expected = suggestions(EndedTrial(12, params, "finished", worst))
    assert suggestions(EndedTrial(12, params, "finished", value)) == expected
    assert suggestions(EndedTrial(12, params, "crashed", -1e9)) == expected


def test_stopped_counts_and_cancelled_does_not() -> None:
    """A stopped trial's value is an observation; a cancelled trial's is not, but its point is not tried again."""
    space = Space((Dimension(("a",), IntUniform(1, 12)),))

    def after(state: str, value: float) -> list[Params]:
        strategy = make_strategy("bayes", space, seed=0)
        trials = [EndedTrial(i, {"a": i}, "finished", abs(i - 5.0)) for i in (1, 2, 3, 9)]
        strategy.update([*trials, EndedTrial(8, {"a": 7}, state, value)], [])
        return strategy.suggest(12)

    assert after("cancelled", -50.0) == after("cancelled", 50.0)
    assert {"a": 7} not in after("cancelled", -50.0)
    assert after("stopped", -50.0) == after("finished", -50.0) != after("cancelled", -50.0)


def test_only_failures_are_survived() -> None:
    """While no trial has given a value, the search goes on at random."""
    strategy = make_strategy("bayes", BRANIN, seed=0)
    strategy.update([EndedTrial(i, {"x": 0.0, "y": float(i)}, "failed") for i in range(1, 13)], [])
    points = strategy.suggest(3)
    assert len({BRANIN.key(point) for point in points}) == 3


@pytest.mark.parametrize(
    "objective", [lambda params: 0.0, lambda params: 1e308 * params["x"] / 10, lambda params: 5e-324]
)
def test_extreme_values_are_survived(objective: Objective) -> None:
    """Equal, huge and tiny values neither warn nor raise."""
    assert len(finished(make_strategy("bayes", BRANIN, seed=0), objective, 15).suggest(2)) == 2


def test_pending_trials_spread_the_batch() -> None:
    """Trials that run elsewhere are kept away from, as are the earlier ones of the same batch."""
    strategy = finished(make_strategy("bayes", BRANIN, seed=0), branin, 15)
    points = strategy.suggest(4)
    done = make_strategy("random", BRANIN, seed=9).suggest(15)
    ended = [EndedTrial(i, point, "finished", branin(point)) for i, point in enumerate(done, 1)]
    strategy = make_strategy("bayes", BRANIN, seed=0)
    strategy.update(ended, [RunningTrial(16 + i, point) for i, point in enumerate(points)])
    points += strategy.suggest(4)
    rows = np.array([BRANIN.coordinates(point) for point in points])
    gaps = np.linalg.norm(rows[:, None] - rows[None], axis=-1)[np.triu_indices(8, 1)]
    assert gaps.min() > 0.01


def test_foreign_params_are_ignored() -> None:
    """A trial that is not of this space counts by its number alone."""
    strategy = make_strategy("bayes", LINE, seed=0)
    strategy.update([EndedTrial(i, {"x": "?"}, "finished", 0.0) for i in (1, 2)], [RunningTrial(3, {})])
    assert strategy.suggest(1) == make_strategy("bayes", LINE, seed=0).suggest(4)[3:]


def test_single_point_comes_once() -> None:
    """A space whose only choice has one value is one trial; one of constants alone is refused."""
    strategy = make_strategy("bayes", Space((Dimension(("a",), Categorical(("x",))),)), seed=0)
    assert strategy.suggest(3) == [{"a": "x"}]
    with pytest.raises(ConfigError, match="all parameters are constants"):
        make_strategy("bayes", Space((Dimension(("a",), Constant(1)),)), seed=0)


def test_suggest_is_quick() -> None:
    """After 50 trials one suggestion takes well under a second, after 1000 not much longer."""
    for trials, seconds in ((50, 0.7), (1000, 2.0)):
        strategy = finished(make_strategy("bayes", BRANIN, seed=0), branin, trials)
        start = time.process_time()
        strategy.suggest(1)
        assert time.process_time() - start < seconds


def test_log_expected_improvement_matches_sampling() -> None:
    """The closed form agrees with the mean of sampled improvements, and falls steadily where those are all 0."""
    mean, std, best = np.array([0.3, 1.0, 0.2]), np.array([0.5, 0.2, 1.0]), 0.5
    draws = mean + std * np.random.default_rng(0).standard_normal((400_000, 3))
    expected = np.maximum(best - draws, 0).mean(axis=0)
    np.testing.assert_allclose(np.exp(log_expected_improvement(mean, std, best)), expected, atol=3e-3)
    far = log_expected_improvement(np.array([0.9, 1.1, 5.0, 30.0, 900.0, 1100.0, 1e9]), np.ones(7), 0.0)
    assert np.all(np.isfinite(far))
    assert np.all(np.diff(far) < 0)


def test_tame_keeps_order() -> None:
    """Taming keeps who is better than whom, and a diverged loss counts as little more than the worst."""
    values = np.array([0.1, 0.5, 0.2, 1e12, 0.3, 0.2, 7.0])
    tamed = tame(values)
    np.testing.assert_array_equal(np.argsort(tamed, kind="stable"), np.argsort(values, kind="stable"))
    assert abs(tamed.mean()) < 1e-9
    assert np.ptp(tamed) < 5


def test_surrogate_predicts_a_smooth_function() -> None:
    """Between close observations the mean is right; at them the deviation is small, and far away larger."""
    x = np.linspace(0, 1, 15)[:, None]
    y = np.sin(5 * x[:, 0])
    model = Surrogate(x, (y - y.mean()) / y.std())
    mean, std = model.predict(np.array([[0.33], [0.78], [2.0]]))
    np.testing.assert_allclose(mean[:2] * y.std() + y.mean(), np.sin([1.65, 3.9]), atol=0.02)
    assert std[0] < 0.1 < std[2]


def test_believing_leaves_the_mean() -> None:
    """A believed point changes no prediction, it only takes the doubt away there."""
    x = np.array([[0.0], [0.3], [0.7], [1.0]])
    model = Surrogate(x, np.array([1.0, -1.0, 0.5, -0.5]))
    probe = np.array([[0.5], [0.9]])
    mean, std = model.predict(probe)
    model.believe(probe[:1])
    believed_mean, believed_std = model.predict(probe)
    np.testing.assert_allclose(believed_mean, mean, atol=1e-6)
    assert believed_std[0] < 0.2 * std[0]
    assert believed_std[1] <= std[1]
