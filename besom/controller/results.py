"""What a strategy is told of a sweep's trials: one result for each point, values imputed as the metric says.

Pure: trials in, results out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from besom.controller.sweep_config import Goal, SweepConfig
from besom.strategies import EndedTrial, Params, RunningTrial
from besom.strategies.early_ends import carried_on
from besom.strategies.strategy import as_float
from besom.tracking.store.means import mean, standard_error

__all__ = ["Results", "reaches"]

_USABLE = ("finished", "stopped")


class Results:
    """What a sweep's strategy is told: one result for each point whose trials are all over.

    A point's value is the mean of those that have one, with the standard error of that mean. A trial that was stopped
    counts in it as what it would have come to, since a mean of ends and of beginnings is neither. Failed points get a
    value as the metric's `impute` says, trials that run as `impute_while_running` does.
    """

    def __init__(self, config: SweepConfig) -> None:
        metric = config.metric
        self._config, self._repeats = config, config.repeats
        self._impute, self._while_running = (
            (metric.impute, metric.impute_while_running) if metric else ("worst", "false")
        )
        self._trials: dict[int, EndedTrial] = {}
        self._stopped: set[int] = set()
        """Of these, those whose part in a mean depends on what all others came to."""
        self._begun: dict[int, Params] = {}
        """Points of which some trials are over, but not all."""
        self._over: dict[int, EndedTrial] = {}
        """Points that are over."""
        self._best: float | None = None
        self._told: list[EndedTrial] = []
        self._anew = False
        """Whether more of `_over` has changed than was added to it."""

    def add(self, trial: EndedTrial) -> None:
        """It ended."""
        self._trials[trial.number] = trial
        if self._repeats > 1 and trial.state == "stopped" and self._config.judged:
            self._stopped.add(trial.number)
        self._anew = self._anew or bool(self._stopped)
        point = self._point_of(trial.number)
        result = self.result(point)
        if result is None:
            self._begun[point] = trial.params
        else:
            self._begun.pop(point, None)
            self._over[point] = result
            self._told.append(self._imputed(result))

    def remove(self, number: int) -> None:
        """It runs again; with that, what was told of its point is void."""
        self._trials.pop(number, None)
        self._anew = self._anew or bool(self._stopped)
        self._stopped.discard(number)
        point = self._point_of(number)
        self._over.pop(point, None)
        self._begun.pop(point, None)
        if left := self._trials_of(point):
            self._begun[point] = left[0].params

    def result(self, point: int) -> EndedTrial | None:
        """The point's trials as one, each with what it gave itself; None until all are over."""
        trials = self._trials_of(point)
        if len(trials) < self._repeats:
            return None
        return trials[0] if self._repeats == 1 else _mean_of(point, trials)

    def whole(self) -> list[EndedTrial]:
        """The results of the points that are over, each with what its trials gave themselves."""
        return [result for point in self._over if (result := self.result(point)) is not None]

    def over(self) -> list[EndedTrial]:
        """The points that are over; of two results of one point the later counts.

        Those that run again are still among them. It is the same list as the last time when that has only grown at
        its end, so that a strategy need be told the rest of it alone.
        """
        if self._anew:
            self._carry_on()
        best = self._ranked("best") if self._impute == "best" else None
        if self._anew or best != self._best:
            self._best = best
            self._told = [self._imputed(point) for point in self._over.values()]
        self._anew = False
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

    def _carry_on(self) -> None:
        judged, trials = self._config.judged, [self._trials[number] for number in sorted(self._trials)]
        assert judged is not None
        groups: dict[int, list[EndedTrial]] = defaultdict(list)
        for trial in carried_on(trials, judged.goal, self._config.judged_index):
            groups[self._point_of(trial.number)].append(trial)
        self._over = {point: _mean_of(point, some) for point, some in groups.items() if point in self._over}

    def _imputed(self, point: EndedTrial) -> EndedTrial:
        # The worst is what bayes takes a failure for by itself, and it learns where trials fail besides.
        if self._impute == "worst" or point.state not in ("failed", "crashed"):
            return point
        value = self._best if self._impute == "best" else (point.curve[-1] if point.curve else None)
        return point if value is None else EndedTrial(point.number, point.params, "finished", value, point.curve)

    def _ranked(self, place: str) -> float | None:
        """The best or the worst value so far."""
        values = [value for point in self._over.values() if (value := _usable(point)) is not None]
        largest = (self._config.metric is not None and self._config.metric.goal == "maximize") == (place == "best")
        return (max if largest else min)(values, default=None)

    def _trials_of(self, point: int) -> list[EndedTrial]:
        """Of a point, those that are over."""
        numbers = range((point - 1) * self._repeats + 1, point * self._repeats + 1)
        return [self._trials[number] for number in numbers if number in self._trials]

    def _point_of(self, number: int) -> int:
        return -(-number // self._repeats)


def _mean_of(point: int, trials: Sequence[EndedTrial]) -> EndedTrial:
    """The trials of one point as one, numbered `point`."""
    params = trials[0].params
    if any(trial.values for trial in trials):
        return _mean_vector(point, trials)
    values = [value for trial in trials if (value := _usable(trial)) is not None]
    if not values:
        return EndedTrial(point, params, trials[0].state)
    return EndedTrial(point, params, "finished", mean(values), spread=standard_error(values), trials=len(values))


def _mean_vector(point: int, trials: Sequence[EndedTrial]) -> EndedTrial:
    """As `_mean_of`, of a sweep with several metrics: of the trials that have all of them."""
    params = trials[0].params
    usable = [trial.values for trial in trials if trial.state in _USABLE and trial.values]
    whole = [[value for value in values if value is not None and math.isfinite(value)] for values in usable]
    columns = list(
        zip(*(row for row, values in zip(whole, usable, strict=True) if len(row) == len(values)), strict=True)
    )
    if not columns:
        cut = next((trial for trial in trials if trial.state == "stopped" and trial.values), None)
        return replace(cut, number=point) if cut else EndedTrial(point, params, trials[0].state)
    errors = [error for column in columns if (error := standard_error(column)) is not None]
    values = tuple(mean(column) for column in columns)
    return EndedTrial(point, params, "finished", values=values, spreads=tuple(errors), trials=len(columns[0]))


def reaches(config: SweepConfig, value: float | None, values: Sequence[float | None] = ()) -> bool:
    """Whether a trial of this value, or of these of several metrics, ends the sweep: all targets are reached."""
    pairs = [(config.metric, value)] if config.metric else [*zip(config.metrics or (), values, strict=False)]
    asked = [(metric, told) for metric, told in pairs if metric.target is not None]
    return bool(asked) and all(_reached(metric, told) for metric, told in asked)


def _reached(metric: Goal, value: float | None) -> bool:
    if value is None or metric.target is None:
        return False
    return value >= metric.target if metric.goal == "maximize" else value <= metric.target


def _usable(trial: EndedTrial) -> float | None:
    """Its value, if it gave one."""
    return trial.value if trial.state in _USABLE and math.isfinite(as_float(trial.value)) else None
