"""Several metrics at once: each suggestion looks along a direction of its own towards the best trade-offs.

Reads: trials with `values`, and goals.  Gives: for a direction, one value to minimise for each trial.
Source: Zhang and Golovin 2020, Random hypervolume scalarizations for provable multi-objective black box optimization.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np

from besom.strategies.bayes import Bayes
from besom.strategies.cube import Array
from besom.strategies.knowledge import Parts
from besom.strategies.observations import as_float
from besom.strategies.output_warp import warp
from besom.strategies.space import Space
from besom.strategies.strategy import Counting, EndedTrial, Params, RunningTrial

__all__ = ["Scalarised", "direction", "scalarised"]

_BEYOND = 0.1
"""How far beyond the worst values, in the distance from there to the best, the reference point lies."""


class Scalarised(Counting):
    """Bayes for several metrics: suggestion n is made for what trials are worth along the direction number n.

    Args:
        space: What to search.
        seed: Source of all randomness.
        goals: "minimize" or "maximize", for each of the metrics.
        parts: What the search along one direction is made of.
    """

    def __init__(self, space: Space, seed: int, goals: Sequence[str], parts: Parts) -> None:
        super().__init__()
        Bayes(space, seed, "minimize", parts)  # raises what there is to raise before the first trial
        self._space, self._seed, self._parts = space, seed, parts
        self._signs = np.array([-1.0 if goal == "maximize" else 1.0 for goal in goals])
        self._known: dict[int, EndedTrial] = {}
        self._running: Sequence[RunningTrial] = ()

    def update(self, ended: Sequence[EndedTrial], running: Sequence[RunningTrial]) -> None:
        """Learn values of what ended, and points of what is pending."""
        super().update(ended, running)
        self._known.update((trial.number, trial) for trial in ended)
        self._running = tuple(running)

    def suggest(self, count: int) -> list[Params]:
        """The most promising points that nobody has tried, each for a trade-off of its own.

        Raises:
            ConfigError: so few points satisfy the constraints that none was drawn.
        """
        ended = [self._known[number] for number in sorted(self._known)]
        values = _comparable(np.array([self._vector(trial) for trial in ended]).reshape(-1, len(self._signs)))
        batch: list[RunningTrial] = []
        for number in range(self._issued + 1, self._issued + 1 + count):
            search = Bayes(self._space, self._seed, "minimize", self._parts)
            worth = scalarised(values, direction(self._seed, number, len(self._signs)))
            search.update([_valued(*pair) for pair in zip(ended, worth, strict=True)], [*self._running, *batch])
            found = search.suggest(1)
            if not found:
                break
            batch.append(RunningTrial(number, found[0]))
        return [trial.params for trial in batch]

    def _vector(self, trial: EndedTrial) -> Array:
        """Lower is better; all nan when one of them is missing."""
        told = [as_float(value) for value in trial.values]
        usable = trial.state in ("finished", "stopped") and len(told) == len(self._signs) and np.isfinite(told).all()
        return self._signs * told if usable else np.full(len(self._signs), math.nan)


def direction(seed: int, number: int, metrics: int) -> Array:
    """A direction with positive parts and length 1, evenly drawn for suggestion `number`."""
    source = random.Random(f"{seed}:{number}:direction")
    drawn = np.array([max(abs(source.gauss(0.0, 1.0)), 1e-6) for _ in range(metrics)])
    return drawn / float(np.linalg.norm(drawn))


def scalarised(values: Array, towards: Array) -> Array:
    """How far each trial falls short of the reference point, the origin, along the direction; lower is better.

    It is the length that the line from the origin, against the direction, has in what the trial dominates, with its
    sign turned: -min_i(-y_i / d_i). The k-th power of that length, in the mean over all directions, is the
    hypervolume that k metrics of the trials dominate, but for a constant. The power is left out, as it changes no
    order, and so is the cut at 0, so that trials beyond the reference still teach the model.

    Args:
        values: By trial and metric, shape (n, k); lower is better, nan for a trial without.
        towards: Of length 1, shape (k,).

    Returns:
        Shape (n,).
    """
    worth: Array = (values / towards).max(axis=1)
    return worth


def _comparable(values: Array) -> Array:
    """Each metric warped, with its best at -1.1 and its worst at -0.1, so that the reference point is the origin.

    The worst of all trials and not of the front: a front is narrow at first, and would keep the search to itself.
    """
    known = ~np.isnan(values).any(axis=1)
    if not known.any():
        return values
    moved = np.full_like(values, math.nan)
    warped = np.column_stack([warp(np.ascontiguousarray(column))[0] for column in values[known].T])
    widths = np.ptp(warped, axis=0)
    moved[known] = (warped - warped.max(axis=0)) / np.where(widths > 0, widths, 1.0) - _BEYOND
    return moved


def _valued(trial: EndedTrial, worth: float) -> EndedTrial:
    """The trial as one of a sweep with a single metric; it has failed when it lacks a value."""
    value = None if math.isnan(worth) else float(worth)
    return EndedTrial(trial.number, trial.params, trial.state, value)
