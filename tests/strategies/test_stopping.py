"""Stopping rules: their bands, and whom they stop."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from besom.strategies.stopping import Asha, Curve, Hyperband, Median, bands_down, bands_up


@pytest.mark.parametrize(
    ("max_iter", "s", "eta", "bands"),
    [
        (27, 2, 3, (3, 9)), (18, 2, 3, (2, 6)), (9, 5, 3, (1, 3)), (10, 3, 2, (1, 2, 5)), (2, 1, 3, ()),
        (81, 10**9, 3, (1, 3, 9, 27)),
    ],
)  # fmt: skip
def test_bands_from_max_iter(max_iter: int, s: int, eta: float, bands: tuple[int, ...]) -> None:
    """max_iter over eta, s times; max_iter itself is no band, and none is below 1."""
    assert bands_down(max_iter, s, eta) == bands


def test_bands_from_min_iter() -> None:
    """min_iter times eta, rounded down, repeats among them, and not for ever."""
    assert bands_up(3, 3)[:4] == (3, 9, 27, 81)
    assert bands_up(1, 1.5)[:7] == (1, 1, 2, 3, 5, 7, 11)
    assert bands_up(1, 3, max_iter=27) == (1, 3, 9)
    assert len(bands_up(5, 1.01)) == 100


def curves(*rows: tuple[Sequence[float], bool]) -> list[Curve]:
    return [Curve(number, tuple(values), running) for number, (values, running) in enumerate(rows, 1)]


ENGINE = curves(
    ([10, 9], False), ([10, 10], True), ([10, 8, 8], True), ([10, 7, 7], True), ([10, 6, 6], False),
)  # fmt: skip


def test_hyperband_as_the_engine_documents_it() -> None:
    """The example in wandb/sweeps' own docstring, with bands 1 and 2: the one that is worse at its band stops."""
    assert Hyperband(bands_down(5, 2, 2), 2).decide(ENGINE) == (2,)


def test_hyperband_strict_and_not() -> None:
    """Strict asks for the value at the band, not strict for the best so far."""
    history = curves(([5, 9], True), ([6, 6], False), ([7, 6.5], False), ([8, 7], False))
    assert Hyperband((2,), 4).decide(history) == (1,)
    assert Hyperband((2,), 4, strict=False).decide(history) == ()
    later = curves(([9, 9, 1], True), ([6, 6], False), ([7, 6.5], False), ([8, 7], False))
    assert Hyperband((2,), 4).decide(later) == (1,)
    assert Hyperband((2,), 4, strict=False).decide(later) == ()


def test_hyperband_ties_and_lone_trials_survive() -> None:
    """Equal values stay, one alone stays, of two at eta 3 the worse one stops; who reached no band is not judged."""
    rule = Hyperband((2, 6), 3)
    assert rule.decide(curves(([4, 4], True), ([4, 4], True))) == ()
    assert rule.decide(curves(([4, 4], True))) == ()
    assert rule.decide(curves(([4, 4], True), ([4, 5], True))) == (2,)
    assert rule.decide(curves(([1], True), ([9], True))) == ()


def test_hyperband_judges_at_the_highest_band_alone() -> None:
    """A trial that was bad at an earlier band and is good at a later one goes on."""
    history = curves(([9, 9, 9, 1], True), ([1, 1, 1, 5], False), ([1, 1, 1, 6], False))
    assert Hyperband((2, 4), 3).decide(history) == ()


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.lists(st.integers(0, 5), max_size=9), st.booleans()), max_size=8),
    st.sampled_from([1.5, 2, 3]),
    st.booleans(),
)
def test_hyperband_is_the_rule_written_out(rows: list[tuple[list[int], bool]], eta: float, strict: bool) -> None:
    """It agrees with the rule computed band by band for every trial."""
    bands, history = bands_up(1, eta), curves(*rows)
    expected = []
    for curve in history:
        reached = [band for band in bands if band <= len(curve.values)]
        if curve.running and reached:
            there = sorted(one.values[reached[-1] - 1] for one in history if len(one.values) >= reached[-1])
            value = curve.values[reached[-1] - 1] if strict else min(curve.values)
            if value > there[int(len(there) * (1 / eta))]:
                expected.append(curve.number)
    assert Hyperband(bands, eta, strict).decide(history) == tuple(expected)


def test_asha_judges_once_at_each_rung() -> None:
    """The first goes on; a worse one stops; who went on is not stopped by better ones that come later."""
    rule = Asha((1, 3), 3)
    assert rule.decide(curves(([5], True))) == ()
    assert rule.decide(curves(([5], True), ([9], True))) == (2,)
    assert rule.decide(curves(([5], True), ([9], True), ([1], True))) == (2,)
    assert rule.decide(curves(([5, 5, 5], True), ([9], True), ([1, 1, 9], True))) == (2, 3)


def test_asha_judges_at_the_highest_rung_alone_after_a_restart() -> None:
    """A fresh rule stops nobody for a rung that lies behind; one that is bad where it stands is stopped."""
    history = curves(([5, 3, 3], True), ([1], False), ([2], False), ([4, 4, 4], True), ([3, 3], True))
    assert Asha((1, 3), 3).decide(history) == (4, 5)


def test_asha_spares_most_of_the_iterations() -> None:
    """81 trials of 81 iterations at eta 3: the best one runs to its end, and less than a fifth of all is spent."""
    source = random.Random(4)
    level = {number: source.random() for number in range(1, 82)}
    rule, lengths, alive = Asha(bands_up(1, 3, 81), 3), dict.fromkeys(level, 0), set(level)
    for _ in range(81):
        for number in sorted(alive):
            lengths[number] += 1
        history = [Curve(n, tuple(level[n] + 1 / (1 + i) for i in range(lengths[n])), n in alive) for n in level]
        alive -= set(rule.decide(history))
    assert min(level, key=lambda number: level[number]) in alive
    assert sum(lengths.values()) < 81 * 81 / 5


def test_median_stops_what_is_worse_than_most() -> None:
    """The best so far against the median of the others' averages, after a grace and with enough others."""
    others: list[tuple[Sequence[float], bool]] = [([4, 2], False), ([6, 4], False), ([9, 1], False)]
    assert Median(1, 3).decide(curves(*others, ([6, 5.5], True))) == (4,)
    assert Median(1, 3).decide(curves(*others, ([6, 5], True))) == ()
    assert Median(3, 3).decide(curves(*others, ([9, 9], True))) == ()
    assert Median(1, 4).decide(curves(*others, ([9, 9], True))) == ()
    assert Median().decide(curves(([], True))) == ()
