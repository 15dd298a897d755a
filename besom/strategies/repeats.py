"""How exact the values of points are that were tried several times.

Reads: standard errors, as a sweep with `repeats` finds them.  Gives: a variance for each value, which is as good as the
few trials of one point and what all points say together allow.  Knows nothing of models.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, polygamma

from besom.strategies.cube import Array, Positions

__all__ = ["Repeats", "moderated", "stretched"]

_CAUTION = 2.0
"""Standard errors that a value may be worse than it looks."""

_LEAST = 1e-5
"""Variances below this share of their median are taken for it: two equal accuracies are no proof of none."""
_MOST = 10.0
"""The greatest standard error of a value among values with deviation 1; so noisy a value says nothing."""


class Repeats(NamedTuple):
    """Of each value that is a mean."""

    spreads: Array
    """Standard errors, shape (n,); nan where one trial alone gave the value."""
    trials: Array
    """How many gave it, shape (n,)."""

    def at(self, positions: Positions) -> Repeats:
        """Those of some values."""
        return Repeats(self.spreads[positions], self.trials[positions])

    def noise(self, values: Array, warped: Array) -> Array:
        """The variance of each value after a warp took `values` to `warped`; 0 where there is nothing to learn from."""
        known = np.isfinite(self.spreads) & (self.trials > 1)
        if not known.any():
            return np.zeros(len(values))
        errors = np.minimum(stretched(np.where(known, self.spreads, 0.0), values, warped), _MOST)
        single = np.where(known, errors * errors * self.trials, math.nan)
        return moderated(single, self.trials - 1) / self.trials

    def cautious(self, values: Array) -> Array:
        """What each value, lower being better, is almost surely not worse than: two standard errors above it."""
        bounds: Array = values + _CAUTION * np.sqrt(self.noise(values, values))
        return bounds


def stretched(errors: Array, values: Array, warped: Array) -> Array:
    """Small errors of the values, as they are after a rising warp took `values` to `warped`.

    Each is multiplied by the slope from one error below the value to one above, as far as values reach: where the warp
    is a logarithm, an error as large as the value has no tangent that says anything.
    """
    before, places = np.unique(values, return_index=True)
    after = warped[places]
    with np.errstate(over="ignore", invalid="ignore"):
        low, high = np.maximum(values - errors, before[0]), np.minimum(values + errors, before[-1])
        width, rise = high - low, np.interp(high, before, after) - np.interp(low, before, after)
        slopes = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
        found: Array = errors * slopes
    return found


def moderated(variances: Array, freedom: Array) -> Array:
    """Variances of which each rests on a few trials, drawn towards what all of them say.

    They are taken for draws around true variances, whose law is a scaled inverse chi squared, with as many degrees of
    freedom as make the scatter of the logarithms what it is. The more alike they are, the more they count as one.

    Args:
        variances: Shape (n,); nan for one that is not known.
        freedom: Degrees of freedom of each, shape (n,): trials less one.

    Returns:
        Shape (n,).

    Source: Smyth 2004, Linear models and empirical Bayes methods, section 6.2.
    """
    known = np.isfinite(variances) & (freedom > 0)
    least = _LEAST * float(np.median(variances[known])) if known.any() else 0.0
    if least == 0.0:
        return np.where(known, variances, 0.0)
    scale, weight = _common(np.maximum(variances[known], least), freedom[known])
    own, free = np.where(known, np.maximum(variances, least), 0.0), np.where(known, freedom, 0)
    share = 1.0 if math.isinf(weight) else weight / (weight + free)
    drawn: Array = share * scale + (1.0 - share) * own
    return drawn


def _common(variances: Array, freedom: Array) -> tuple[float, float]:
    """The variance that they have in common, and how many degrees of freedom it weighs, which may be infinite."""
    logs = np.log(variances) - digamma(freedom / 2) + np.log(freedom / 2)
    scatter = float(logs.var(ddof=1) - polygamma(1, freedom / 2).mean()) if len(logs) > 1 else 0.0
    if scatter <= 0:
        return float(np.exp(logs.mean())), math.inf
    half = _inverse_trigamma(scatter)
    return float(np.exp(logs.mean() + digamma(half) - np.log(half))), 2 * half


def _inverse_trigamma(value: float) -> float:
    """By Newton's method, as the source's appendix has it."""
    at = 0.5 + 1.0 / value
    for _ in range(8):
        found = float(polygamma(1, at))
        at += found * (1.0 - found / value) / float(polygamma(2, at))
    return at
