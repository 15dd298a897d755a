"""Tests of the Gaussian process: finite differences, and scikit-learn's at the same kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from besom.strategies.cube import Array
from besom.strategies.gaussian_process import Posterior, Prior, most_plausible, plausibility
from besom.strategies.input_warp import bend

PLAIN, BENT = Prior(input_warp=False), Prior(input_warp=True)
ORDERED, MIXED = np.array([False] * 3), np.array([False, True, False])
RNG = np.random.default_rng(0)
ROWS = np.column_stack([RNG.random(30), RNG.integers(0, 3, 30) / 2.0, RNG.random(30)])
VALUES = RNG.standard_normal(30)
PROBES = RNG.random((8, 3))


def some_parameters(prior: Prior, ordered: int) -> Array:
    centre = prior.start(ordered, 3)
    return centre + 0.4 * np.random.default_rng(1).standard_normal(len(centre))


def scikit_learns(theta: Array, known_noise: Array | float = 0.0) -> Any:
    """The same process there, fitted to the same trials."""
    lengths, (signal, rough, noise) = np.exp(theta[:3]), np.exp(theta[3:6])
    kernel = ConstantKernel(signal) * Matern(lengths, nu=2.5)
    kernel += ConstantKernel(rough) * Matern(lengths * PLAIN.roughness, nu=2.5)
    kernel += ConstantKernel(PLAIN.mean) + WhiteKernel(noise)
    return GaussianProcessRegressor(kernel, alpha=1e-8 + known_noise, optimizer=None).fit(ROWS, VALUES)


@pytest.mark.parametrize("prior", [PLAIN, BENT])
def test_gradient_is_the_difference_quotient(prior: Prior) -> None:
    """The gradient of the evidence agrees with finite differences in every parameter, bends included."""
    theta = some_parameters(prior, ordered=2)
    _, gradient = plausibility(prior, ROWS, VALUES, MIXED, theta)
    quotient = approx_fprime(theta, lambda at: plausibility(prior, ROWS, VALUES, MIXED, at)[0], 1e-7)
    np.testing.assert_allclose(gradient, quotient, rtol=1e-3, atol=1e-3)


def test_plausibility_is_scikit_learns_with_the_prior() -> None:
    """Between two sets of parameters it changes by the likelihood that scikit-learn gives and the normal priors."""
    one, other = some_parameters(PLAIN, ordered=3), PLAIN.start(3, 3)

    def expected(theta: Array) -> float:
        pulls = (theta - PLAIN.start(3, 3)) / PLAIN.widths(3, 3)
        return 0.5 * float(pulls @ pulls) - float(scikit_learns(theta).log_marginal_likelihood_value_)

    difference = (
        plausibility(PLAIN, ROWS, VALUES, ORDERED, one)[0] - plausibility(PLAIN, ROWS, VALUES, ORDERED, other)[0]
    )
    assert difference == pytest.approx(expected(one) - expected(other), rel=1e-6)


def test_posterior_is_scikit_learns() -> None:
    """Means and deviations at fixed parameters are scikit-learn's, whose deviation includes the noise."""
    theta = some_parameters(PLAIN, ordered=3)
    posterior = Posterior(PLAIN, theta, ROWS, VALUES, ORDERED)
    mean, std = posterior.predict(PROBES)
    expected_mean, expected_std = scikit_learns(theta).predict(PROBES, return_std=True)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(std**2 + posterior.noise), expected_std, atol=1e-6)
    np.testing.assert_allclose(posterior.mean(PROBES), mean, atol=1e-12)


def test_bends_move_the_rows() -> None:
    """A process with bends is one without over bent rows."""
    theta = some_parameters(BENT, ordered=3)
    log_a, log_b = np.split(theta[6:], 2)
    bent = Posterior(BENT, theta, ROWS, VALUES, ORDERED).predict(PROBES)
    plain = Posterior(PLAIN, theta[:6], bend(ROWS, log_a, log_b), VALUES, ORDERED).predict(bend(PROBES, log_a, log_b))
    np.testing.assert_allclose(bent, plain, atol=1e-9)


def test_fit_finds_what_matters() -> None:
    """Of values that follow one column, that column gets a short length and the others long ones, with little noise."""
    rows = np.random.default_rng(5).random((60, 3))
    values = np.sin(7 * rows[:, 0]) * 1.4
    theta = most_plausible(PLAIN, rows, values, ORDERED)
    assert theta[0] < min(theta[1], theta[2]) - 1.0
    assert np.exp(theta[5]) < 0.01
    start = plausibility(PLAIN, rows, values, ORDERED, PLAIN.start(3, 3))[0]
    assert plausibility(PLAIN, rows, values, ORDERED, theta)[0] < start


def test_fit_bends_a_crooked_axis() -> None:
    """Of values that move only near 0, the bend stretches that end, and the fit is the better for it."""
    rows = np.random.default_rng(6).random((50, 1))
    values = np.sin(6 * np.sqrt(rows[:, 0])) * 1.4
    flags = np.array([False])
    straight = most_plausible(PLAIN, rows, values, flags)
    bent = most_plausible(BENT, rows, values, flags)
    assert plausibility(BENT, rows, values, flags, bent)[0] < plausibility(PLAIN, rows, values, flags, straight)[0]
    spread = np.diff(bend(np.array([[0.0], [0.1], [0.9], [1.0]]), *np.split(bent[4:], 2))[:, 0])
    assert spread[0] > spread[2]


def test_believing_leaves_the_mean() -> None:
    """A believed point changes no mean; the doubt there is gone, as if it had been observed."""
    theta = some_parameters(PLAIN, ordered=3)
    posterior = Posterior(PLAIN, theta, ROWS, VALUES, ORDERED)
    mean, std = posterior.predict(PROBES)
    posterior.believe(PROBES[:1])
    posterior.believe(PROBES[1:2])
    told = Posterior(PLAIN, theta, np.vstack([ROWS, PROBES[:2]]), np.append(VALUES, mean[:2]), ORDERED)
    for model in (posterior, told):
        believed_mean, believed_std = model.predict(PROBES)
        np.testing.assert_allclose(believed_mean, mean, atol=1e-6)
        assert np.all(believed_std[:2] < 0.5 * std[:2])
        assert np.all(believed_std <= std + 1e-9)
    np.testing.assert_allclose(posterior.predict(PROBES)[1], told.predict(PROBES)[1], atol=1e-6)


def test_repeated_rows_are_survived() -> None:
    """Rows that are all the same leave a covariance that can still be factored."""
    theta = PLAIN.start(3, 3)
    theta[5] = -60.0
    mean, std = Posterior(PLAIN, theta, np.full((40, 3), 0.3), np.zeros(40), ORDERED).predict(PROBES)
    assert np.all(np.isfinite(mean))
    assert np.all(std > 0)


def test_known_noise_is_scikit_learns_alpha() -> None:
    """With a variance known for each value, evidence and predictions are those of scikit-learn's alpha vector."""
    known = np.random.default_rng(2).uniform(0.01, 2.0, len(ROWS))
    theta, other = some_parameters(PLAIN, ordered=3), PLAIN.start(3, 3)
    mean, std = Posterior(PLAIN, theta, ROWS, VALUES, ORDERED, known).predict(PROBES)
    expected_mean, expected_std = scikit_learns(theta, known).predict(PROBES, return_std=True)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(std**2 + np.exp(theta[5])), expected_std, atol=1e-6)

    def found(at: Array) -> float:
        pulls = (at - PLAIN.start(3, 3)) / PLAIN.widths(3, 3)
        return plausibility(PLAIN, ROWS, VALUES, ORDERED, at, known)[0] - 0.5 * float(pulls @ pulls)

    likelihoods = [scikit_learns(at, known).log_marginal_likelihood_value_ for at in (theta, other)]
    assert found(other) - found(theta) == pytest.approx(likelihoods[0] - likelihoods[1], rel=1e-6)
    _, gradient = plausibility(BENT, ROWS, VALUES, ORDERED, some_parameters(BENT, 3), known)
    quotient = approx_fprime(
        some_parameters(BENT, 3), lambda at: plausibility(BENT, ROWS, VALUES, ORDERED, at, known)[0], 1e-7
    )
    np.testing.assert_allclose(gradient, quotient, rtol=1e-3, atol=1e-3)


def test_a_fit_knows_noise_from_shape() -> None:
    """Of a smooth curve with a few wild values the lengths are found when it is known which are wild."""
    rng = np.random.default_rng(3)
    rows, flags = rng.random((40, 1)), np.array([False])
    known = np.where(np.arange(40) % 3 == 0, 4.0, 1e-4)
    smooth = np.sin(6 * rows[:, 0])
    values = smooth + np.sqrt(known) * rng.standard_normal(40)

    def error(noise: Array | None) -> float:
        theta = most_plausible(PLAIN, rows, values, flags, known_noise=noise)
        posterior = Posterior(PLAIN, theta, rows, values, flags, 0.0 if noise is None else noise)
        return float(np.abs(posterior.mean(rows) - smooth).mean())

    assert error(known) < 0.05
    assert error(known) < 0.3 * error(None)
