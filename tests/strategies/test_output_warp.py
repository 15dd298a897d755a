"""Tests of the warp of values: scipy's Yeo-Johnson, and what must survive of the order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from besom.strategies.output_warp import standardised, warp, yeo_johnson, yeo_johnson_power

SKEWED = np.random.default_rng(3).gamma(1.5, size=60)


@pytest.mark.parametrize("power", [-2.0, 0.0, 0.5, 1.0, 3.0])
def test_transform_is_scipys(power: float) -> None:
    """With a given power the transform is scipy.stats.yeojohnson."""
    np.testing.assert_allclose(yeo_johnson(SKEWED, power), stats.yeojohnson(SKEWED, power), rtol=1e-9)


def test_power_is_scipys() -> None:
    """The power of greatest likelihood is scipy's, to the grid's step."""
    assert yeo_johnson_power(SKEWED) == pytest.approx(stats.yeojohnson(SKEWED)[1], abs=0.01)


@pytest.mark.parametrize("spread", [1.0, 1e-12, 1e12])
def test_warp_keeps_order_and_unit(spread: float) -> None:
    """Order stays, mean is 0 and deviation 1, and the unit of the metric does not matter."""
    warped, scale = warp(spread * SKEWED - 5 * spread)
    np.testing.assert_array_equal(np.argsort(warped), np.argsort(SKEWED))
    assert (warped.mean(), warped.std()) == (pytest.approx(0), pytest.approx(1))
    np.testing.assert_allclose(warped, warp(SKEWED)[0], atol=1e-2)
    assert scale > 0


def test_diverged_trials_weigh_little() -> None:
    """A loss of 1e30 leaves the good trials apart from each other."""
    warped, _ = warp(np.append(SKEWED[:20], 1e30))
    assert np.ptp(warped[:20]) > 1.0


def test_twenty_orders_of_magnitude_stay_apart() -> None:
    """Of values spread evenly over the logarithm, the better half is told apart as well as the worse one."""
    exponents = np.random.default_rng(0).permutation(np.linspace(-10, 10, 41))
    warped, _ = warp(10.0**exponents)
    assert np.diff(warped[np.argsort(exponents)]).min() > 0.005


@pytest.mark.parametrize("values", [[3.0], [0.0, 0.0, 0.0], [1e308, -1e308, 0.0], [5e-324] * 9 + [0.0]])
def test_extremes_are_finite(values: list[float]) -> None:
    """Equal, huge and tiny values become finite ones without a warning."""
    warped, scale = warp(np.array(values))
    assert np.all(np.isfinite(warped))
    assert np.isfinite(scale)
    assert np.all(standardised(np.full(4, 7.0)) == 0)
