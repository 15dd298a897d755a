"""What `bayes` gains when it is told how exact the means of repeated trials are.

    python -m benchmarks.repeats --seeds 20

Each point is tried three times, and the search is told the mean: with its standard error, or without. What counts is
the true value of the point with the best mean, in the mean over seeds, as the distance to the optimum. The noise is
even, or strong in a part of the space: there a lucky mean looks like an optimum.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable
from random import Random

from besom.strategies import Dimension, EndedTrial, Params, Space, Uniform, make_strategy

REPEATS, POINTS = 3, 40
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


def regret(size: int, objective: Objective, noise: Noise, seed: int, *, told: bool) -> tuple[float, float]:
    """How far from the optimum the point with the best mean is, and the best of all, of one sweep."""
    space = Space(tuple(Dimension((f"x{index}",), Uniform(0, 1)) for index in range(size)))
    strategy, source = make_strategy("bayes", space, seed=seed), Random(f"{seed}:noise")
    found: list[tuple[float, float]] = []
    for number in range(1, POINTS + 1):
        params = strategy.suggest(1)[0]
        trial, true = _tried(number, params, objective, noise, source, told=told)
        strategy.update([trial], [])
        found.append((trial.value or 0.0, true))
    return min(found)[1], min(true for _, true in found)


def _tried(
    number: int, params: Params, objective: Objective, noise: Noise, source: Random, *, told: bool
) -> tuple[EndedTrial, float]:
    x = [float(value) for value in params.values()]
    values = [objective(x) + source.gauss(0.0, noise(x)) for _ in range(REPEATS)]
    spread = statistics.stdev(values) / math.sqrt(REPEATS) if told else None
    mean = statistics.fmean(values)
    return EndedTrial(number, params, "finished", mean, spread=spread, trials=REPEATS), objective(x)


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = range(parser.parse_args().seeds)
    for name, size, objective, noise in PROBLEMS:
        runs = ([regret(size, objective, noise, seed, told=told) for seed in seeds] for told in (False, True))
        for what, *pair in zip(("best mean", "best tried"), *(zip(*run, strict=True) for run in runs), strict=True):
            means, told = pair
            gains = [one - other for one, other in zip(means, told, strict=True)]
            error = statistics.stdev(gains) / math.sqrt(len(gains))
            print(f"{name}, {what}: mean alone {statistics.fmean(means):.3f}", end="")
            print(f", with its error {statistics.fmean(told):.3f}", end="")
            print(f", gained {statistics.fmean(gains):.3f} ± {error:.3f}", flush=True)


if __name__ == "__main__":
    main()
