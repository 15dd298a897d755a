"""A learnt bend of each axis, so that an objective that moves fast at one end looks evenly rough to the kernel.

The bend is Kumaraswamy's distribution function 1 - (1 - x^a)^b; a = b = 1 leaves the axis straight.

Source: Snoek et al. 2014, Input warping for Bayesian optimization of non-stationary functions (with the beta law).
"""

from __future__ import annotations

import numpy as np

from besom.strategies.cube import Array

__all__ = ["bend", "bend_slopes"]

_EDGE = 1e-6


def bend(units: Array, log_a: Array, log_b: Array) -> Array:
    """Bent coordinates of `units` in [0, 1], shape (n, columns); one `log_a` and `log_b` for each column."""
    powered = np.clip(units, _EDGE, 1.0 - _EDGE) ** np.exp(log_a)
    return 1.0 - (1.0 - powered) ** np.exp(log_b)


def bend_slopes(units: Array, log_a: Array, log_b: Array) -> tuple[Array, Array, Array]:
    """Bent coordinates, and their derivatives by `log_a` and `log_b`, each of the shape of `units`."""
    a, b = np.exp(log_a), np.exp(log_b)
    log_units = np.log(np.clip(units, _EDGE, 1.0 - _EDGE))
    powered = np.exp(a * log_units)
    log_rest = np.log1p(-powered)
    rest = np.exp(b * log_rest)
    by_a = a * b * np.exp((b - 1.0) * log_rest) * powered * log_units
    by_b = -b * rest * log_rest
    return 1.0 - rest, by_a, by_b
