"""A Gaussian process over what the trials gave: its fit, and what it predicts.

Reads rows in the unit cube and values (lower is better, about standardised).  Knows nothing of trials or domains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.linalg import cho_solve, lapack, solve_triangular
from scipy.optimize import minimize

from besom.strategies.cube import Array, Flags
from besom.strategies.input_warp import bend, bend_slopes
from besom.strategies.kernel import Pairs, cross_distances, matern, matern_and_slope

__all__ = ["Posterior", "Prior", "most_plausible", "plausibility"]

_JITTER = 1e-8
_WARP_WIDTH = 0.5
_LENGTH_BOUND, _WARP_BOUND = (-4.0, 4.0), (-1.6, 1.6)
_SIGNAL_BOUND, _NOISE_BOUND, _ROUGH_BOUND = (-3.0, 3.0), (-11.0, 1.0), (-11.0, 1.0)


@dataclass(frozen=True)
class Prior:
    """What is believed of an objective before it is seen. All are normal laws over logarithms."""

    input_warp: bool
    """Whether ordered axes may be bent."""
    length: float = -0.7
    """Centre of the length scales in one dimension; it grows with the dimensions, as distances do. Deviation 1."""
    noise: float = -7.0
    """Centre of the noise variance; the signal's is about 1."""
    noise_width: float = 2.5
    rough: float = -7.0
    """Centre of the variance of a rough part, which varies over a fraction of the lengths: what looks like noise from
    afar and is found again near by."""
    rough_width: float = 2.5
    roughness: float = 0.15
    """The lengths of the rough part, as a share of the smooth part's."""
    mean: float = 1.0
    """Variance of the value far from all trials, which is 0 for values about standardised. What the trials say of it is
    weighed by how alike they are, so that a crowd around the best does not make the unknown look good."""

    def length_centre(self, columns: int) -> float:
        """Centre of each length scale among so many columns."""
        return self.length + 0.35 * float(np.log(columns))

    def start(self, ordered: int, columns: int) -> Array:
        """The centres of all parameters: lengths, signal, rough part, noise, and two bends for each ordered column."""
        bends = 2 * ordered if self.input_warp else 0
        return np.concatenate(
            [np.full(columns, self.length_centre(columns)), [0.0, self.rough, self.noise], np.zeros(bends)]
        )

    def widths(self, ordered: int, columns: int) -> Array:
        """The deviations of all parameters."""
        bends = 2 * ordered if self.input_warp else 0
        return np.concatenate([np.ones(columns + 1), [self.rough_width, self.noise_width], np.full(bends, _WARP_WIDTH)])


class _Evidence:
    """Minus the logarithm of how plausible parameters are, given the data; and its gradient."""

    def __init__(
        self, prior: Prior, rows: Array, values: Array, unordered: Flags, known_noise: Array | float = 0.0
    ) -> None:
        self._rows, self._values, self._unordered, self._known_noise = rows, values, unordered, known_noise
        self._ordered = np.flatnonzero(~unordered)
        self._columns = rows.shape[1]
        self._centre = prior.start(len(self._ordered), self._columns)
        self._widths = prior.widths(len(self._ordered), self._columns)
        self._warps = prior.input_warp and len(self._ordered) > 0
        self._mean, self._stretch = prior.mean, prior.roughness**-2
        self._pairs = Pairs.of(rows, unordered)

    def __call__(self, theta: Array) -> tuple[float, Array]:
        columns, n = self._columns, len(self._rows)
        weights = np.exp(-2.0 * theta[:columns])
        signal, rough, noise = np.exp(theta[columns : columns + 3])
        pull = (theta - self._centre) / self._widths
        loss, gradient = 0.5 * float(pull @ pull), pull / self._widths
        rows, pairs, slopes = self._warped(theta)
        squared = pairs.distances @ weights
        fine = squared * self._stretch
        (likeness, slope), (fine_likeness, fine_slope) = matern_and_slope(squared), matern_and_slope(fine)
        covariance = np.empty((n, n))
        covariance.reshape(-1)[pairs.places] = signal * likeness + rough * fine_likeness + self._mean
        np.fill_diagonal(covariance, signal + rough + self._mean + noise + _JITTER + self._known_noise)
        # The transpose lies in memory as LAPACK wants it, so it factors and inverts in place.
        root, failed = lapack.dpotrf(covariance.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            return 1e10, np.zeros_like(theta)
        solved, _ = lapack.dpotrs(root, self._values, lower=1)
        loss += 0.5 * float(self._values @ solved) + float(np.log(np.diag(root)).sum())
        inverse, _ = lapack.dpotri(root, lower=1, overwrite_c=1)
        # d loss / d covariance of each pair, both triangles, and of the diagonal
        pull_pairs = inverse.T.reshape(-1).take(pairs.places)
        pull_pairs -= solved.take(pairs.first) * solved.take(pairs.second)
        pull_diagonal = 0.5 * float(np.diag(inverse).sum() - solved @ solved)
        by_distance = pull_pairs * (signal * slope + rough * self._stretch * fine_slope)
        gradient[:columns] += (by_distance @ pairs.distances) * (-2.0 * weights)
        gradient[columns] += signal * (float(pull_pairs @ likeness) + pull_diagonal)
        gradient[columns + 1] += rough * (float(pull_pairs @ fine_likeness) + pull_diagonal)
        gradient[columns + 2] += noise * pull_diagonal
        if slopes is not None:
            gradient[columns + 3 :] += self._by_bends(rows, pairs, by_distance, weights, slopes)
        return loss, gradient

    def _warped(self, theta: Array) -> tuple[Array, Pairs, tuple[Array, Array] | None]:
        if not self._warps:
            return self._rows, self._pairs, None
        log_a, log_b = np.split(theta[self._columns + 3 :], 2)
        bent, by_a, by_b = bend_slopes(self._rows[:, self._ordered], log_a, log_b)
        rows, distances = self._rows.copy(), self._pairs.distances
        rows[:, self._ordered] = bent
        gaps = bent.take(self._pairs.first, axis=0) - bent.take(self._pairs.second, axis=0)
        distances[:, self._ordered] = gaps * gaps
        return rows, self._pairs, (by_a, by_b)

    def _by_bends(
        self, rows: Array, pairs: Pairs, by_distance: Array, weights: Array, slopes: tuple[Array, Array]
    ) -> Array:
        pull = np.zeros((len(rows), len(rows)))
        pull.reshape(-1)[pairs.places] = by_distance
        pull += pull.T
        bent = rows[:, self._ordered]
        by_rows = 2.0 * weights[self._ordered] * (pull.sum(axis=1)[:, None] * bent - pull @ bent)
        return np.concatenate([(by_rows * slope).sum(axis=0) for slope in slopes])


def plausibility(
    prior: Prior, rows: Array, values: Array, unordered: Flags, theta: Array, known_noise: Array | float = 0.0
) -> tuple[float, Array]:
    """Minus the log posterior density of the parameters `theta`, up to a constant, and its gradient."""
    return _Evidence(prior, rows, values, unordered, known_noise)(theta)


def most_plausible(
    prior: Prior,
    rows: Array,
    values: Array,
    unordered: Flags,
    start: Array | None = None,
    iterations: int = 30,
    known_noise: Array | None = None,
) -> Array:
    """The parameters of the greatest posterior density: lengths, signal, noise and bends, as logarithms.

    A function of its arguments alone; the last few answers are remembered, since many suggestions share a fit.

    Args:
        prior: What is believed before.
        rows: Shape (n, columns), in the unit cube.
        values: Shape (n,), about standardised.
        unordered: Columns without an order.
        start: Where to look first; the prior's centres when None.
        iterations: Steps at most.
        known_noise: Variance that each value is known to have, besides the noise that is found; shape (n,).
    """
    begin, noise = (b"" if one is None else one.tobytes() for one in (start, known_noise))
    key = (rows.tobytes(), values.tobytes(), unordered.tobytes(), noise, begin)
    return _most_plausible(prior, *key, iterations)


@lru_cache(maxsize=128)
def _most_plausible(
    prior: Prior, rows: bytes, values: bytes, unordered: bytes, noise: bytes, start: bytes, iterations: int
) -> Array:
    flags, observed = np.frombuffer(unordered, dtype=bool), np.frombuffer(values)
    known_noise = np.frombuffer(noise) if noise else 0.0
    evidence = _Evidence(prior, np.frombuffer(rows).reshape(len(observed), -1), observed, flags, known_noise)
    ordered, columns = int((~flags).sum()), len(flags)
    bends = 2 * ordered if prior.input_warp else 0
    bounds = [_LENGTH_BOUND] * columns + [_SIGNAL_BOUND, _ROUGH_BOUND, _NOISE_BOUND] + [_WARP_BOUND] * bends
    begin = np.frombuffer(start) if start else prior.start(ordered, columns)
    found = minimize(evidence, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": iterations})
    theta: Array = found.x if np.all(np.isfinite(found.x)) else begin.copy()
    theta.setflags(write=False)
    return theta


class Posterior:
    """The process with parameters `theta`, given observed `rows` and `values`, and what noise each is known to have."""

    def __init__(
        self,
        prior: Prior,
        theta: Array,
        rows: Array,
        values: Array,
        unordered: Flags,
        known_noise: Array | float = 0.0,
    ) -> None:
        columns = rows.shape[1]
        self._unordered, self._ordered = unordered, np.flatnonzero(~unordered)
        self._weights = np.exp(-2.0 * theta[:columns])
        self._signal, self._rough, self.noise = (float(part) for part in np.exp(theta[columns : columns + 3]))
        self._mean, self._stretch = prior.mean, prior.roughness**-2
        self._bends = np.split(theta[columns + 3 :], 2) if prior.input_warp else None
        self._rows = self._bent(rows)
        covariance = self._covariance(self._rows, self._rows)
        covariance[np.diag_indices(len(rows))] += self.noise + _JITTER + known_noise
        self._root = _root(covariance)
        self._solved = cho_solve((self._root, True), values, check_finite=False)
        self._observed = len(rows)

    def predict(self, rows: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the objective at each row, both of shape (n,)."""
        across = self._covariance(self._rows, self._bent(rows))
        mean = self._solved @ across[: self._observed]
        reduced = solve_triangular(self._root, across, lower=True, check_finite=False, overwrite_b=True)
        variance = self._signal + self._rough + self._mean - np.einsum("ij,ij->j", reduced, reduced)
        return mean, np.sqrt(np.maximum(variance, 1e-12))

    def mean(self, rows: Array) -> Array:
        """The mean alone, much cheaper."""
        mean: Array = self._solved @ self._covariance(self._rows[: self._observed], self._bent(rows))
        return mean

    def believe(self, rows: Array) -> None:
        """Take the mean at each row for observed, so that suggestions for pending points spread out.

        That moves no mean, and takes the doubt away around the rows.

        Source: Ginsbourger, Le Riche and Carraro 2010, the kriging believer.
        """
        bent = self._bent(rows)
        n, m = len(self._rows), len(bent)
        lower = solve_triangular(self._root, self._covariance(self._rows, bent), lower=True, check_finite=False)
        rest = self._covariance(bent, bent) - lower.T @ lower
        rest[np.diag_indices(m)] += self.noise + _JITTER
        root = np.zeros((n + m, n + m))
        root[:n, :n], root[n:, :n], root[n:, n:] = self._root, lower.T, _root(rest)
        self._root, self._rows = root, np.vstack([self._rows, bent])

    def _bent(self, rows: Array) -> Array:
        if self._bends is None or not len(self._ordered):
            return rows
        bent = rows.copy()
        bent[:, self._ordered] = bend(rows[:, self._ordered], *self._bends)
        return bent

    def _covariance(self, left: Array, right: Array) -> Array:
        squared = cross_distances(left, right, self._unordered, self._weights)
        smooth = matern(squared)
        squared *= self._stretch
        rough = matern(squared)
        smooth *= self._signal
        rough *= self._rough
        smooth += rough
        smooth += self._mean
        return smooth


def _root(covariance: Array) -> Array:
    """The lower Cholesky factor, with as much added to the diagonal as rounding asks for.

    Raises:
        LinAlgError: if even a large addition does not help, because this is no covariance.
    """
    extra = 0.0
    while extra < 1.0:
        root, failed = lapack.dpotrf(covariance + extra * np.eye(len(covariance)), lower=1, clean=1)
        if not failed:
            lower: Array = root
            return lower
        extra = max(10 * extra, 1e-10)
    raise np.linalg.LinAlgError("the covariance of the trials cannot be factored")
