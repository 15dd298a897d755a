"""The search: seed and history in, suggestions out.

Gives: the space of a sweep, and `make_strategy` for grid, random and bayes.
Knows nothing of Redis, clocks, files, threads, nor of how a sweep file is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from besom.errors import ConfigError
from besom.strategies.domains import (
    Beta,
    Categorical,
    Constant,
    Domain,
    IntUniform,
    LogNormal,
    LogUniform,
    Normal,
    QLogUniform,
    QUniform,
    Rounded,
    Uniform,
    Value,
)
from besom.strategies.grid import Grid, Skipped
from besom.strategies.random_search import RandomSearch
from besom.strategies.space import Condition, Constraint, Dimension, Space
from besom.strategies.strategy import EndedTrial, Params, RunningTrial, Strategy

__all__ = [
    "Beta",
    "Categorical",
    "Condition",
    "Constant",
    "Constraint",
    "Dimension",
    "Domain",
    "EndedTrial",
    "IntUniform",
    "LogNormal",
    "LogUniform",
    "Normal",
    "Params",
    "QLogUniform",
    "QUniform",
    "Rounded",
    "RunningTrial",
    "Skipped",
    "Space",
    "Strategy",
    "Uniform",
    "Value",
    "make_strategy",
]


def make_strategy(
    method: str,
    space: Space,
    *,
    seed: int,
    goal: str = "minimize",
    goals: Sequence[str] = (),
    thresholds: Sequence[float | None] = (),
    judged: int | None = None,
    surrogate: str = "gp",
    skipped: Skipped | None = None,
) -> Strategy:
    """A fresh strategy that has seen no trial yet.

    Args:
        method: "grid", "random" or "bayes".
        space: What to search.
        seed: Source of all randomness; grid uses none.
        goal: "minimize" or "maximize"; only bayes looks at it.
        goals: Of several metrics, in place of `goal`, in the order of the trials' `values`.
        thresholds: Of several metrics, the values beyond which a trial is of no use; none without.
        judged: Of several metrics, the place of the one that the trials' curves are of.
        surrogate: What bayes fits: "gp" for Gaussian processes, "rf" or "et" for a forest.
        skipped: What a grid need not try; the others look at the history alone.

    Raises:
        ConfigError: if the method, the goal or the surrogate is unknown, or the method cannot search this space.
    """
    for one in (goal, *goals):
        if one not in ("minimize", "maximize"):
            raise ConfigError(f"metric.goal is {one!r}; write minimize or maximize")
    if method == "grid":
        return Grid(space, skipped)
    if method == "random":
        return RandomSearch(space, seed)
    if method == "bayes":
        # Here and not above: it brings scikit-learn along, two seconds that grid and random need not wait.
        from besom.strategies.bayes import Bayes, parts_of
        from besom.strategies.scalarised import Aims, Scalarised

        if goals:
            aims = Aims(tuple(goals), tuple(thresholds), judged)
            return Scalarised(space, seed, aims, parts_of(surrogate))
        return Bayes(space, seed, goal, parts_of(surrogate))
    raise ConfigError(f"method is {method!r}; write grid, random or bayes")
