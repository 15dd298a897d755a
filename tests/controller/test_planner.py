"""The process beside the loop: it answers, is replaced when it dies, and ends with its controller."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from besom.controller.keeper import News
from besom.controller.planner import Planner, _drop
from besom.controller.sweep_plan import Question, SweepPlan
from besom.errors import ConfigError
from besom.strategies import Params
from besom.tracking.recording.outcomes import TrialClosed
from tests.controller.fresh import answer
from tests.controller.test_sweep_plan import plan_of
from tests.e2e.processes import alive
from tests.waiting import until


def _question(sweep: str = "s") -> Question:
    asked = plan_of("bayes").question(2)
    assert asked is not None
    return dataclasses.replace(asked, sweep=sweep)


def _process() -> int:
    [child] = multiprocessing.active_children()
    assert child.pid is not None
    return child.pid


@pytest.fixture
def planner() -> Iterator[Planner]:
    made = Planner()
    yield made
    made.close()


def test_answers_exceptions_and_close(planner: Planner) -> None:
    """Answers come once and are those of a call in place; a strategy's error comes as such; close ends the process."""
    good, bad = _question("good"), _question("bad")
    riddle = bad.course.config.model_copy(update={"method": "riddle"})
    bad = dataclasses.replace(bad, course=dataclasses.replace(bad.course, config=riddle))
    planner.ask(good)
    planner.ask(bad)
    assert planner.asked("good")
    found = {}
    while planner.busy:
        planner.wait(60)
        found.update({asked.sweep: points for asked, points in planner.answers()})
    assert found["good"] == answer(good)
    assert isinstance(found["bad"], ConfigError)
    assert "riddle" in str(found["bad"])
    assert planner.answers() == []
    assert not planner.asked("good")
    pid = _process()
    planner.close()
    assert not alive(pid)


def test_process_that_dies_is_replaced(planner: Planner, caplog: pytest.LogCaptureFixture) -> None:
    """After kill -9 all questions are open again, and another process answers them."""
    planner.warm_up()
    planner.ask(_question("a"))
    planner.ask(_question("b"))
    first = until(multiprocessing.active_children, "a process")[0].pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: planner.answers() == [] and not planner.asked("a") and not planner.asked("b"), "both to be dropped")
    assert caplog.text.count("died; starting another") == 1
    for sweep in ("a", "b"):
        assert _answered(planner, _question(sweep)) == answer(_question())
    assert _process() != first


class Overheard(Planner):
    """Keeps what the process is told."""

    def __init__(self) -> None:
        super().__init__()
        self.news: list[News] = []

    def _submit(self, action: Any, argument: Any) -> Any:
        if isinstance(argument, News):
            self.news.append(argument)
        return super()._submit(action, argument)


def _answered(planner: Planner, question: Question) -> list[Params]:
    """As the loop does: what was not answered is asked again."""

    def answers() -> list[tuple[Question, list[Params] | Exception]]:
        if not planner.asked(question.sweep):
            planner.ask(question)
        return planner.answers()

    [(_, points)] = until(answers, "an answer", 60)
    assert not isinstance(points, Exception)
    return points


class Sweep:
    """A plan, and what happens in its sweep."""

    def __init__(self, name: str, repeats: int) -> None:
        plan = plan_of("bayes", repeats=repeats)
        self.plan = SweepPlan.of(plan.spec.model_copy(update={"id": name}), plan.state)
        self._over: dict[int, TrialClosed] = {}

    def go_on(self, points: list[Params]) -> None:
        """The points are issued and taken, and all trials but the last two end."""
        for params in self.plan.trials_of(points, 4):
            self.plan.issue(self.plan.issued + 1, params)
            self.plan.taken(self.plan.issued, params)
        for number in sorted(self.plan.trials)[:-2]:
            params = self.plan.trials[number]
            value = None if number % 5 == 4 else (params["x"] - 0.3) ** 2 + self.plan.issued / 1000
            closed = TrialClosed(self.plan.spec.id, number, "finished" if value else "failed", value, (), params, 0.0)
            self._over[number] = closed
            self.plan.closed(closed)

    def retry(self, number: int) -> None:
        self.plan.reopened(number, self._over.pop(number).params)

    def read_again(self) -> None:
        """Another plan of the same, as after an edit or a restart."""
        before, self.plan = self.plan, SweepPlan.of(self.plan.spec, self.plan.state)
        for number, params in before.trials.items():
            self.plan.issue(number, params, claimed=True, waiting=False)
        for closed in self._over.values():
            self.plan.closed(closed)


def test_kept_strategy_answers_as_a_fresh_one() -> None:
    """Through a retry, kill -9 of the process and a plan read again; otherwise it is told only what is new."""
    planner, sweeps = Overheard(), [Sweep("once", 1), Sweep("twice", 2)]
    for turn in range(8):
        if turn == 5:
            os.kill(_process(), signal.SIGKILL)
        for sweep in sweeps:
            if turn == 3:
                sweep.retry(2)
            if turn == 6:
                sweep.read_again()
            asked = sweep.plan.question(4)
            assert asked is not None
            points = _answered(planner, asked)
            assert points == answer(asked)
            sweep.go_on(points)
    planner.close()
    once = [news for news in planner.news if news.sweep == "once"]
    assert [len(news.ended) for news in once[:5]] == [0, 2, 4, 4, 4]
    assert [news.course is not None for news in once[:5]] == [True, False, False, False, False]
    assert [news.course is not None for news in once[-3:]] == [True, True, False]


def test_what_the_process_does_not_know_is_told_in_full() -> None:
    """It forgets sweeps that are not kept; one that is asked about, and not known, leaves the question open once."""
    planner, asked = Overheard(), [_question("a"), _question("b")]
    for question in asked:
        _answered(planner, question)
    planner.keep({"a", "c"})
    for question in asked:
        _answered(planner, question)
    assert [(news.sweep, news.course is not None) for news in planner.news[2:]] == [("a", False), ("b", True)]
    until(planner._submit(_drop, "a").done, "the strategy to be dropped")
    assert _answered(planner, asked[0]) == answer(asked[0])
    assert [news.course is not None for news in planner.news[4:]] == [False, True]
    planner.close()


def test_forgotten_questions_are_not_answered(planner: Planner) -> None:
    """What was asked before `forget` never comes back."""
    planner.ask(_question("old"))
    planner.forget()
    assert not planner.asked("old")
    planner.ask(_question("new"))
    assert [asked.sweep for asked, _ in until(planner.answers, "an answer")] == ["new"]


def test_close_without_a_process(planner: Planner) -> None:
    """A planner that was never asked has no process, and closes."""
    planner.close()
    assert multiprocessing.active_children() == []
