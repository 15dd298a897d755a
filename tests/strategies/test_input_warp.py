"""Tests of the learnt bend of the axes."""

from __future__ import annotations

import numpy as np
import pytest

from besom.strategies.input_warp import bend, bend_slopes

UNITS = np.array([[0.0, 0.2], [0.3, 0.5], [0.9, 0.7], [1.0, 1.0]])


def test_ones_leave_the_axis_straight() -> None:
    """With a = b = 1 a bend changes nothing."""
    np.testing.assert_allclose(bend(UNITS, np.zeros(2), np.zeros(2)), UNITS, atol=2e-6)


@pytest.mark.parametrize(("log_a", "log_b"), [(-1.0, 1.0), (1.5, 1.5), (0.7, -1.2)])
def test_bends_are_the_law_of_kumaraswamy(log_a: float, log_b: float) -> None:
    """A bend is a distribution function: that of u -> (1 - (1 - u)^(1/b))^(1/a) for even u."""
    even = np.linspace(0.05, 0.95, 10)[:, None]
    drawn = (1 - (1 - even) ** np.exp(-log_b)) ** np.exp(-log_a)
    np.testing.assert_allclose(bend(drawn, np.array([log_a]), np.array([log_b])), even, atol=1e-5)


def test_slopes_are_difference_quotients() -> None:
    """The derivatives by both parameters agree with finite differences, at the walls too."""
    log_a, log_b, step = np.array([0.4, -0.8]), np.array([-0.3, 1.1]), 1e-6
    bent, by_a, by_b = bend_slopes(UNITS, log_a, log_b)
    np.testing.assert_allclose(bent, bend(UNITS, log_a, log_b), atol=1e-12)
    quotient = (bend(UNITS, log_a + step, log_b) - bend(UNITS, log_a - step, log_b)) / (2 * step)
    np.testing.assert_allclose(by_a, quotient, atol=1e-8)
    quotient = (bend(UNITS, log_a, log_b + step) - bend(UNITS, log_a, log_b - step)) / (2 * step)
    np.testing.assert_allclose(by_b, quotient, atol=1e-8)
