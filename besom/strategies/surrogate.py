"""A Gaussian process over what the trials gave, and how promising it finds other points.

Reads features and values (lower is better); the kernel and its fit come from scikit-optimize.
Knows nothing of trials, domains or batches.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.special import erfcx, ndtri
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from skopt.learning import GaussianProcessRegressor
from skopt.learning.gaussian_process.kernels import ConstantKernel, Matern

from besom.strategies.cube import Array

__all__ = ["Surrogate", "log_expected_improvement", "tame"]

_MAX_LENGTHS = 24
"""More feature columns than this share one length scale: their own could not be told from so few trials."""
_JITTER = 1e-8


class Surrogate:
    """The posterior given features `x`, shape (n, columns), and values `y`, shape (n,), about standardised."""

    def __init__(self, x: Array, y: Array) -> None:
        fitted = _fit(x, y)
        self._kernel = fitted.kernel_
        self._noise = float(fitted.noise_) + _JITTER
        self._condition(x, y)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at each row of `x`, both of shape (n,)."""
        across = self._kernel(x, self._x)
        mean = across @ self._weights
        reduced = solve_triangular(self._root, across.T, lower=True, check_finite=False)
        variance = self._kernel.diag(x) - np.einsum("ij,ij->j", reduced, reduced)
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    def believe(self, x: Array) -> None:
        """Take the mean at each row of `x` for observed, so that suggestions for pending points spread out.

        Source: Ginsbourger, Le Riche and Carraro 2010, the kriging believer.
        """
        mean, _ = self.predict(x)
        self._condition(np.vstack([self._x, x]), np.concatenate([self._y, mean]))

    def best(self) -> float:
        """The lowest mean at any observed or believed point, which one lucky noisy value does not set."""
        return float(np.min(self.predict(self._x)[0]))

    def _condition(self, x: Array, y: Array) -> None:
        covariance = self._kernel(x) + self._noise * np.eye(len(x))
        self._root, _ = cho_factor(covariance, lower=True, check_finite=False)
        self._weights = cho_solve((self._root, True), y, check_finite=False)
        self._x, self._y = x, y


def tame(values: Array) -> Array:
    """Values made fit for a Gaussian process: the worse half by rank only, then mean 0 and deviation 1.

    A loss of 1e9 at a diverged trial then weighs no more than being the worst. Order is kept.

    Source: Song et al. 2024, The Vizier Gaussian Process Bandit Algorithm, half-rank warping.
    """
    largest = np.max(np.abs(values))
    scaled = values / largest if largest > 0 else values
    middle = np.median(scaled)
    good = scaled <= middle
    spread = np.sqrt(np.mean((scaled[good] - middle) ** 2)) or 1.0
    quantiles = (rankdata(scaled) - 0.5) / len(scaled)
    warped = np.where(good, (scaled - middle) / spread, ndtri(np.maximum(quantiles, 0.5)))
    tamed: Array = (warped - warped.mean()) / (warped.std() or 1.0)
    return tamed


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


def _fit(x: Array, y: Array) -> Any:
    columns = x.shape[1]
    scale = np.ones(columns) if columns <= _MAX_LENGTHS else 1.0
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(scale, (0.02, 50.0), nu=2.5)
    process = GaussianProcessRegressor(kernel, alpha=_JITTER, optimizer=_most_plausible, noise="gaussian")
    with warnings.catch_warnings():
        # A length at its bound only says that a parameter does not matter.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return process.fit(x, y)


def _most_plausible(objective: Callable[[Array], tuple[float, Array]], start: Array, bounds: Array) -> Any:
    """Maximum a posteriori of the kernel's logarithms: variance, lengths, noise.

    Lengths about 0.3 and noise about 1e-4 did best of five choices tried on Branin and Hartmann6. The priors
    keep a handful of trials from declaring a parameter irrelevant or everything noise.
    """
    lengths = len(start) - 2
    centre = np.array([0.0, *[np.log(0.3)] * lengths, np.log(1e-4)])
    width = np.array([0.7, *[1.0] * lengths, 2.0])

    def loss(theta: Array) -> tuple[float, Array]:
        value, gradient = objective(theta)
        pull = (theta - centre) / width
        return value + 0.5 * float(pull @ pull), gradient + pull / width

    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 30})
    return found.x, found.fun
