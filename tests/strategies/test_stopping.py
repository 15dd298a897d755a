"""Stopping rules: their bands, and whom they stop."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from besom.strategies.stopping import Asha, Curve, Hyperband, Median, StoppingRule, Verdict, bands_down, bands_up


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


def stopped(rule: StoppingRule, history: Sequence[Curve]) -> tuple[int, ...]:
    """Whom a rule stops, when that is all it does."""
    found = rule.decide(history)
    assert not found.passes
    assert not found.promotions
    return tuple(found.stops)


ENGINE = curves(
    ([10, 9], False), ([10, 10], True), ([10, 8, 8], True), ([10, 7, 7], True), ([10, 6, 6], False),
)  # fmt: skip


def test_hyperband_as_the_engine_documents_it() -> None:
    """The example in wandb/sweeps' own docstring, with bands 1 and 2: the one that is worse at its band stops."""
    assert stopped(Hyperband(bands_down(5, 2, 2), 2), ENGINE) == (2,)


def test_hyperband_strict_and_not() -> None:
    """Strict asks for the value at the band, not strict for the best so far."""
    history = curves(([5, 9], True), ([6, 6], False), ([7, 6.5], False), ([8, 7], False))
    assert stopped(Hyperband((2,), 4), history) == (1,)
    assert stopped(Hyperband((2,), 4, strict=False), history) == ()
    later = curves(([9, 9, 1], True), ([6, 6], False), ([7, 6.5], False), ([8, 7], False))
    assert stopped(Hyperband((2,), 4), later) == (1,)
    assert stopped(Hyperband((2,), 4, strict=False), later) == ()


def test_hyperband_ties_and_lone_trials_survive() -> None:
    """Equal values stay, one alone stays, of two at eta 3 the worse one stops; who reached no band is not judged."""
    rule = Hyperband((2, 6), 3)
    assert stopped(rule, curves(([4, 4], True), ([4, 4], True))) == ()
    assert stopped(rule, curves(([4, 4], True))) == ()
    assert stopped(rule, curves(([4, 4], True), ([4, 5], True))) == (2,)
    assert stopped(rule, curves(([1], True), ([9], True))) == ()


def test_hyperband_judges_at_the_highest_band_alone() -> None:
    """A trial that was bad at an earlier band and is good at a later one goes on."""
    history = curves(([9, 9, 9, 1], True), ([1, 1, 1, 5], False), ([1, 1, 1, 6], False))
    assert stopped(Hyperband((2, 4), 3), history) == ()


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
    assert stopped(Hyperband(bands, eta, strict), history) == tuple(expected)


def test_asha_judges_once_at_each_rung() -> None:
    """Who is not among the best third stops; who went on is not stopped by better ones that come later."""
    rule = Asha((1, 3), 3)
    assert rule.decide(curves(([5], True))) == Verdict(stops={1: 1})
    assert rule.decide(curves(([5], False), ([9], False), ([1], True))) == Verdict(passes={3: 1})
    passed = Curve(3, (1.0, 1.0), True, passed=1)
    better = curves(([0], True), ([9], False))
    assert rule.decide([*better, passed]) == Verdict(passes={1: 1})
    assert rule.decide([Curve(4, (8.0,), True), passed, *better]).stops == {4: 1}


def test_asha_promotes_who_is_among_the_best_after_all() -> None:
    """One that came too early goes on when enough worse ones have come, the highest rung and the best first."""
    rule = Asha((1, 3), 2)
    early, late = Curve(1, (5.0,), False, held=True), Curve(2, (9.0,), True)
    assert rule.decide([early, late]) == Verdict(stops={2: 1}, promotions={1: 1})
    assert Asha((1, 3), 2, promote=False).decide([early, late]) == Verdict(stops={2: 1})
    higher = [Curve(7, (9.0, 9.0, 4.0), False, held=True), Curve(8, (9.0, 9.0, 6.0), False, passed=1, held=True)]
    found = rule.decide([early, Curve(3, (4.0,), False, held=True), *higher])
    assert list(found.promotions.items()) == [(7, 3), (3, 1), (1, 1)]


def test_asha_promotes_nobody_but_those_a_rule_has_stopped() -> None:
    """A trial that failed, or was cancelled, keeps its rank, but does not go on."""
    history = [Curve(1, (1.0,), False), *[Curve(n, (float(n),), False, held=True) for n in range(2, 8)]]
    assert Asha((1,), 3).decide(history) == Verdict(promotions={2: 1})


def test_asha_lets_one_that_begins_anew_keep_its_place() -> None:
    """Promoted at rung 3 and back at its first value it is judged at no rung below, and nobody takes its place."""
    rule = Asha((1, 3), 2)
    anew = Curve(1, (9.0,), True, passed=3)
    second, third = (Curve(n, (5.0, 5.0, float(n)), False, passed=1, held=True) for n in (2, 3))
    assert rule.decide([anew, second, third]) == Verdict()


def test_asha_of_the_last_trials_lets_one_through() -> None:
    """When nobody else will come the best at a rung goes on, however few came there."""
    rule, held, better = Asha((1, 3), 3), Curve(1, (5.0,), False, held=True), [Curve(3, (1.0,), True)]
    assert rule.decide([held]) == rule.decide([held], left=1) == Verdict()
    assert rule.decide([held], left=0) == Verdict(promotions={1: 1})
    assert rule.decide([held, *better], left=2) == Verdict(stops={3: 1})
    assert rule.decide([held, *better], left=1) == Verdict(passes={3: 1})
    assert rule.decide([held, Curve(2, (9.0,), True)], left=1) == Verdict(stops={2: 1}, promotions={1: 1})
    higher = Curve(4, (9.0, 9.0, 9.0), False, passed=1, held=True)
    assert rule.decide([held, higher, *better], left=1) == Verdict(passes={3: 1}), "who may come to the higher rung"


def test_asha_gives_the_place_of_one_that_failed_to_the_next() -> None:
    """The best of three went on and failed; who was second is promoted, as if that one had been the worst."""
    gone, second = Curve(1, (1.0, 1.0), False, passed=1, lost=True), Curve(2, (2.0,), False, held=True)
    third = Curve(3, (3.0,), False, held=True)
    assert Asha((1, 3), 3).decide([gone, second, third]) == Verdict(promotions={2: 1})
    assert Asha((1, 3), 3).decide([replace(gone, lost=False), second, third]) == Verdict()


def test_asha_that_does_not_promote_lets_the_first_through() -> None:
    """Nothing could make up for its being early."""
    assert Asha((1, 3), 3, promote=False).decide(curves(([5], True))) == Verdict(passes={1: 1})


def test_asha_judges_at_the_highest_rung_that_was_reached() -> None:
    """Who logged past a rung before anybody looked is judged where it stands; a rung that lies behind stops nobody."""
    history = curves(([5, 3, 3], True), ([1], False), ([2], False), ([4, 4, 4], True), ([3, 3], True))
    assert Asha((1, 3), 3, promote=False).decide(history) == Verdict(stops={4: 3, 5: 1}, passes={1: 3})


class Sequential:
    """Algorithm 2 of Li et al. 2018, as printed there, with one worker."""

    def __init__(self, levels: Sequence[float], rungs: Sequence[int], eta: int) -> None:
        self.rungs, self.eta, self.fresh = rungs, eta, iter(range(1, len(levels) + 1))
        self.levels = levels
        self.losses: list[dict[int, float]] = [{} for _ in rungs]
        self.promoted: list[set[int]] = [set() for _ in rungs]

    def get_job(self) -> tuple[int, int] | None:
        for k in reversed(range(len(self.rungs))):
            ranked = sorted(self.losses[k], key=lambda number: self.losses[k][number])
            candidates = ranked[: len(ranked) // self.eta]
            promotable = [number for number in candidates if number not in self.promoted[k]]
            if promotable:
                self.promoted[k].add(promotable[0])
                return promotable[0], k + 1
        number = next(self.fresh, None)
        return None if number is None else (number, 0)

    def run(self) -> list[tuple[int, int]]:
        jobs: list[tuple[int, int]] = []
        while job := self.get_job():
            jobs.append(job)
            number, k = job
            if k < len(self.rungs):
                self.losses[k][number] = curve_of(self.levels[number - 1], self.rungs[k])[-1]
        return jobs


def curve_of(level: float, length: int) -> tuple[float, ...]:
    """A curve that falls to its level; such curves cross."""
    return tuple(level + (level * 7919 % 1) / (1 + step) for step in range(length))


def play(levels: Sequence[float], rule: Asha, *, restart: bool) -> list[tuple[int, int]]:
    """The jobs of one agent that runs trials under the rule: which trial, to which rung.

    `restart`: a promoted trial begins anew, and is looked at after each of its values.
    """
    jobs: list[tuple[int, int]] = []
    known: dict[int, Curve] = {}
    waiting: list[int] = []

    def judge() -> None:
        found = rule.decide([known[number] for number in sorted(known)])
        for number, rung in (found.passes | found.promotions).items():
            known[number] = replace(known[number], passed=rung, held=False)
        known.update({number: replace(known[number], running=False, held=True) for number in found.stops})
        waiting.extend(found.promotions)

    fresh = iter(range(1, len(levels) + 1))
    while (number := waiting.pop(0) if waiting else next(fresh, 0)) != 0:
        curve = known.get(number, Curve(number, (), True))
        length = 0 if restart else len(curve.values)
        known[number] = replace(curve, running=True, values=curve.values[:length])
        jobs.append((number, sum(rung <= known[number].passed for rung in rule.rungs)))
        while known[number].running and length <= rule.rungs[-1]:
            length += 1
            known[number] = replace(known[number], values=curve_of(levels[number - 1], length))
            before = known[number].passed
            judge()
            if known[number].passed > before:
                jobs.append((number, sum(rung <= known[number].passed for rung in rule.rungs)))
        known[number] = replace(known[number], running=False)
        judge()
    return jobs


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40, unique=True), st.sampled_from([2, 3, 4]), st.booleans())
def test_asha_is_algorithm_2(levels: list[float], eta: int, restart: bool) -> None:
    """With one worker it runs the same jobs in the same order as the algorithm written out, with checkpoints or not."""
    rungs = (1, 2, 5)
    assert play(levels, Asha(rungs, eta), restart=restart) == Sequential(levels, rungs, eta).run()


def test_asha_spares_most_of_the_iterations() -> None:
    """81 trials of 81 iterations at eta 3: the best one runs to its end, and less than a fifth of all is spent."""
    source = random.Random(4)
    level = {number: source.random() for number in range(1, 82)}
    rule, lengths, alive = Asha(bands_up(1, 3, 81), 3, promote=False), dict.fromkeys(level, 0), set(level)
    passed = dict.fromkeys(level, 0)
    for _ in range(81):
        for number in sorted(alive):
            lengths[number] += 1
        found = rule.decide(
            [Curve(n, tuple(level[n] + 1 / (1 + i) for i in range(lengths[n])), n in alive, passed[n]) for n in level]
        )
        alive -= set(found.stops)
        passed.update(found.passes)
    assert min(level, key=lambda number: level[number]) in alive
    assert sum(lengths.values()) < 81 * 81 / 5


def test_median_stops_what_is_worse_than_most() -> None:
    """The best so far against the median of the others' averages, after a grace and with enough others."""
    others: list[tuple[Sequence[float], bool]] = [([4, 2], False), ([6, 4], False), ([9, 1], False)]
    assert stopped(Median(1, 3), curves(*others, ([6, 5.5], True))) == (4,)
    assert stopped(Median(1, 3), curves(*others, ([6, 5], True))) == ()
    assert stopped(Median(3, 3), curves(*others, ([9, 9], True))) == ()
    assert stopped(Median(1, 4), curves(*others, ([9, 9], True))) == ()
    assert stopped(Median(), curves(([], True))) == ()
