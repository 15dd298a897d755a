"""kill -9 an agent, wherever it is: its trial runs again in time, counts once, and no child is left."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.e2e.checker import check, lines, recovered, started
from tests.e2e.processes import House, Process, alive, wait_until

pytestmark = pytest.mark.redis

GRID = {"x": [0, 1, 2]}
PARAMETERS = {"x": {"values": GRID["x"]}}


def _left(house: House, sweep: str, agent: Process) -> list[int]:
    """Processes in which trials of this agent ran, and that are still there."""
    return [line.pid for line in lines(house, sweep, "start") if line.agent == agent.pid and alive(line.pid)]


def _rescue(house: House, kind: str, sweep: str, doomed: Process, since: float, attempts: int) -> None:
    """Another agent ends the sweep; the first trial has had so many attempts."""
    house.hold.unlink(missing_ok=True)
    agent = house.agent(kind, sweep)
    if attempts > 1:
        recovered(house, sweep, 1, since)
    house.finishes(sweep)
    assert agent.ends() == 0, agent.err
    rows = check(house, sweep, grid=GRID)
    assert [rows[1]["attempt"], rows[1]["losses"]] == [attempts, attempts - 1]
    assert not _left(house, sweep, doomed), "a trial outlived its agent"


@pytest.mark.parametrize(
    ("kind", "whole_group"),
    [
        pytest.param("function", False, marks=pytest.mark.soak),
        pytest.param("command", False, marks=pytest.mark.soak),
        ("command", True),
    ],
)
def test_agent_killed_in_a_trial(planned: House, kind: str, whole_group: bool) -> None:
    """In the middle of a trial, alone or with its process group: the child goes too, the points that Redis had stay."""
    house = planned
    house.hold.touch()
    sweep = house.sweep(PARAMETERS)
    doomed = house.agent(kind, sweep, TRAIN_STEPS="4")
    [first] = started(house, sweep)
    wait_until(lambda: lines(house, sweep, "taken", first.number), "points of the first attempt in Redis")
    (os.killpg if whole_group else os.kill)(doomed.pid, signal.SIGKILL)
    at = time.time()
    assert doomed.ends() == -signal.SIGKILL
    wait_until(lambda: not _left(house, sweep, doomed), "the end of the trial's process", 2)
    _rescue(house, kind, sweep, doomed, at, 2)


@pytest.mark.parametrize("kind", ["function", "command"])
@pytest.mark.parametrize(
    ("point", "attempts"),
    [("after-claim", 2), ("before-beat", 2), ("before-complete", 2), ("after-complete", 1)],
)
@pytest.mark.soak
def test_agent_killed_at(planned: House, kind: str, point: str, attempts: int) -> None:
    """Between claim and first beat, or while it reports: an end that Redis had counts, any other trial runs again."""
    _killed_at(planned, kind, point, attempts)


@pytest.mark.parametrize(("point", "attempts"), [("before-complete", 2), ("after-complete", 1)])
def test_function_agent_killed_while_reporting(planned: House, point: str, attempts: int) -> None:
    """Before the report has reached Redis the trial runs again; afterwards it does not."""
    _killed_at(planned, "function", point, attempts)


def _killed_at(house: House, kind: str, point: str, attempts: int) -> None:
    if point == "before-beat":
        house.hold.touch()
    sweep = house.sweep(PARAMETERS)
    doomed = house.agent(kind, sweep, BESOM_FAILPOINT=f"ledger.{point}")
    assert doomed.ends() == -signal.SIGKILL, doomed.err
    at = time.time()
    wait_until(lambda: not _left(house, sweep, doomed), "the end of the trial's process", 2)
    _rescue(house, kind, sweep, doomed, at, attempts)
