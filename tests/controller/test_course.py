"""The order of a sweep's points: given ones first, each as often as it repeats, a grid around what was tried."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from besom.controller.course import Course, Past
from besom.controller.sweep_config import parse
from besom.controller.sweep_plan import SweepPlan
from besom.messages import SweepEdit, SweepSpec
from besom.strategies import EndedTrial, Params
from besom.tracking.recording.outcomes import TrialClosed
from tests.controller.fresh import answer

GRID = {"x": {"values": [1, 2, 3, 4]}}


def spec(method: str = "grid", edits: Sequence[SweepEdit] = (), **keys: Any) -> SweepSpec:
    config = {"method": method, "seed": 3, "metric": {"name": "loss"}, "parameters": GRID, **keys}
    return SweepSpec(id="s", entity="e", project="p", name="", created=0.0, config=config, edits=tuple(edits))


def plan(*past: Any, **keys: Any) -> SweepPlan:
    return SweepPlan.of(spec(**keys), "running", *past)


def tried(of: SweepPlan, rounds: int = 20) -> list[Any]:
    """The x of every trial, asked for and run a few at a time."""
    found: list[Any] = []
    for _ in range(rounds):
        for params in suggested(of):
            number = of.issued + 1
            of.issue(number, params)
            of.taken(number, params)
            of.closed(TrialClosed("s", number, "finished", float(params["x"]), (), params, 0.0))
            found.append(params["x"])
    return found


def suggested(of: SweepPlan) -> list[Params]:
    """As the loop asks for them."""
    if not of.adaptive:
        return of.suggest(1)
    asked = of.question(1)
    if asked is None:
        return []
    points = answer(pickle.loads(pickle.dumps(asked)))[len(asked.replan) :]
    of.answered()
    of.exhausted = of.exhausted or len(points) < asked.count
    return of.trials_of([*asked.given, *points], asked.due)


def edit(issued: int) -> SweepEdit:
    return SweepEdit(entry=f"{issued}-0", issued=issued)


@pytest.mark.parametrize("method", ["grid", "bayes"])
def test_given_points_come_first_and_once(method: str) -> None:
    """What the user gave is tried first, in order, and not a second time; the rest follows, and then it is over."""
    of = plan(method=method, points=[{"x": 3}, {"x": 2}])
    found = tried(of)
    assert found[:2] == [3, 2]
    assert sorted(found) == [1, 2, 3, 4]
    assert of.over


def test_random_draws_are_those_of_their_numbers() -> None:
    """Given points take the first numbers; what follows is drawn as without them."""
    keys: dict[str, Any] = {"method": "random", "parameters": {"x": {"min": 0.0, "max": 1.0}}, "run_cap": 6}
    alone, with_points = tried(plan(**keys)), tried(plan(**keys, points=[{"x": 0.5}, {"x": 0.25}]))
    assert with_points == [0.5, 0.25, *alone[2:]]


def test_points_come_right_after_the_last_edit() -> None:
    """Those that the config has at an edit have the next numbers, however many points were asked for before."""
    course = Course(parse(spec(points=[{"x": 2}, {"x": 3}]).config), 0, (edit(4), edit(7)))
    assert list(course.given_numbers) == [8, 9]
    assert course.given(7, 5) == [{"x": 2}, {"x": 3}]
    assert course.given(7, 1) == [{"x": 2}]
    assert course.given(8, 5) == [{"x": 3}]
    assert course.given(9, 5) == []


@pytest.mark.parametrize(("issued", "done"), [(5, 0), (6, 1), (7, 1), (8, 2), (9, 2), (30, 2)])
def test_points_that_had_their_turn(issued: int, done: int) -> None:
    """Counted from the last edit, each of them twice; a point has its turn with its first trial."""
    assert spec(points=[{"x": 1}, {"x": 2}], repeats=2, edits=[edit(2), edit(5)]).points_done(issued + 1) == done


@pytest.mark.parametrize("method", ["grid", "bayes"])
def test_each_point_is_repeated(method: str) -> None:
    """Three trials of each point, one after the other, however few are asked for at a time."""
    found = tried(plan(method=method, repeats=3, points=[{"x": 4}]))
    assert found[:3] == [4, 4, 4]
    assert [found[index : index + 3] for index in range(0, 12, 3)] == [[x] * 3 for x in found[::3]]
    assert sorted(found[::3]) == [1, 2, 3, 4]


def test_repeats_stop_at_the_cap() -> None:
    """run_cap counts trials, and a point may be cut short by it."""
    of = plan(repeats=3, run_cap=5)
    assert tried(of) == [1, 1, 1, 2, 2]
    assert of.over


def test_an_adaptive_strategy_sees_points() -> None:
    """Of a point's trials it is told the mean and its standard error, once all have ended; the others are running."""
    of = plan(method="bayes", repeats=2)
    for number, params in ((1, {"x": 1}), (2, {"x": 1}), (3, {"x": 2}), (4, {"x": 2}), (5, {"x": 3})):
        of.issue(number, params, claimed=True, waiting=False)
    for number, value in ((1, 2.0), (2, 4.0), (4, 9.0), (5, 1.0)):
        of.closed(TrialClosed("s", number, "finished", value, (), {"x": -(-number // 2)}, 0.0))
    asked = of.question(4)
    assert asked is not None
    assert list(asked.ended) == [EndedTrial(1, {"x": 1}, "finished", 3.0, (), 1.0, 2)]
    assert [(trial.number, trial.params) for trial in asked.running] == [(2, {"x": 2}), (3, {"x": 3})]


def test_unclaimed_points_are_replanned_whole() -> None:
    """A point of which one trial has been claimed keeps its params; so does one that the user gave."""
    of = plan(method="bayes", repeats=2, points=[{"x": 4}])
    for number in range(1, 8):
        of.issue(number, {"x": 1})
    of.taken(3, {"x": 1})
    of.taken(7, {"x": 1})
    of.closed(TrialClosed("s", 7, "finished", 1.0, (), {"x": 1}, 0.0))
    asked = of.question(1)
    assert asked is not None
    assert asked.replan == ((5, 6),)


def test_a_grid_goes_on_after_an_edit() -> None:
    """With other values it tries what is new and was not tried; what was tried stays tried, however it goes on."""
    done = tuple({"x": x} for x in (1, 2))
    wider = {"x": {"values": [2, 5, 1, 6]}}
    of = plan(Past(tried=done), edits=[edit(2)], parameters=wider)
    of.remember(2, {"x": 2})
    assert tried(of) == [5, 6]
    again = plan(Past(tried=done), edits=[edit(2)], parameters=wider)
    again.remember(3, {"x": 5})
    assert tried(again) == [6]


def test_a_grid_point_may_be_asked_for_again() -> None:
    """A point that the grid has tried, given later, runs once more, and nothing else is missed or repeated."""
    of = plan(Past(tried=({"x": 1}, {"x": 2})), edits=[edit(2)], points=[{"x": 1}])
    of.remember(2, {"x": 2})
    assert tried(of) == [1, 3, 4]


PRIOR = Past(
    prior=(
        EndedTrial(0, {"x": 2}, "finished", 0.5),
        EndedTrial(-1, {"x": 9}, "failed"),
        EndedTrial(-2, {"y": 1}, "failed"),
    )
)


@pytest.mark.parametrize("method", ["grid", "bayes"])
def test_what_earlier_sweeps_ran_is_not_run_again(method: str) -> None:
    """A grid skips their points, bayes has them as knowledge; what does not fit the space is no hindrance."""
    assert sorted(tried(plan(PRIOR, method=method))) == [1, 3, 4]


def failed(number: int, x: int, *curve: float) -> TrialClosed:
    return TrialClosed("s", number, "failed", None, curve, {"x": x}, 0.0)


@pytest.mark.parametrize(
    ("metric", "told"),
    [
        ({}, [("failed", None), ("finished", 1.0), ("finished", 3.0)]),
        ({"impute": "best"}, [("finished", 1.0), ("finished", 1.0), ("finished", 3.0)]),
        ({"impute": "best", "goal": "maximize"}, [("finished", 3.0), ("finished", 1.0), ("finished", 3.0)]),
        ({"impute": "latest"}, [("finished", 7.0), ("finished", 1.0), ("finished", 3.0)]),
    ],
)
def test_failed_trials_count_as_the_metric_says(metric: dict[str, Any], told: list[Any]) -> None:
    """impute: what a failed trial is taken for; the worst is left to bayes, which knows failures."""
    of = plan(method="bayes", metric={"name": "loss", **metric})
    for number in (1, 2, 3):
        of.issue(number, {"x": number}, claimed=True, waiting=False)
    of.closed(failed(1, 1, 8.0, 7.0))
    of.closed(TrialClosed("s", 2, "finished", 1.0, (1.0,), {"x": 2}, 0.0))
    of.closed(TrialClosed("s", 3, "finished", 3.0, (3.0,), {"x": 3}, 0.0))
    asked = of.question(1)
    assert asked is not None
    assert [(trial.state, trial.value) for trial in asked.ended] == told


def test_running_trials_count_as_the_metric_says() -> None:
    """impute_while_running: a trial that has logged something is told as if it had ended there."""
    of = plan(method="bayes", metric={"name": "loss", "impute_while_running": "latest"})
    of.issue(1, {"x": 1}, claimed=True, waiting=False)
    of.issue(2, {"x": 2}, claimed=True, waiting=False)
    asked = of.question(1, {1: (5.0, 4.0)})
    assert asked is not None
    assert (list(asked.ended), asked.guessed) == ([], [EndedTrial(1, {"x": 1}, "finished", 4.0, (5.0, 4.0))])
    assert [trial.number for trial in asked.running] == [2]


@pytest.mark.parametrize(
    ("goal", "value", "reason"), [("minimize", 0.5, True), ("minimize", 0.6, False), ("maximize", 0.6, True)]
)
def test_a_target_ends_the_sweep(goal: str, value: float, reason: bool) -> None:
    """When a trial's value is as good as the target, no more trials start."""
    of = plan(metric={"name": "loss", "goal": goal, "target": 0.5})
    of.closed(TrialClosed("s", 1, "finished", value, (), {"x": 1}, 0.0))
    assert bool(of.stop_reason(0.0)) == reason


def test_time_cap_counts_from_the_first_claim() -> None:
    """An hour that passes before anybody came does not count."""
    of = plan(time_cap="1h")
    assert not of.stop_reason(10**9)
    of.began = 100.0
    assert not of.stop_reason(3699.0)
    assert of.stop_reason(3700.0) == "time_cap is over"


def test_the_surrogate_reaches_the_search() -> None:
    """A forest asked for in the config chooses other points than the processes do, once there is something to fit."""
    line = {"x": {"min": 0.0, "max": 1.0}}
    found = {kind: tried(plan(method="bayes", parameters=line, surrogate=kind), 8) for kind in ("gp", "rf")}
    assert found["gp"][:4] == found["rf"][:4]
    assert found["gp"] != found["rf"]


def closed(number: int, value: float, state: str = "finished", curve: Sequence[float] = ()) -> TrialClosed:
    return TrialClosed("s", number, state, value, tuple(curve), {"x": -(-number // 2)}, 0.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_target_is_for_the_mean_of_a_point(method: str) -> None:
    """With repeats one lucky trial does not end the sweep; a point does whose mean is as good."""
    of = plan(method=method, repeats=2, metric={"name": "loss", "target": 0.5})
    reached = []
    for number, value in enumerate([0.1, 1.5, 0.4, 0.6], 1):
        of.issue(number, {"x": -(-number // 2)}, claimed=True, waiting=False)
        of.closed(closed(number, value))
        reached.append(bool(of.stop_reason(0.0)))
    assert reached == [False, False, False, True]


@pytest.mark.parametrize(
    ("values", "state", "reached"),
    [
        ((0.9, 5.0), "finished", True),
        ((0.9, 5.1), "finished", False),
        ((0.8, 1.0), "finished", False),
        ((0.9, None), "finished", False),
        ((0.9, 5.0), "failed", False),
    ],
)
def test_all_targets_must_be_reached_by_one_trial(values: Any, state: Any, reached: bool) -> None:
    """Of several metrics, those that have a target; the others do not matter."""
    metrics = [{"name": "acc", "goal": "maximize", "target": 0.9}, {"name": "seconds", "target": 5}, {"name": "size"}]
    of = plan(metric=None, metrics=metrics)
    of.closed(TrialClosed("s", 1, state, None, (), {"x": 1}, 0.0, (*values, 7.0)))
    assert bool(of.stop_reason(0.0)) == reached


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_a_mean_is_of_ends_not_of_beginnings(goal: str) -> None:
    """A stopped trial counts as what it would have come to, by what the finished ones gained from there."""
    sign = -1.0 if goal == "maximize" else 1.0
    of = plan(method="bayes", repeats=2, metric={"name": "loss", "goal": goal})
    told = [(1, "finished", (9, 5, 1)), (2, "stopped", (8,)), (3, "stopped", (7, 6)), (4, "failed", ())]
    for number, state, curve in told:
        of.issue(number, {"x": -(-number // 2)}, claimed=True, waiting=False)
        value = min(curve, default=0)
        of.closed(closed(number, sign * value, state, [sign * one for one in curve]))
    asked = of.question(1)
    assert asked is not None
    # Trial 1 gained 4 after its second value, so trial 3 ends at 2; both gained 6.5 after their first: trial 2 at 1.5.
    assert [(one.number, one.state, one.value, one.trials) for one in asked.ended] == [
        (1, "finished", sign * 1.25, 2),
        (2, "finished", sign * 2.0, 1),
    ]
    assert asked.ended[0].spread == pytest.approx(0.25)
