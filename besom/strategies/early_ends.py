"""What trials that were stopped early would have been worth, had they gone on.

Reads: values and learning curves.  Gives: values that can be compared.  Knows nothing of rules nor of points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from besom.strategies.cube import Array, Flags
from besom.strategies.strategy import EndedTrial, as_float

__all__ = ["carried_on", "final_values"]

_COMPARED = 300
"""So many of the latest trials are compared with."""


def carried_on(trials: Sequence[EndedTrial], goal: str, metric: int | None = None) -> list[EndedTrial]:
    """The trials, those that were stopped with the value that they would have come to.

    Args:
        trials: By number.
        goal: "minimize" or "maximize".
        metric: Of several, the one whose curve the trials have; None where there is one.
    """
    stopped = np.array([trial.state == "stopped" for trial in trials], dtype=bool)
    if not stopped.any():
        return list(trials)
    sign = -1.0 if goal == "maximize" else 1.0
    values = np.array([sign * value if math.isfinite(value := _told(trial, metric)) else math.inf for trial in trials])
    curves = [tuple(sign * as_float(one) for one in trial.curve) for trial in trials]
    pairs = zip(trials, (sign * final_values(values, curves, stopped)).tolist(), strict=True)
    return [_ending(trial, end, metric) if trial.state == "stopped" else trial for trial, end in pairs]


def _told(trial: EndedTrial, metric: int | None) -> float:
    """What it has come to; nan for one that says nothing."""
    if trial.state not in ("finished", "stopped"):
        return math.nan
    if metric is None:
        return as_float(trial.value)
    return as_float(trial.values[metric]) if trial.values else math.nan


def _ending(trial: EndedTrial, end: float, metric: int | None) -> EndedTrial:
    if not math.isfinite(end):
        return trial
    if metric is None:
        return replace(trial, value=end)
    return replace(trial, values=(*trial.values[:metric], end, *trial.values[metric + 1 :]))


@np.errstate(over="ignore", invalid="ignore")
def final_values(values: Array, curves: Sequence[Sequence[float]], stopped: Flags) -> Array:
    """The values, those of stopped trials carried on to the end.

    A stopped trial gains what the others gained, in the median, from its last iteration on: the finished ones, and
    the stopped ones that came further, whose ends were found in the same way before. It is never taken for better than
    the best that was seen. Where nobody came further, or it has no curve, its value stays.

    Args:
        values: By trial, shape `(n,)`; lower is better, infinite for a trial without.
        curves: What each has logged, lower is better; may be empty.
        stopped: Which trials did not come to their end, shape `(n,)`.

    Returns:
        Shape `(n,)`.
    """
    ends = np.array(values, dtype=np.float64)
    told = [index for index, curve in enumerate(curves) if len(curve) and np.isfinite(values[index])]
    if not stopped[told].any():
        return ends
    floor, latest = values.min(), set(told[-_COMPARED:])
    further: list[tuple[int, Array]] = []
    longest_first = sorted(told, key=lambda index: -len(curves[index]))
    for length, group in groupby(longest_first, key=lambda index: len(curves[index])):
        members = [(index, np.minimum.accumulate(curves[index])) for index in group]
        gain = np.median([ends[index] - best[length - 1] for index, best in further]) if further else 0.0
        for index, best in members:
            if stopped[index]:
                ends[index] = max(best[-1] + gain, floor) if further else values[index]
        further += [(index, best) for index, best in members if index in latest]
    return np.where(np.isfinite(ends), ends, values)  # differences of huge values may overflow
