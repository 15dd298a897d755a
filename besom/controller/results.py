"""What a strategy is told of a sweep's trials: one result for each point, values imputed as the metric says.

Pure: trials in, results out, the same in whatever order trials have ended.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from besom.controller.sweep_config import Goal, MetricConfig, SweepConfig
from besom.strategies import EndedTrial, Params, RunningTrial
from besom.strategies.early_ends import carried_on
from besom.tracking.means import mean, standard_error

__all__ = ["by_point", "imputed", "mean_of", "reaches"]

_USABLE = ("finished", "stopped")


def by_point(
    ended: Iterable[EndedTrial], running: Mapping[int, Params], issued: int, config: SweepConfig
) -> tuple[list[EndedTrial], list[RunningTrial]]:
    """The trials of each point as one: it has ended when all of them are issued and over.

    Its value is the mean of those that have one, with the standard error of that mean. A trial that was stopped counts
    as what it would have come to, since a mean of ends and of beginnings is neither.
    """
    repeats = config.repeats
    if repeats == 1:
        return list(ended), [RunningTrial(number, params) for number, params in sorted(running.items())]
    groups: dict[int, list[EndedTrial]] = defaultdict(list)
    ordered = sorted(ended, key=lambda trial: trial.number)
    for trial in carried_on(ordered, config.judged.goal, config.judged_index) if config.judged else ordered:
        groups[-(-trial.number // repeats)].append(trial)
    pending: dict[int, Params] = {}
    for number, params in sorted(running.items()):
        pending.setdefault(-(-number // repeats), params)
    last = -(-issued // repeats)
    if issued % repeats and last in groups:  # its other trials are still to come
        pending.setdefault(last, groups[last][0].params)
    over = [mean_of(point, trials) for point, trials in sorted(groups.items()) if point not in pending]
    return over, [RunningTrial(point, params) for point, params in sorted(pending.items())]


def mean_of(point: int, trials: Sequence[EndedTrial]) -> EndedTrial:
    """The trials of one point as one, numbered `point`."""
    params = trials[0].params
    if any(trial.values for trial in trials):
        return _mean_vector(point, trials)
    values = [trial.value for trial in trials if trial.state in _USABLE and trial.value is not None]
    values = [value for value in values if math.isfinite(value)]
    if not values:
        return EndedTrial(point, params, trials[0].state)
    return EndedTrial(point, params, "finished", mean(values), spread=standard_error(values), trials=len(values))


def _mean_vector(point: int, trials: Sequence[EndedTrial]) -> EndedTrial:
    """As `mean_of`, of a sweep with several metrics: of the trials that have all of them."""
    params = trials[0].params
    usable = [trial.values for trial in trials if trial.state in _USABLE and trial.values]
    whole = [[value for value in values if value is not None and math.isfinite(value)] for values in usable]
    columns = list(
        zip(*(row for row, values in zip(whole, usable, strict=True) if len(row) == len(values)), strict=True)
    )
    if not columns:
        return EndedTrial(point, params, trials[0].state)
    errors = [error for column in columns if (error := standard_error(column)) is not None]
    values = tuple(mean(column) for column in columns)
    return EndedTrial(point, params, "finished", values=values, spreads=tuple(errors), trials=len(columns[0]))


def imputed(
    metric: MetricConfig | None,
    ended: Sequence[EndedTrial],
    running: Sequence[RunningTrial],
    live: Mapping[int, tuple[float, ...]],
) -> tuple[list[EndedTrial], list[RunningTrial]]:
    """Failed and running trials with the values that `impute` and `impute_while_running` give them.

    Args:
        metric: Of the sweep.
        ended: All that have.
        running: All that have not.
        live: What running trials have logged of the metric so far.
    """
    if metric is None:
        return list(ended), list(running)
    values = [trial.value for trial in ended if trial.state in _USABLE and _is_value(trial.value)]
    sign = -1.0 if metric.goal == "maximize" else 1.0
    ranked = sorted((value for value in values if value is not None), key=lambda value: sign * value)

    def guess(how: str, curve: Sequence[float]) -> float | None:
        if how == "latest":
            return curve[-1] if curve else None
        return (ranked[0] if how == "best" else ranked[-1]) if ranked else None

    over: list[EndedTrial] = []
    for trial in ended:
        # The worst is what bayes takes a failure for by itself, and it learns where trials fail besides.
        wanted = metric.impute != "worst" and trial.state in ("failed", "crashed")
        value = guess(metric.impute, trial.curve) if wanted else None
        over.append(trial if value is None else EndedTrial(trial.number, trial.params, "finished", value, trial.curve))
    left: list[RunningTrial] = []
    for going in running:
        how, curve = metric.impute_while_running, live.get(going.number, ())
        value = guess(how, curve) if how != "false" and curve else None
        if value is None:
            left.append(going)
        else:
            over.append(EndedTrial(going.number, going.params, "finished", value, curve))
    return over, left


def reaches(config: SweepConfig, value: float | None, values: Sequence[float | None] = ()) -> bool:
    """Whether a trial of this value, or of these of several metrics, ends the sweep: all targets are reached."""
    pairs = [(config.metric, value)] if config.metric else [*zip(config.metrics or (), values, strict=False)]
    asked = [(metric, told) for metric, told in pairs if metric.target is not None]
    return bool(asked) and all(_reached(metric, told) for metric, told in asked)


def _reached(metric: Goal, value: float | None) -> bool:
    if value is None or metric.target is None:
        return False
    return value >= metric.target if metric.goal == "maximize" else value <= metric.target


def _is_value(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
