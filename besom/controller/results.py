"""What a strategy is told of a sweep's trials: one result for each point, values imputed as the metric says.

Pure: trials in, results out, the same in whatever order trials have ended.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from besom.controller.sweep_config import MetricConfig, SweepConfig
from besom.strategies import EndedTrial, Params, RunningTrial

__all__ = ["by_point", "imputed", "reaches"]

_USABLE = ("finished", "stopped")


def by_point(
    ended: Iterable[EndedTrial], running: Mapping[int, Params], issued: int, repeats: int
) -> tuple[list[EndedTrial], list[RunningTrial]]:
    """The trials of each point as one: it has ended when all of them are issued and over.

    Its value is the mean of those that have one, with the standard error of that mean.
    """
    if repeats == 1:
        return list(ended), [RunningTrial(number, params) for number, params in sorted(running.items())]
    groups: dict[int, list[EndedTrial]] = defaultdict(list)
    for trial in ended:
        groups[-(-trial.number // repeats)].append(trial)
    pending: dict[int, Params] = {}
    for number, params in sorted(running.items()):
        pending.setdefault(-(-number // repeats), params)
    last = -(-issued // repeats)
    if issued % repeats and last in groups:  # its other trials are still to come
        pending.setdefault(last, groups[last][0].params)
    over = [_mean(point, trials) for point, trials in sorted(groups.items()) if point not in pending]
    return over, [RunningTrial(point, params) for point, params in sorted(pending.items())]


def _mean(point: int, trials: Sequence[EndedTrial]) -> EndedTrial:
    ordered = sorted(trials, key=lambda trial: trial.number)
    if any(trial.values for trial in ordered):
        return _mean_vector(point, ordered)
    good = [trial for trial in ordered if trial.state in _USABLE and _is_value(trial.value)]
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


def reaches(config: SweepConfig, value: float | None) -> bool:
    """Whether a trial of this value ends the sweep."""
    metric = config.metric
    if metric is None or metric.target is None or value is None:
        return False
    return value >= metric.target if metric.goal == "maximize" else value <= metric.target


def _is_value(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
