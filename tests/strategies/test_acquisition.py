"""Tests of expected improvement."""

from __future__ import annotations

import numpy as np

from besom.strategies.acquisition import log_expected_improvement


def test_log_expected_improvement_matches_sampling() -> None:
    """The closed form agrees with the mean of sampled improvements."""
    mean, std, best = np.array([0.3, 1.0, 0.2]), np.array([0.5, 0.2, 1.0]), 0.5
    draws = mean + std * np.random.default_rng(0).standard_normal((400_000, 3))
    expected = np.maximum(best - draws, 0).mean(axis=0)
    np.testing.assert_allclose(np.exp(log_expected_improvement(mean, std, best)), expected, atol=3e-3)


def test_hopeless_candidates_stay_apart() -> None:
    """Where every improvement is below the smallest number, the logarithm is finite and falls steadily."""
    far = log_expected_improvement(np.array([0.9, 1.1, 5.0, 30.0, 900.0, 1100.0, 1e9]), np.ones(7), 0.0)
    assert np.all(np.isfinite(far))
    assert np.all(np.diff(far) < 0)
