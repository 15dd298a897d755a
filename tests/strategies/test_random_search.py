"""Tests of random search."""

from __future__ import annotations

import subprocess
import sys

from scipy import stats

from besom.strategies import Categorical, Dimension, EndedTrial, RunningTrial, Space, Uniform, make_strategy

from .spaces import MIXED


def test_draws_follow_the_law() -> None:
    """Over many trials a parameter has its distribution, whatever the others do."""
    space = Space((Dimension(("a",), Uniform(2, 5)), Dimension(("b",), Uniform(0, 1))))
    points = make_strategy("random", space, seed=5).suggest(4000)
    a, b = [point["a"] for point in points], [point["b"] for point in points]
    assert stats.kstest(a, stats.uniform(2, 3).cdf).pvalue > 0.01
    assert stats.pearsonr(a, b).pvalue > 0.01
    assert stats.pearsonr(a[1:], a[:-1]).pvalue > 0.01


def test_trial_number_decides_the_draw() -> None:
    """Trial n has the same params whether asked for alone or in a batch, and whatever came out before."""
    batch = make_strategy("random", MIXED, seed=1).suggest(10)
    later = make_strategy("random", MIXED, seed=1)
    later.update([EndedTrial(3, {}, "failed")], [RunningTrial(7, {})])
    assert later.suggest(3) == batch[7:]


def test_never_exhausted() -> None:
    """Two values give as many trials as one asks for."""
    search = make_strategy("random", Space((Dimension(("a",), Categorical((0, 1))),)), seed=0)
    search.update([EndedTrial(1000, {"a": 0}, "finished", 1.0)], [])
    assert {point["a"] for point in search.suggest(100)} == {0, 1}


def test_draws_are_the_same_everywhere() -> None:
    """A seed's draws are fixed for good: a sweep restarted on another machine or release goes on as it was."""
    space = Space((Dimension(("a",), Uniform(0, 1)),))
    drawn = [round(point["a"], 12) for point in make_strategy("random", space, seed=42).suggest(3)]
    assert drawn == [0.955474787612, 0.316648725556, 0.731189890707]


def test_grid_and_random_import_no_numpy() -> None:
    """The cheap strategies load neither numpy nor what stands on it."""
    code = """
import sys
from besom.strategies import Dimension, Space, Uniform, make_strategy
make_strategy("random", Space((Dimension(("a",), Uniform(0, 1)),)), seed=0).suggest(2)
sys.exit(any(name in sys.modules for name in ("numpy", "scipy", "sklearn", "skopt")))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
