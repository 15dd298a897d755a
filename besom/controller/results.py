"""What a strategy is told of a sweep's trials: one result for each point, values imputed as the metric says.

Pure: trials in, results out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from besom.controller.sweep_config import MetricConfig, SweepConfig
from besom.strategies import EndedTrial, Params, RunningTrial

__all__ = ["Results", "reaches"]

_USABLE = ("finished", "stopped")


class Results:
    """What a sweep's strategy is told: one result for each point whose trials are all over.

    Args:
        metric: Of the sweep; its `impute` and `impute_while_running` give values to trials that have none.
        repeats: Trials of each point.
    """

    def __init__(self, metric: MetricConfig | None, repeats: int) -> None:
        self._goal = metric.goal if metric else "minimize"
        self._impute = metric.impute if metric else "worst"
        self._while_running = metric.impute_while_running if metric else "false"
        self._repeats = repeats
        self._trials: dict[int, EndedTrial] = {}
        self._begun: dict[int, Params] = {}
        """Points of which some trials are over, but not all."""
        self._over: dict[int, EndedTrial] = {}
        """Points that are over."""
        self._best: float | None = None
        self._told: list[EndedTrial] = []

    def add(self, trial: EndedTrial) -> None:
        """It ended."""
        self._trials[trial.number] = trial
        point = self._point_of(trial.number)
        trials = self._trials_of(point)
        if len(trials) < self._repeats:
            self._begun[point] = trial.params
            return
        self._begun.pop(point, None)
        self._over[point] = trial if self._repeats == 1 else _mean(point, trials)
        self._told.append(self._imputed(self._over[point]))

    def remove(self, number: int) -> None:
        """It runs again; with that, what was told of its point is void."""
        self._trials.pop(number, None)
        point = self._point_of(number)
        self._over.pop(point, None)
        if left := self._trials_of(point):
            self._begun[point] = left[0].params
        else:
            self._begun.pop(point, None)

    def over(self) -> list[EndedTrial]:
        """The points that are over, in the order they came; of two results of one point the later counts.

        Those that run again are still among them. It is the same list as the last time when that has only grown at
        its end, so that a strategy need be told the rest of it alone.
        """
        best = self._ranked("best") if self._impute == "best" else None
        if best != self._best:
            self._best = best
            self._told = [self._imputed(point) for point in self._over.values()]
        return self._told

    def pending(self, running: Mapping[int, Params]) -> list[RunningTrial]:
        """The points that are not over, given the trials that are not."""
        points = dict(self._begun)
        for number, params in sorted(running.items(), reverse=True):
            points[self._point_of(number)] = params
        return [RunningTrial(point, points[point]) for point in sorted(points)]

    def guessed(
        self, pending: Iterable[RunningTrial], live: Mapping[int, tuple[float, ...]]
    ) -> tuple[list[EndedTrial], list[RunningTrial]]:
        """Of what is pending, the trials to which `impute_while_running` gives a value for now, and the others.

        Args:
            pending: Points that are not over, of one trial each.
            live: What running trials have logged of the metric so far, as far as there is something to give.
        """
        how, guesses, left = self._while_running, [], []
        ranked = self._ranked(how) if live and how in ("best", "worst") else None
        for trial in pending:
            curve = live.get(trial.number, ())
            value = (curve[-1] if how == "latest" else ranked) if curve else None
            if value is None:
                left.append(trial)
            else:
                guesses.append(EndedTrial(trial.number, trial.params, "finished", value, curve))
        return guesses, left

    def _imputed(self, point: EndedTrial) -> EndedTrial:
        # The worst is what bayes takes a failure for by itself, and it learns where trials fail besides.
        if self._impute == "worst" or point.state not in ("failed", "crashed"):
            return point
        value = self._best if self._impute == "best" else (point.curve[-1] if point.curve else None)
        return point if value is None else EndedTrial(point.number, point.params, "finished", value, point.curve)

    def _ranked(self, place: str) -> float | None:
        """The best or the worst value so far."""
        values = [value for point in self._over.values() if (value := _usable(point)) is not None]
        largest = (self._goal == "maximize") == (place == "best")
        return (max if largest else min)(values, default=None)

    def _trials_of(self, point: int) -> list[EndedTrial]:
        """Of a point, those that are over."""
        numbers = range((point - 1) * self._repeats + 1, point * self._repeats + 1)
        return [self._trials[number] for number in numbers if number in self._trials]

    def _point_of(self, number: int) -> int:
        return -(-number // self._repeats)


def _mean(point: int, ordered: Sequence[EndedTrial]) -> EndedTrial:
    if any(trial.values for trial in ordered):
        return _mean_vector(point, ordered)
    good = [trial for trial in ordered if _usable(trial) is not None]
    if not good:
        return EndedTrial(point, ordered[0].params, ordered[0].state)
    values = [trial.value for trial in good if trial.value is not None]
    state = "finished" if any(trial.state == "finished" for trial in good) else "stopped"
    spread = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    curve = good[0].curve if len(good) == 1 else ()
    return EndedTrial(point, ordered[0].params, state, statistics.fmean(values), curve, spread)


def _mean_vector(point: int, ordered: Sequence[EndedTrial]) -> EndedTrial:
    """As `_mean`, of a sweep with several metrics: of the trials that have all of them."""
    good = [trial for trial in ordered if trial.state in _USABLE and trial.values and None not in trial.values]
    if not good:
        return EndedTrial(point, ordered[0].params, ordered[0].state)
    state = "finished" if any(trial.state == "finished" for trial in good) else "stopped"
    columns = zip(*(trial.values for trial in good), strict=True)
    values = tuple(statistics.fmean(value for value in column if value is not None) for column in columns)
    return EndedTrial(point, ordered[0].params, state, values=values)


def reaches(config: SweepConfig, value: float | None) -> bool:
    """Whether a trial of this value ends the sweep."""
    metric = config.metric
    if metric is None or metric.target is None or value is None:
        return False
    return value >= metric.target if metric.goal == "maximize" else value <= metric.target


def _usable(trial: EndedTrial) -> float | None:
    """Its value, if it gave one."""
    return trial.value if trial.state in _USABLE and trial.value is not None and math.isfinite(trial.value) else None
