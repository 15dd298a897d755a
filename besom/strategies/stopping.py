"""Stopping rules: which running trials are not worth going on with, and which that were stopped are after all.

Reads: the metric's valid values of every trial so far, and how far each was let go on.  Gives: a verdict.
Pure: what was decided before is told, not remembered. Knows nothing of steps, clocks and agents; the n-th value is the
n-th iteration.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Protocol

__all__ = ["Asha", "Curve", "Hyperband", "Median", "StoppingRule", "Verdict", "bands_down", "bands_up"]

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
    passed: int = 0
    """The iteration up to which it was judged good enough to go on."""
    held: bool = False
    """Whether it ended because a rule stopped it, and can be promoted."""
    lost: bool = False
    """Whether it ended without a result: it failed, crashed or was cancelled."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule decides now; each trial's number with the iteration at which it was judged."""

    stops: dict[int, int] = field(default_factory=dict)
    """Running trials that should end."""
    passes: dict[int, int] = field(default_factory=dict)
    """Running trials that go on, and need not be judged there again."""
    promotions: dict[int, int] = field(default_factory=dict)
    """Held trials that should go on after all, the most urgent first."""


class StoppingRule(Protocol):
    """When to give up on a trial."""

    def decide(self, history: Sequence[Curve], *, left: int | None = None) -> Verdict:
        """What to do now.

        Args:
            history: All trials of the sweep that have logged something.
            left: How many trials have not ended, if no others will be issued.
        """
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

    def decide(self, history: Sequence[Curve], *, left: int | None = None) -> Verdict:
        """Stops running trials that are worse than the threshold of their highest band."""
        lengths = [len(curve.values) for curve in history if curve.running]
        reached = {band for length in lengths if (band := _highest(self.bands, length))}
        thresholds = {band: self.threshold(history, band) for band in reached}
        return Verdict({
            curve.number: band
            for curve in history
            if curve.running
            and (band := _highest(self.bands, len(curve.values)))
            and (curve.values[band - 1] if self.strict else min(curve.values)) > thresholds[band]
        })  # fmt: skip

    def threshold(self, history: Iterable[Curve], band: int) -> float:
        """The worst value with which a trial goes on past `band`; infinite while none has come so far."""
        values = sorted(curve.values[band - 1] for curve in history if len(curve.values) >= band)
        return values[int(1.0 / self.eta * len(values))] if values else math.inf


@dataclass(frozen=True)
class Asha:
    """Asynchronous successive halving: the best 1 / `eta` of those that came to a rung go on from there.

    A trial is judged at the highest rung that it has reached, once. One that is not among the best when it comes is
    stopped; when later ones make it one of the best, it is promoted: it goes on after all. Who went on is not stopped
    for what others do there later; one that failed leaves its place to the next. When nobody else can come any more,
    the best at a rung goes on even if fewer than `eta` came there, so that some trial comes to its end. Of equals, the
    earlier is the better.

    Args:
        rungs: Iterations, lowest first.
        eta: Above 1.
        promote: Whether trials that were stopped are promoted. Without, the first at a rung goes on, since nothing
            could make up for its being early.

    Source: Li et al. 2018, arXiv 1810.05934, algorithm 2; without `promote`, the variant that stops instead of pausing.
    """

    rungs: tuple[int, ...]
    eta: float
    promote: bool = True

    def decide(self, history: Sequence[Curve], *, left: int | None = None) -> Verdict:
        """Judges running and held trials that stand at a rung which they have not passed, the highest rung first."""
        verdict = Verdict()
        for rung, standing in self._standing(history):
            running = [number for number, curve in standing.items() if curve.running]
            nobody_comes = left == (1 if running else 0)
            best = self._best(history, rung, least=1 if nobody_comes or not self.promote else 0)
            verdict.promotions.update({number: rung for number in best if number in standing and standing[number].held})
            verdict.passes.update({number: rung for number in running if number in best})
            verdict.stops.update({number: rung for number in running if number not in best})
        return verdict

    def _standing(self, history: Iterable[Curve]) -> list[tuple[int, dict[int, Curve]]]:
        """The rungs at which trials are to be judged, highest first, and these trials by number."""
        found: dict[int, dict[int, Curve]] = {}
        for curve in history:
            if curve.running or (self.promote and curve.held):
                rung = _highest(self.rungs, len(curve.values))
                if rung > curve.passed:
                    found.setdefault(rung, {})[curve.number] = curve
        return sorted(found.items(), reverse=True)

    def _best(self, history: Iterable[Curve], rung: int, least: int) -> dict[int, None]:
        """Numbers of the best 1 / `eta` of the trials that came to a rung, `least` of them at least, best first."""
        there = [curve for curve in history if max(len(curve.values), curve.passed) >= rung]
        count = max(int(len(there) / self.eta), least)
        ranked = sorted(there, key=lambda curve: _rank(curve, rung))
        return dict.fromkeys(curve.number for curve in ranked[:count])


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

    def decide(self, history: Sequence[Curve], *, left: int | None = None) -> Verdict:
        """Stops running trials that are worse than the median at their last iteration."""
        averages = {curve.number: _running_means(curve.values) for curve in history}
        given_up = [curve for curve in history if curve.running and self._gives_up(curve, averages)]
        return Verdict({curve.number: len(curve.values) for curve in given_up})

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


def _rank(curve: Curve, rung: int) -> tuple[bool, float, bool, int]:
    """What orders trials at a rung, the best first and those last of which nothing comes.

    One that has passed the rung and begins anew has no value there for a while, and keeps its place.
    """
    value = curve.values[rung - 1] if len(curve.values) >= rung else -math.inf
    return curve.lost, value, curve.passed < rung, curve.number
