"""Several metrics at once: each suggestion looks along a direction of its own towards the best trade-offs.

Reads: trials with `values`, and goals.  Gives: for a direction, one value to minimise for each trial.
Source: Zhang and Golovin 2020, Random hypervolume scalarizations for provable multi-objective black box optimization.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from besom.strategies.bayes import Bayes
from besom.strategies.cube import Array
from besom.strategies.early_ends import carried_on
from besom.strategies.knowledge import Parts
from besom.strategies.output_warp import warp
from besom.strategies.repeats import stretched
from besom.strategies.space import Space
from besom.strategies.strategy import Counting, EndedTrial, Params, RunningTrial, as_float

__all__ = ["Aims", "Scalarised", "direction", "scalarised"]

_BEYOND = 0.1
"""How far beyond the worst values, in the distance from there to the best, the reference point lies."""
_NOTHING = 10.0
"""A value with such an error, in that distance, says nothing, and with a larger one no less."""


@dataclass(frozen=True)
class Aims:
    """What is wanted of several metrics."""

    goals: tuple[str, ...]
    """"minimize" or "maximize", for each."""
    thresholds: tuple[float | None, ...] = ()
    """For each the value beyond which a trial is of no use, where there is one."""
    judged: int | None = None
    """Which of them the trials' curves are of."""

    @property
    def signs(self) -> Array:
        """1 or -1 for each, so that lower is better."""
        return np.array([-1.0 if goal == "maximize" else 1.0 for goal in self.goals])

    @property
    def bounds(self) -> Array:
        """The thresholds, lower being better; nan for none."""
        told = self.thresholds or (None,) * len(self.goals)
        return self.signs * [math.nan if one is None else one for one in told]


class Scalarised(Counting):
    """Bayes for several metrics: suggestion n is made for what trials are worth along the direction number n.

    Args:
        space: What to search.
        seed: Source of all randomness.
        aims: What is wanted of the metrics.
        parts: What the search along one direction is made of.
    """

    def __init__(self, space: Space, seed: int, aims: Aims, parts: Parts) -> None:
        super().__init__()
        self._search = Bayes(space, seed, "minimize", parts)  # knows the points, and no values
        self._seed, self._aims = seed, aims
        self._signs = aims.signs
        self._known: dict[int, EndedTrial] = {}
        self._running: Sequence[RunningTrial] = ()

    def update(self, ended: Sequence[EndedTrial], running: Sequence[RunningTrial]) -> None:
        """Learn values of what ended, and points of what is pending."""
        super().update(ended, running)
        self._search.update(ended, running)
        self._known.update((trial.number, trial) for trial in ended)
        for trial in running:
            self._known.pop(trial.number, None)
        self._running = tuple(running)

    def suggest(self, count: int) -> list[Params]:
        """The most promising points that nobody has tried, each for a trade-off of its own.

        Raises:
            ConfigError: so few points satisfy the constraints that none was drawn.
        """
        ended = [self._known[number] for number in sorted(self._known)]
        values, errors = self._comparable(ended)
        batch: list[RunningTrial] = []
        for number in range(self._issued + 1, self._issued + 1 + count):
            towards = direction(self._seed, number, len(self._signs))
            worth, errs = scalarised(values, towards).tolist(), _errors_along(values, errors, towards).tolist()
            told = zip((trial.number for trial in ended), zip(worth, errs, strict=True), strict=True)
            search = self._search.revalued(dict(told))
            search.update((), [*self._running, *batch])
            found = search.suggest(1)
            if not found:
                break
            batch.append(RunningTrial(number, found[0]))
        return [trial.params for trial in batch]

    def _comparable(self, ended: Sequence[EndedTrial]) -> tuple[Array, Array]:
        """Values and their standard errors by trial and metric, in units that can be compared; lower is better."""
        judged, size = self._aims.judged, len(self._signs)
        if judged is not None:
            ended = carried_on(ended, self._aims.goals[judged], judged)
        values = _filled(np.array([self._vector(trial) for trial in ended]).reshape(-1, size))
        errors = np.array([trial.spreads or (math.nan,) * size for trial in ended]).reshape(-1, size)
        known = ~np.isnan(values).any(axis=1)
        errors[~known] = math.nan
        if known.any():
            moved = _moved(values[known], self._aims.bounds)
            columns = zip(errors[known].T, values[known].T, moved.T, strict=True)
            errors[known] = np.minimum(np.column_stack([stretched(*column) for column in columns]), _NOTHING)
            values[known] = moved
        return values, errors

    def _vector(self, trial: EndedTrial) -> Array:
        """Lower is better; all nan when one is missing, but of a stopped trial those that a rule did not judge."""
        told = np.array([as_float(value) for value in trial.values])
        nothing, judged = np.full(len(self._signs), math.nan), self._aims.judged
        if trial.state not in ("finished", "stopped") or len(told) != len(self._signs):
            return nothing
        finite = np.isfinite(told)
        cut = trial.state == "stopped" and judged is not None and finite[judged]
        return np.where(finite, self._signs * told, math.nan) if finite.all() or cut else nothing


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


def _filled(values: Array) -> Array:
    """Values that a stopped trial had no time to log are taken for the median of those that are known."""
    partial, whole = np.isnan(values).any(axis=1), ~np.isnan(values).any(axis=1)
    partial &= ~np.isnan(values).all(axis=1)
    if partial.any() and whole.any():
        medians = np.quantile(values[whole], 0.5, axis=0, method="lower")  # one of them: their mean might overflow
        values[partial] = np.where(np.isnan(values[partial]), medians, values[partial])
    return values


def _moved(values: Array, bounds: Array) -> Array:
    """Each metric warped, with its best at -1.1 and its worst at -0.1, so that the reference point is the origin.

    The worst of all trials and not of the front: a front is narrow at first, and would keep the search to itself. A
    metric with a threshold has that at the origin instead.
    """
    columns = [
        _moved_column(np.ascontiguousarray(column), bound) for column, bound in zip(values.T, bounds, strict=True)
    ]
    return np.column_stack(columns)


def _moved_column(values: Array, bound: float) -> Array:
    warped = warp(values)[0]
    width, worst = float(np.ptp(warped)) or 1.0, float(warped.max())
    origin = worst + _BEYOND * width
    if bound < values.max():
        before, places = np.unique(values, return_index=True)
        origin = float(np.interp(bound, before, warped[places]))
    moved: Array = (warped - origin) / width
    return moved


def _errors_along(values: Array, errors: Array, towards: Array) -> Array:
    """The standard error of what each trial is worth: of the metric that decides it. Shape (n,)."""
    decides = (values / towards).argmax(axis=1)
    found: Array = errors[np.arange(len(values)), decides] / towards[decides]
    return found
