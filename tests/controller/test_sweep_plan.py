"""The state of one sweep: how many trials are due, what an adaptive strategy is asked, and when the sweep is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from besom.controller.sweep_config import MetricConfig
from besom.controller.sweep_plan import SweepPlan
from besom.errors import ConfigError
from besom.messages import SweepSpec
from besom.strategies import EndedTrial
from besom.tracking.recording.outcomes import TrialClosed
from tests.controller.fresh import answer


def plan_of(method: str = "random", state: str = "running", **keys: Any) -> SweepPlan:
    """A plan over x in [0, 1], or over the values given."""
    values = keys.pop("values", None)
    config = {
        "method": method,
        "seed": 7,
        "metric": {"name": "loss", "goal": "minimize"},
        "parameters": {"x": {"values": values} if values else {"min": 0.0, "max": 1.0}},
        **keys,
    }
    return SweepPlan.of(SweepSpec(id="s", entity="e", project="p", name="", created=0.0, config=config), state)


def ended(number: int, state: str = "finished", value: float | None = 1.0, at: float = 0.0) -> TrialClosed:
    return TrialClosed(
        sweep="s", number=number, state=state, value=value, curve=(), params={"x": 0.5}, ended=at  # type: ignore[arg-type]
    )  # fmt: skip


def issued(plan: SweepPlan, count: int) -> SweepPlan:
    for number in range(1, count + 1):
        plan.issue(number, {"x": number / 100})
    return plan


# ---- what is due


def run_fast(plan: SweepPlan, count: int, at: float = 0.0) -> SweepPlan:
    """So many trials end within half a second."""
    for number in range(plan.issued + 1, plan.issued + 1 + count):
        plan.issue(number, {"x": 0.5})
        plan.closed(ended(number, at=at))
    return plan


@pytest.mark.parametrize(
    ("slots", "lately", "wanted"), [(0, 0, 2), (1, 0, 2), (4, 0, 8), (4, 3, 8), (4, 20, 30), (1, 501, 752)]
)
def test_ready_work_follows_what_ended_in_half_a_second(slots: int, lately: int, wanted: int) -> None:
    """Random keeps one and a half times what ended in half a second ready; two trials for each slot at least."""
    assert run_fast(plan_of(), lately).due(slots) == wanted


def test_ready_work_shrinks_with_the_pace() -> None:
    """What ended a second ago and before counts no more, once trials end more slowly."""
    plan = run_fast(plan_of(), 100, at=10.0)
    assert plan.due(1) == 150
    run_fast(plan, 1, at=10.6)
    assert plan.due(1) == 150
    run_fast(plan, 1, at=11.1)
    assert plan.due(1) == 2


def test_never_more_than_five_thousand_wait() -> None:
    """Trials of a microsecond do not fill Redis."""
    assert run_fast(plan_of(), 4000).due(8) == 5000


def test_adaptive_keeps_one_for_each_slot() -> None:
    """Bayes has one trial waiting for each slot, and one when nobody is there."""
    assert [plan_of("bayes").due(slots) for slots in (0, 1, 4)] == [1, 1, 4]


def test_waiting_trials_are_not_asked_for_again() -> None:
    """What waits counts, what an agent has taken does not, and what came back waits again."""
    plan = issued(plan_of(), 4)
    assert plan.due(4) == 4
    plan.taken(1, {"x": 0.01})
    assert plan.due(4) == 5
    plan.back(1)
    assert plan.due(4) == 4


@pytest.mark.parametrize(("cap", "due"), [(1, 0), (3, 0), (5, 2), (1000, 4)])
def test_run_cap_counts_what_was_issued(cap: int, due: int) -> None:
    """Three issued trials, ended or not, leave at most run_cap - 3."""
    plan = issued(plan_of(run_cap=cap), min(3, cap))
    for number in range(1, min(3, cap) + 1):
        plan.taken(number, {})
    plan.closed(ended(1))
    assert plan.due(2) == due


@pytest.mark.parametrize("state", ["paused", "stopping", "finished", "cancelled"])
def test_nothing_is_due_unless_it_runs(state: str) -> None:
    """Only a pending or running sweep gets trials."""
    assert plan_of(state=state).due(4) == 0
    assert plan_of("bayes", state=state).question(4) is None


def test_sweep_that_was_set_aside_gets_nothing() -> None:
    """A problem ends the planning, not the state."""
    plan = plan_of()
    plan.problem = "ValueError: no"
    assert plan.due(4) == 0
    assert plan.active


# ---- suggestions of strategies that learn nothing


def test_grid_is_exhausted_with_its_last_point() -> None:
    """Five points are suggested once each; then nothing is due, and the sweep is over when the last has ended."""
    plan, found = plan_of("grid", values=[1, 2, 3, 4, 5]), []
    while points := plan.suggest(1):
        for params in points:
            found.append(params["x"])
            plan.issue(plan.issued + 1, params)
            plan.taken(plan.issued, params)
    assert found == [1, 2, 3, 4, 5]
    assert plan.exhausted
    assert not plan.over
    for number in range(1, 6):
        plan.closed(ended(number))
    assert plan.over


@pytest.mark.parametrize("slots", [1, 2, 3, 5])
def test_suggestions_do_not_depend_on_how_they_are_asked_for(slots: int) -> None:
    """Twelve random points are the same, asked for in parts or all at once, and after a restart in the middle."""
    whole, pieces = plan_of(run_cap=12), plan_of(run_cap=12)
    expected = [params["x"] for params in whole.suggest(6)]
    assert len(expected) == 12
    found: list[float] = []
    while len(found) < 12:
        for params in pieces.suggest(slots):
            found.append(params["x"])
            pieces.issue(pieces.issued + 1, params)
            pieces.closed(ended(pieces.issued))
        again = plan_of(run_cap=12)
        again.issued = pieces.issued
        again.learn(EndedTrial(pieces.issued, {}, "finished"))
        pieces = again
    assert found == expected


# ---- questions to adaptive strategies


def test_question_carries_all_that_the_answer_depends_on() -> None:
    """History, running trials, seed and goal stand in the question."""
    plan = issued(plan_of("bayes", metric={"name": "loss", "goal": "maximize"}), 2)
    plan.taken(1, {"x": 0.3})
    plan.taken(2, {"x": 0.4})
    plan.closed(ended(1, value=3.0))
    asked = plan.question(1)
    assert asked is not None
    assert (asked.sweep, asked.course.seed, asked.course.config.method, asked.issued) == ("s", 7, "bayes", 2)
    assert asked.course.config.metric == MetricConfig(name="loss", goal="maximize")
    assert [(trial.number, trial.value) for trial in asked.ended] == [(1, 3.0)]
    assert [(trial.number, trial.params) for trial in asked.running] == [(2, {"x": 0.4})]
    assert (asked.replan, asked.count) == ((), 1)


def test_unclaimed_trials_are_planned_anew_when_results_came() -> None:
    """After a result the trials that nobody ever claimed are asked for again, and not told as running."""
    plan = issued(plan_of("bayes"), 3)
    plan.taken(1, {"x": 0.01})
    plan.taken(2, {"x": 0.02})
    plan.back(2)
    plan.closed(ended(1))
    asked = plan.question(1)
    assert asked is not None
    assert asked.replan == ((3,),)
    assert [trial.number for trial in asked.running] == [2]


def test_nothing_is_asked_without_news() -> None:
    """With enough waiting and nothing new there is no question; after a result there is, until it is answered."""
    plan = issued(plan_of("bayes"), 2)
    assert plan.question(2) is None
    plan.taken(1, {"x": 0.01})
    plan.issue(3, {"x": 0.03})
    assert plan.question(2) is None
    plan.closed(ended(1))
    assert plan.question(2) is not None
    plan.answered()
    assert plan.question(2) is None


def test_answer_is_that_of_a_fresh_strategy() -> None:
    """Asked twice, the same question gets the same points: as many as are replanned and due."""
    plan = issued(plan_of("bayes"), 2)
    plan.taken(1, {"x": 0.1})
    plan.closed(ended(1))
    asked = plan.question(3)
    assert asked is not None
    points = answer(asked)
    assert len(points) == len(asked.replan) + asked.count == 3
    assert all(0 <= point["x"] <= 1 for point in points)
    assert answer(asked) == points


# ---- the end


@pytest.mark.parametrize(
    ("state", "cap", "left", "over"),
    [
        ("running", None, 0, False),
        ("running", 2, 0, True),
        ("running", 2, 1, False),
        ("pending", 2, 0, True),
        ("paused", 2, 0, True),
        ("stopping", None, 0, True),
        ("stopping", None, 1, False),
        ("cancelled", 2, 0, False),
        ("finished", 2, 0, False),
    ],
)
def test_over(state: str, cap: int | None, left: int, over: bool) -> None:
    """Over is what is active, has no open trial, and was stopped or has used its budget."""
    plan = issued(plan_of(state=state, **({"run_cap": cap} if cap else {})), 2)
    for number in range(1, 3 - left):
        plan.closed(ended(number))
    assert plan.over is over


def test_a_promoted_trial_runs_again_for_the_strategy() -> None:
    """What it was worth counts no longer, its point is pending, and of what is due it is one."""
    plan = issued(plan_of("bayes"), 2)
    for number in (1, 2):
        plan.taken(number, {"x": number / 100})
        plan.closed(ended(number, "stopped"))
    assert plan.due(2) == 2
    plan.reopened(1, {"x": 0.01})
    assert plan.due(2) == 1
    asked = plan.question(2)
    assert asked is not None
    assert [trial.number for trial in asked.running] == [1]
    assert answer(asked) == answer(replace(asked, ended=[trial for trial in asked.ended if trial.number == 2]))


def test_end_of_a_trial_that_is_not_known() -> None:
    """An end that comes before the plan knows the trial counts its number as issued."""
    plan = plan_of(run_cap=10)
    plan.closed(ended(7))
    assert (plan.issued, plan.trials) == (7, {})


def test_config_that_cannot_be() -> None:
    """A spec that `besom.sweep` did not write is refused with the key's name."""
    spec = SweepSpec(id="s", entity="e", project="p", name="", created=0.0, config={"method": "magic"})
    with pytest.raises(ConfigError, match="method"):
        SweepPlan.of(spec, "pending")
