"""How promising a point is: the logarithm of its expected improvement.

Reads means and deviations; lower is better.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx

from besom.strategies.cube import Array

__all__ = ["log_expected_improvement"]


def log_expected_improvement(mean: Array, std: Array, best: float) -> Array:
    """Logarithm of how much each candidate is expected to improve on `best`, exact where the plain form is 0.

    Args:
        mean: Posterior mean, shape `(n,)`; lower is better.
        std: Posterior standard deviation, shape `(n,)`, above 0.
        best: The value to improve on.

    Returns:
        Shape `(n,)`.

    Source: Ament et al. 2023, Unexpected improvements to expected improvement, eq. 9.
    """
    z = (best - mean) / std
    near, far = np.maximum(z, -1.0), np.clip(z, -1e3, -1.0)
    density = np.exp(-0.5 * near**2) / np.sqrt(2 * np.pi)
    distribution = 1 - density * np.sqrt(np.pi / 2) * erfcx(near / np.sqrt(2))
    tail = np.log1p(-np.sqrt(np.pi / 2) * np.abs(far) * erfcx(-far / np.sqrt(2)))
    log_near = np.log(density + near * distribution)
    log_far = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) + np.where(z > -1e3, tail, -2 * np.log(np.maximum(-z, 1.0)))
    scores: Array = np.log(std) + np.where(z > -1.0, log_near, log_far)
    return scores
