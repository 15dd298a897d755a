"""What `bayes` gains when it is told how exact the means of repeated trials are.

    python -m benchmarks.repeats --seeds 20

Each point is tried three times, and the search is told the mean: with its standard error, or without. The noise is
even, or strong in a part of the space: there a lucky mean looks like an optimum. Prints how far from the optimum is, by
its true value, the point with the best mean, the one that `besom best` takes, and the best that was tried.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np

from besom.strategies import Dimension, EndedTrial, Params, Space, Uniform, make_strategy
from besom.strategies.repeats import Repeats

REPEATS, POINTS = 3, 40
CHOSEN = ("best mean", "taken for best", "best tried")
Objective = Callable[[list[float]], float]
Noise = Callable[[list[float]], float]


def branin(x: list[float]) -> float:
    """Dixon and Szegö 1978, on the unit square; its optimum is 0.397887."""
    a, b = 15 * x[0] - 5, 15 * x[1]
    bent = b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6
    return bent**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10 - 0.397887


def hills(x: list[float]) -> float:
    """Four parameters, many shallow valleys, the deepest at 0.3; its optimum is 0."""
    return sum(4 * (one - 0.3) ** 2 + 0.1 * (1 - math.cos(12 * (one - 0.3))) for one in x)


PROBLEMS: tuple[tuple[str, int, Objective, Noise], ...] = (
    ("branin, even noise", 2, branin, lambda x: 5.0),
    ("branin, noise in one half", 2, branin, lambda x: 15.0 if x[0] < 0.5 else 0.5),
    ("hills, even noise", 4, hills, lambda x: 0.4),
    ("hills, noise in one half", 4, hills, lambda x: 1.2 if x[0] > 0.5 else 0.02),
)


def regrets(size: int, objective: Objective, noise: Noise, seed: int, *, told: bool) -> list[float]:
    """Of one sweep, how far from the optimum is what each of `CHOSEN` names."""
    space = Space(tuple(Dimension((f"x{index}",), Uniform(0, 1)) for index in range(size)))
    strategy, source = make_strategy("bayes", space, seed=seed), Random(f"{seed}:noise")
    true: list[float] = []
    trials: list[EndedTrial] = []
    for number in range(1, POINTS + 1):
        params = strategy.suggest(1)[0]
        x = [float(value) for value in params.values()]
        true.append(objective(x))
        trials.append(_tried(number, params, [true[-1] + source.gauss(0.0, noise(x)) for _ in range(REPEATS)]))
        strategy.update([trials[-1] if told else replace(trials[-1], spread=None)], [])
    means = np.array([trial.value for trial in trials], dtype=float)
    spreads = np.array([trial.spread for trial in trials], dtype=float)
    surely = Repeats(spreads, np.full(POINTS, REPEATS)).cautious(means)
    return [true[int(means.argmin())], true[int(surely.argmin())], min(true)]


def _tried(number: int, params: Params, values: list[float]) -> EndedTrial:
    spread = statistics.stdev(values) / math.sqrt(REPEATS)
    return EndedTrial(number, params, "finished", statistics.fmean(values), spread=spread, trials=REPEATS)


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = range(parser.parse_args().seeds)
    print("| | mean alone | with its error | difference |\n|---|---|---|---|")
    for name, size, objective, noise in PROBLEMS:
        alone, told = (
            np.array([regrets(size, objective, noise, seed, told=told) for seed in seeds]) for told in (False, True)
        )
        for what, one, other in zip(CHOSEN, alone.T, told.T, strict=True):
            change = other - one
            error = change.std(ddof=1) / math.sqrt(len(change))
            print(f"| {name}: {what} | {one.mean():.3f} | {other.mean():.3f} | {change.mean():+.3f} ± {error:.3f} |")


if __name__ == "__main__":
    main()
