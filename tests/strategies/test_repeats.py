"""Tests of what repeated trials say of noise: the law that variances were drawn from, and derivatives."""

from __future__ import annotations

import math

import numpy as np
import pytest

from besom.strategies.repeats import Repeats, moderated, stretched

RNG = np.random.default_rng(5)


def test_variances_are_drawn_towards_their_law() -> None:
    """Of true variances with a known law, seen through 3 trials each, it gives the means that Bayes' rule gives."""
    freedom, weight, scale = 2, 6.0, 0.5
    true = weight * scale / RNG.chisquare(weight, 40_000)
    seen = true * RNG.chisquare(freedom, len(true)) / freedom
    expected = (weight * scale + freedom * seen) / (weight + freedom)
    np.testing.assert_allclose(moderated(seen, np.full(len(seen), freedom)), expected, rtol=0.1)


def test_equal_variances_become_one() -> None:
    """Where all true variances are equal, each comes out as that one, however its own trials have scattered."""
    seen = 4.0 * RNG.chisquare(2, 20_000) / 2
    found = moderated(seen, np.full(len(seen), 2))
    assert np.median(found) == pytest.approx(4.0, rel=0.05)
    assert np.ptp(found) < 0.2 * np.ptp(seen)


def test_one_that_is_not_known_is_the_common_one() -> None:
    """A value that a single trial gave gets what the others say."""
    found = moderated(np.array([1.0, 1.0, math.nan]), np.array([2, 2, 0]))
    # Two that are the same say nothing of scatter; the mean logarithm of a chi squared over 2 is -0.5772.
    assert found == pytest.approx([math.exp(0.5772156649)] * 3)


@pytest.mark.parametrize("variances", [[0.0, 0.0], [math.nan, math.nan], [0.0, 1.0], [1e-300, 1e2]])
def test_nothing_breaks_it(variances: list[float]) -> None:
    """Variances of zero, none at all, or far apart give finite ones that are not negative."""
    found = moderated(np.array(variances), np.array([1, 2]))
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_small_errors_are_stretched_by_the_derivative() -> None:
    """Under a logarithm an error of 1 % is one of 0.01; huge ones end where the values do."""
    values = np.sort(RNG.uniform(1.0, 100.0, 400))
    found = stretched(0.01 * values, values, np.log(values))
    np.testing.assert_allclose(found[5:-5], 0.01, rtol=0.1)
    assert np.isfinite(stretched(np.full(400, 1e308), values * 1e306, np.log(values))).all()


def test_an_infinite_error_says_nothing() -> None:
    """The error of huge values of either sign is infinite: those of the others stay as they are, and nothing warns."""
    values = np.array([1.0, 1.0, 2.0, 4.0])
    found = stretched(np.array([math.inf, 0.1, 0.1, math.inf]), values, np.log(values))
    assert not np.isfinite(found[[0, 3]]).any()
    np.testing.assert_array_equal(found[1:3], stretched(np.full(4, 0.1), values, np.log(values))[1:3])


def test_a_mean_of_more_trials_is_more_exact() -> None:
    """Of equal standard deviations the variance of a mean falls with the trials; one trial has the whole."""
    trials = np.array([1, 2, 4, 8])
    spreads = np.where(trials > 1, 0.3 / np.sqrt(trials), math.nan)
    values = np.array([0.0, 1.0, 2.0, 3.0])
    noise = Repeats(spreads, trials).noise(values, values)
    np.testing.assert_allclose(noise * trials, noise[0])
    assert 0.09 < noise[0] < 0.2


def test_without_repeats_nothing_is_known() -> None:
    """No point that was tried twice: no noise is known."""
    repeats = Repeats(np.full(3, math.nan), np.ones(3, dtype=int))
    assert repeats.noise(np.arange(3.0), np.arange(3.0)).tolist() == [0.0, 0.0, 0.0]


def test_a_noisy_value_is_trusted_less() -> None:
    """Of two good means the exact one is surely good; where all are as exact, the order is that of the means."""
    values = np.array([1.0, 1.1, 5.0, 6.0, 7.0, 8.0])
    uneven = Repeats(np.array([3.0, 0.01, 0.01, 3.0, 0.01, 3.0]), np.full(6, 3))
    assert int(uneven.cautious(values).argmin()) == 1
    even = Repeats(np.array([0.1, 0.12, 0.09, 0.1, 0.11, 0.1]), np.full(6, 3))
    assert np.argsort(even.cautious(values)).tolist() == [0, 1, 2, 3, 4, 5]
