"""Values made fit for a Gaussian process: order kept, outliers tamed, about normal.

Losses are skewed, and may span twenty orders of magnitude; a process fitted to them as they are sees one diverged
trial and nothing else.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from besom.strategies.cube import Array

__all__ = ["standardised", "warp", "yeo_johnson", "yeo_johnson_power"]

_FEW = 8
"""Fewer values say too little of their law to bend them after it."""
_FIRST = 10
_FOLDED = 0.01
"""Where the best quarter is so much nearer to the best than the median is, values span orders of magnitude, and are
taken by their logarithm."""
_POWERS = np.linspace(-4.0, 4.0, 17)
_BAD = 2.0
"""Times the distance from best to median; what is worse counts by its logarithm."""


def warp(values: Array) -> tuple[Array, float]:
    """Lower is better before and after; mean 0 and deviation 1, or zeros when all are equal.

    The best becomes 0 and the median 1, the far tail is drawn in logarithmically, and Yeo and Johnson's power of
    greatest likelihood makes the rest about normal. Also gives how far it is, after the warp, from the best to the
    median of the first ten values: the scale of the whole space, when later values crowd around the best.
    """
    return _warp(values.tobytes())


@lru_cache(maxsize=256)
def _warp(observed: bytes) -> tuple[Array, float]:
    values = np.frombuffer(observed)
    scaled = _scaled(values)
    tame = np.where(scaled > _BAD, _BAD + np.log1p(np.maximum(scaled - _BAD, 0.0)), scaled)
    if len(values) >= _FEW and np.ptp(tame) > 0:
        tame = yeo_johnson(tame, yeo_johnson_power(tame))
    reference = max(float(np.median(scaled[:_FIRST])), 0.0)
    deviation = float(tame.std())
    return standardised(tame), reference / deviation if deviation > 1e-12 else 0.0


def standardised(values: Array) -> Array:
    """Mean 0 and deviation 1; zeros when all are equal."""
    deviation = float(values.std())
    centred: Array = (values - values.mean()) / deviation if deviation > 1e-12 else np.zeros_like(values)
    return centred


def yeo_johnson(values: Array, power: float) -> Array:
    """The transform of values from 0 on; power 1 leaves them, 0 is log(1 + value).

    Source: Yeo and Johnson 2000.
    """
    bent: Array = _bent(np.log1p(values), np.array([power]))[0]
    return bent


def yeo_johnson_power(values: Array) -> float:
    """The power of greatest normal likelihood for values from 0 on, between -4 and 4, to about 0.01."""
    logs = np.log1p(values)
    powers, step = _POWERS, _POWERS[1] - _POWERS[0]
    for _ in range(2):
        best = powers[int(np.argmax(_likelihoods(logs, powers)))]
        powers, step = np.linspace(best - step, best + step, 17), step / 8
    return float(powers[int(np.argmax(_likelihoods(logs, powers)))])


def _bent(logs: Array, powers: Array) -> Array:
    """The transform with each of the powers, shape (powers, values); `logs` are those of 1 + value."""
    straight = np.where(np.abs(powers) < 1e-9, 1.0, powers)[:, None]
    bent: Array = np.where(np.abs(powers[:, None]) < 1e-9, logs, np.expm1(straight * logs) / straight)
    return bent


def _likelihoods(logs: Array, powers: Array) -> Array:
    variances = np.maximum(np.var(_bent(logs, powers), axis=1), 1e-300)
    likelihoods: Array = -0.5 * len(logs) * np.log(variances) + (powers - 1.0) * logs.sum()
    return likelihoods


def _scaled(values: Array) -> Array:
    """The best is 0 and the median 1."""
    largest = float(np.max(np.abs(values)))
    plain = values / largest if largest > 0 else values  # differences of huge values must not overflow
    gaps = plain - plain.min()
    # Judged by the first alone: later ones crowd around the best, whatever the law of the whole.
    if np.quantile(gaps[:_FIRST], 0.25) < _FOLDED * np.median(gaps[:_FIRST]):
        gaps = np.log(gaps + np.quantile(gaps[gaps > 0], 0.05))
        gaps -= gaps.min()
    spread = float(np.median(gaps)) or float(gaps.max())
    scaled: Array = gaps / spread if spread > 0 else gaps
    return scaled
