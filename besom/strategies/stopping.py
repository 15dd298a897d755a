"""Stopping rules: which running trials are not worth going on with, judged by their curves alone.

Reads: the metric's valid values of every trial so far.  Gives: the numbers of trials to stop.
Knows nothing of steps, clocks and agents; the n-th value is the n-th iteration.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Protocol

__all__ = ["Asha", "Curve", "Hyperband", "Median", "StoppingRule", "bands_down", "bands_up"]

_MOST_BANDS: Final = 100
_MOST_DIVISIONS: Final = 1000
_LONGEST: Final = 2**53


@dataclass(frozen=True, slots=True)
class Curve:
    """What one trial has logged of the metric."""

    number: int
    values: tuple[float, ...]
    """Finite, in order; lower is better."""
    running: bool
    """Whether it can still be stopped."""


class StoppingRule(Protocol):
    """When to give up on a trial."""

    def decide(self, history: Sequence[Curve]) -> tuple[int, ...]:
        """The running trials that should stop now, given all trials of the sweep."""
        ...


def bands_down(max_iter: int, s: int, eta: float) -> tuple[int, ...]:
    """`max_iter` divided by `eta` up to `s` times, rounded down, lowest first; what would be below 1 is left out."""
    bands: list[int] = []
    band = float(max_iter)
    while len(bands) < min(s, _MOST_DIVISIONS) and (band := band / eta) >= 1:
        bands.append(int(band))
    return tuple(sorted(bands))


def bands_up(min_iter: int, eta: float, max_iter: int | None = None) -> tuple[int, ...]:
    """`min_iter` times `eta`, again and again, rounded down; below `max_iter`, or as far as anybody would count."""
    bands: list[int] = []
    band = float(min_iter)
    while len(bands) < _MOST_BANDS and band < (max_iter or _LONGEST):
        bands.append(int(band))
        band *= eta
    return tuple(bands)


@dataclass(frozen=True)
class Hyperband:
    """Stops a trial that is not among the best 1 / `eta` of those that came as far as the highest band it has reached.

    Args:
        bands: Iterations, lowest first.
        eta: Above 1.
        strict: Whether the value at the band counts, rather than the best value so far.

    The rule of W&B's engine: as other trials reach a band, what was good enough there may no longer be. A tie stays,
    and so does a trial that is alone at its band.
    Source: Li et al. 2016, arXiv 1603.06560; the bands and the test follow wandb/sweeps.
    """

    bands: tuple[int, ...]
    eta: float
    strict: bool = True

    def decide(self, history: Sequence[Curve]) -> tuple[int, ...]:
        """Running trials that are worse than the threshold of their highest band."""
        lengths = [len(curve.values) for curve in history if curve.running]
        reached = {band for length in lengths if (band := _highest(self.bands, length))}
        thresholds = {band: self.threshold(history, band) for band in reached}
        return tuple(
            curve.number
            for curve in history
            if curve.running
            and (band := _highest(self.bands, len(curve.values)))
            and (curve.values[band - 1] if self.strict else min(curve.values)) > thresholds[band]
        )

    def threshold(self, history: Iterable[Curve], band: int) -> float:
        """The worst value with which a trial goes on past `band`; infinite while none has come so far."""
        values = sorted(curve.values[band - 1] for curve in history if len(curve.values) >= band)
        return values[int(1.0 / self.eta * len(values))] if values else math.inf


class Asha:
    """Asynchronous successive halving: at each rung a trial goes on if among the best 1 / `eta` seen there so far.

    It is judged once, when it reaches the rung; who went on is not stopped for what others do there later. The first
    at a rung goes on. This is remembered, not computed: a fresh rule, as after a restart, judges each running trial
    once more, at the highest rung that it has reached.

    Args:
        rungs: Iterations, lowest first.
        eta: Above 1.

    Source: Li et al. 2018, arXiv 1810.05934, the variant that stops instead of pausing.
    """

    def __init__(self, rungs: tuple[int, ...], eta: float) -> None:
        self.rungs = rungs
        self.eta = eta
        self._at: dict[int, dict[int, float]] = {rung: {} for rung in rungs}
        """Rung to the trials that were seen there, and what they had."""
        self._stopped: set[int] = set()

    def decide(self, history: Sequence[Curve]) -> tuple[int, ...]:
        """Running trials that failed at the highest rung which they had reached when first seen there."""
        for rung, seen in self._at.items():
            come = [one for one in history if len(one.values) >= rung and one.number not in seen]
            # Together they are judged by all that have come, in whatever order they are given.
            seen.update((one.number, one.values[rung - 1]) for one in come)
            ranked = sorted(seen.values())
            limit = ranked[max(int(len(ranked) / self.eta), 1) - 1] if ranked else math.inf
            judged = [one for one in come if one.running and _highest(self.rungs, len(one.values)) == rung]
            self._stopped.update(one.number for one in judged if one.values[rung - 1] > limit)
        return tuple(one.number for one in history if one.running and one.number in self._stopped)


@dataclass(frozen=True)
class Median:
    """Stops a trial whose best value so far is worse than the median of what the others averaged up to there.

    Args:
        min_iter: Values that a trial may log before it is judged.
        min_trials: Others that must have come as far.

    Source: Golovin et al. 2017, Google Vizier, section 3.2.2.
    """

    min_iter: int = 1
    min_trials: int = 5

    def decide(self, history: Sequence[Curve]) -> tuple[int, ...]:
        """Running trials that are worse than the median at their last iteration."""
        averages = {curve.number: _running_means(curve.values) for curve in history}
        return tuple(curve.number for curve in history if curve.running and self._gives_up(curve, averages))

    def _gives_up(self, curve: Curve, averages: dict[int, list[float]]) -> bool:
        count = len(curve.values)
        if count < self.min_iter or not count:
            return False
        others = [
            means[count - 1] for other, means in averages.items() if other != curve.number and len(means) >= count
        ]
        return len(others) >= self.min_trials and min(curve.values) > statistics.median(others)


def _running_means(values: Sequence[float]) -> list[float]:
    return [total / count for count, total in enumerate(accumulate(values), start=1)]


def _highest(bands: Sequence[int], length: int) -> int:
    """The highest band that a curve of this length has reached; 0 for none."""
    return max((band for band in bands if 1 <= band <= length), default=0)
