"""Where trials fail: a Gaussian process over which did, so that the search keeps to where they work.

Source: label regression as in Rasmussen and Williams 2006, section 6.5.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr

from besom.strategies.cube import Array, Flags
from besom.strategies.gaussian_process import Posterior, Prior, most_plausible

__all__ = ["Feasibility"]

_PRIOR = Prior(input_warp=False, length=-0.9, noise=-5.0, noise_width=0.7)


class Feasibility:
    """How likely a point is to give a value.

    Args:
        rows: The trials, shape (n, columns).
        failed: Which of them gave none, shape (n,).
        unordered: The columns without an order.
    """

    def __init__(self, rows: Array, failed: Flags, unordered: Flags) -> None:
        labels = np.where(failed, -1.0, 1.0)
        self._centre = float(labels.mean())
        theta = most_plausible(_PRIOR, rows, labels - self._centre, unordered)
        self._posterior = Posterior(_PRIOR, theta, rows, labels - self._centre, unordered)

    def log_probability(self, rows: Array) -> Array:
        """Logarithm of the probability that each row gives a value, shape (n,)."""
        mean, std = self._posterior.predict(rows)
        probability: Array = log_ndtr((mean + self._centre) / np.sqrt(std * std + self._posterior.noise))
        return probability
