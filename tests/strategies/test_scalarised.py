"""Several metrics at once: what a direction makes of them, and what the search makes of that."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from besom.strategies import Dimension, EndedTrial, Params, RunningTrial, Space, Strategy, Uniform, make_strategy
from besom.strategies.scalarised import direction, scalarised

CUBE = Space(tuple(Dimension((f"x{index}",), Uniform(0, 1)) for index in range(4)))
GOALS = ("minimize", "minimize")
ZDT1_REFERENCE = (1.1, 3.0)


def zdt1(params: Params) -> tuple[float, float]:
    """Zitzler, Deb and Thiele 2000; its front is 1 - sqrt(x0), where all other parameters are 0."""
    first, *rest = (params[f"x{index}"] for index in range(4))
    g = 1 + 9 * sum(rest) / len(rest)
    return first, g * (1 - math.sqrt(first / g))


def hypervolume(points: list[tuple[float, float]], reference: tuple[float, float]) -> float:
    """The area between the points and the reference, of two metrics to minimise, by slices."""
    area, height = 0.0, reference[1]
    for x, y in sorted(points):
        if x < reference[0] and y < height:
            area += (reference[0] - x) * (height - y)
            height = y
    return area


def tried(strategy: Strategy, trials: int) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for number in range(1, trials + 1):
        params = strategy.suggest(1)[0]
        found.append(zdt1(params))
        strategy.update([EndedTrial(number, params, "finished", values=found[-1])], [])
    return found


def test_lengths_over_all_directions_are_the_hypervolume() -> None:
    """The k-th power of the best length, in the mean over directions, is the hypervolume but for a constant."""
    points = [(-3.0, -1.0), (-2.0, -2.0), (-0.5, -4.0), (-1.0, -1.0), (1.0, -9.0)]
    drawn = [direction(7, number, 2) for number in range(4000)]
    best = np.array([max(0.0, -scalarised(np.array(points), towards).min()) for towards in drawn])
    # A quarter of the circle's area, as Zhang and Golovin's lemma 5 has it.
    assert math.pi / 4 * float((best**2).mean()) == pytest.approx(hypervolume(points, (0.0, 0.0)), rel=0.03)


def test_directions_are_even_and_their_own() -> None:
    """They have length 1 and no zero part, each number and seed has another, and no metric is preferred."""
    drawn = np.array([direction(1, number, 3) for number in range(2000)])
    assert np.linalg.norm(drawn, axis=1) == pytest.approx(1.0)
    assert drawn.min() > 0
    assert (drawn**2).mean(axis=0) == pytest.approx(1 / 3, abs=0.03)
    assert len({row.tobytes() for row in drawn}) == 2000
    assert (direction(2, 5, 3) != direction(1, 5, 3)).all()
    assert (direction(1, 5, 3) == drawn[5]).all()


def test_finds_more_of_a_known_front_than_random_search() -> None:
    """On ZDT1, whose front dominates 2.97, 40 trials dominate 2.7 in the median of five seeds; random search 1.0."""
    whole = ZDT1_REFERENCE[0] * ZDT1_REFERENCE[1] - 1 / 3

    def median(method: str) -> float:
        makes = (make_strategy(method, CUBE, seed=seed, goals=GOALS) for seed in range(5))
        return statistics.median(hypervolume(tried(made, 40), ZDT1_REFERENCE) for made in makes)

    found = median("bayes")
    assert 2.7 < found < whole
    assert median("random") < 0.5 * found


def test_a_front_is_covered_not_one_end_of_it() -> None:
    """Of the trials close to the front of ZDT1, three and more lie in its lower half, and in its upper."""
    points = tried(make_strategy("bayes", CUBE, seed=3, goals=GOALS), 40)
    near = [x for x, y in points if y < 1 - math.sqrt(x) + 0.3]
    assert min(sum(x < 0.25 for x in near), sum(x >= 0.25 for x in near)) >= 3


def test_units_do_not_matter() -> None:
    """A metric in thousandths, or in millions, leads to the same points."""

    def suggested(*scales: float) -> list[Params]:
        strategy = make_strategy("bayes", CUBE, seed=1, goals=GOALS)
        points = make_strategy("random", CUBE, seed=2).suggest(16)
        values = [tuple(scale * value for scale, value in zip(scales, zdt1(one), strict=True)) for one in points]
        told = enumerate(zip(points, values, strict=True), 1)
        strategy.update([EndedTrial(i, one, "finished", values=value) for i, (one, value) in told], [])
        return strategy.suggest(2)

    plain = suggested(1, 1)
    for one, other in zip(plain, suggested(2**-10, 2**20), strict=True):
        assert one == pytest.approx(other)


def test_a_diverged_trial_does_not_blind_the_search() -> None:
    """One trial with 1e30 in one metric, and the best in the other, costs little of the front that is found."""
    strategy = make_strategy("bayes", CUBE, seed=2, goals=GOALS)
    strategy.update([EndedTrial(0, {f"x{index}": 0.9 for index in range(4)}, "finished", values=(-0.1, 1e30))], [])
    assert hypervolume(tried(strategy, 40), ZDT1_REFERENCE) > 2.5


@pytest.mark.parametrize("values", [(), (None, 1.0), (1.0, None), (math.nan, 1.0), (1.0, math.inf)])
def test_a_trial_without_all_values_has_failed(values: tuple[float | None, ...]) -> None:
    """What lacks a metric counts as a trial that failed."""

    def suggested(last: EndedTrial) -> list[Params]:
        strategy = make_strategy("bayes", CUBE, seed=1, goals=GOALS)
        ended = [EndedTrial(i, one, "finished", values=zdt1(one)) for i, one in enumerate(points[:15], 1)]
        strategy.update([*ended, last], [])
        return strategy.suggest(2)

    points = make_strategy("random", CUBE, seed=2).suggest(16)
    failed = suggested(EndedTrial(16, points[15], "failed", values=(0.0, 0.0)))
    assert suggested(EndedTrial(16, points[15], "finished", values=values)) == failed
    assert suggested(EndedTrial(16, points[15], "finished", values=zdt1(points[15]))) != failed


def test_a_batch_looks_in_several_directions() -> None:
    """Ten points asked for at once, with one running, are all different and lie along the front, not in one place."""
    strategy = make_strategy("bayes", CUBE, seed=1, goals=GOALS)
    points = make_strategy("bayes", CUBE, seed=1, goals=GOALS).suggest(20)
    ended = [EndedTrial(i, one, "finished", values=zdt1(one)) for i, one in enumerate(points[:-1], 1)]
    strategy.update(ended, [RunningTrial(20, points[-1])])
    batch = strategy.suggest(10)
    assert len({tuple(one.values()) for one in [*points, *batch]}) == 30
    assert np.ptp([one["x0"] for one in batch]) > 0.3


def test_a_threshold_keeps_the_search_within_it() -> None:
    """Of a front evenly spread from one point to another, the part that is near enough to the first is searched."""
    space = Space(CUBE.dimensions[:2])

    def within(thresholds: tuple[float | None, ...]) -> float:
        strategy = make_strategy("bayes", space, seed=4, goals=GOALS, thresholds=thresholds)
        near = []
        for number in range(1, 25):
            params = strategy.suggest(1)[0]
            values = tuple(sum((x - centre) ** 2 for x in params.values()) for centre in (0.2, 0.8))
            near.append(values[0] <= 0.08)
            strategy.update([EndedTrial(number, params, "finished", values=values)], [])
        return statistics.fmean(near[10:])

    assert within((0.08, None)) > 0.75
    assert within(()) < 0.5


def test_a_stopped_trial_counts_by_its_end() -> None:
    """With the curves of the second metric, a trial that was stopped early is worth as much as one that went on."""
    points = make_strategy("random", CUBE, seed=2).suggest(16)

    def suggested(last: EndedTrial) -> list[Params]:
        strategy = make_strategy("bayes", CUBE, seed=1, goals=GOALS, judged=1)
        curves = [(zdt1(one)[1] + 2, zdt1(one)[1]) for one in points]
        told = enumerate(zip(points[:15], curves, strict=False), 1)
        ended = [EndedTrial(i, one, "finished", curve=curve, values=zdt1(one)) for i, (one, curve) in told]
        strategy.update([*ended, last], [])
        return strategy.suggest(2)

    x, y = zdt1(points[15])
    whole = EndedTrial(16, points[15], "finished", curve=(y + 2, y), values=(x, y))
    cut = EndedTrial(16, points[15], "stopped", curve=(y + 2,), values=(x, y + 2))
    for one, other in zip(suggested(cut), suggested(whole), strict=True):
        assert one == pytest.approx(other)
    assert suggested(cut) != suggested(EndedTrial(16, points[15], "finished", curve=(y + 2,), values=(x, y + 2)))


def test_what_a_stopped_trial_had_no_time_to_log() -> None:
    """Is taken for the median of the others; without the metric that is judged it has failed."""
    points = make_strategy("random", CUBE, seed=2).suggest(16)

    def suggested(state: str, *last: float | None) -> list[Params]:
        strategy = make_strategy("bayes", CUBE, seed=1, goals=GOALS, judged=1)
        ended = [EndedTrial(i, one, "finished", values=zdt1(one)) for i, one in enumerate(points[:15], 1)]
        strategy.update([*ended, EndedTrial(16, points[15], state, values=last)], [])
        return strategy.suggest(2)

    y, median = zdt1(points[15])[1], statistics.median(zdt1(one)[0] for one in points[:15])
    assert suggested("stopped", None, y) == suggested("stopped", median, y)
    assert suggested("stopped", 0.5, None) == suggested("failed", 0.5, 0.5) != suggested("stopped", None, y)


def test_errors_of_repeated_trials_are_known() -> None:
    """A trial whose good values are uncertain draws the search less than one whose values are exact."""
    points = make_strategy("random", CUBE, seed=2).suggest(20)
    good = {f"x{index}": 0.9 for index in range(4)}

    def distance(error: float) -> float:
        strategy = make_strategy("bayes", CUBE, seed=1, goals=GOALS)
        told = enumerate(points, 1)
        ended = [EndedTrial(i, one, "finished", values=zdt1(one), spreads=(0.01, 0.01), trials=9) for i, one in told]
        last = EndedTrial(21, good, "finished", values=(0.0, 0.0), spreads=(error, 10 * error), trials=9)
        strategy.update([*ended, last], [])
        return statistics.fmean(abs(value - 0.9) for one in strategy.suggest(6) for value in one.values())

    assert distance(3.0) > 1.5 * distance(0.01)


@pytest.mark.parametrize("spreads", [(math.inf, math.nan), (1e308, 0.0), (1e-320, 1e308)])
def test_errors_that_say_nothing_break_nothing(spreads: tuple[float, float]) -> None:
    """Infinite, missing or absurd errors leave a search that suggests points, also where a trial lacks values."""
    points = make_strategy("random", CUBE, seed=2).suggest(12)
    ended = [
        EndedTrial(i, one, "finished", values=zdt1(one), spreads=spreads, trials=3) for i, one in enumerate(points)
    ]
    strategy = make_strategy("bayes", CUBE, seed=1, goals=GOALS, thresholds=(1e308, -1e308))
    strategy.update([*ended, EndedTrial(12, points[0], "failed", spreads=spreads)], [])
    assert len(strategy.suggest(3)) == 3
