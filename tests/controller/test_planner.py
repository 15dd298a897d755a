"""The process beside the loop: it answers, is replaced when it dies, and ends with its controller."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
from collections.abc import Iterator

import pytest

from besom.controller.planner import Planner
from besom.controller.sweep_plan import Question, answer
from besom.errors import ConfigError
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
    until(lambda: found.update({asked.sweep: points for asked, points in planner.answers()}) or len(found) == 2, "both")
    assert found["good"] == answer(good)
    assert isinstance(found["bad"], ConfigError)
    assert "riddle" in str(found["bad"])
    assert planner.answers() == []
    assert not planner.asked("good")
    pid = _process()
    planner.close()
    assert not alive(pid)


def test_process_that_dies_is_replaced(planner: Planner, caplog: pytest.LogCaptureFixture) -> None:
    """After kill -9 the question is open again, and the next one is answered by another process."""
    planner.warm_up()
    planner.ask(_question())
    first = until(multiprocessing.active_children, "a process")[0].pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: planner.answers() == [] and not planner.asked("s"), "the question to be dropped")
    assert "died; starting another" in caplog.text
    planner.ask(_question())
    found = until(planner.answers, "an answer")
    assert found[0][1] == answer(_question())
    assert _process() != first


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
