"""Turns and reports that come twice, and turns that vanish: the sweep completes exactly."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from besom.broker.turns import Turns
from tests.e2e.checker import check, lines, watch
from tests.e2e.processes import House

pytestmark = pytest.mark.redis

GRID = {"x": list(range(24))}
PARAMETERS = {"x": {"values": GRID["x"]}}


def test_everything_twice(house: House) -> None:
    """Each turn given twice, each script of agents and controller sent twice: every trial ran once, none more."""
    house.controller(TRAIN_TWICE="1")
    grid = house.sweep(PARAMETERS)
    capped = house.sweep({"x": {"min": 0.0, "max": 1.0}}, "random", run_cap=12)
    with watch(house, {grid: 24, capped: 12}):
        agents = [house.function_agent(sweep, TRAIN_TWICE="1", TRAIN_STEPS="3") for sweep in (grid, grid, capped)]
        house.finishes(grid)
        house.finishes(capped)
        assert [agent.ends() for agent in agents] == [0, 0, 0], "\n".join(agent.err for agent in agents)
    check(house, grid, grid=GRID)
    check(house, capped, trials=12)
    for sweep, count in ((grid, 24), (capped, 12)):
        assert len(lines(house, sweep, "start")) == count


@pytest.mark.soak
def test_everything_twice_with_commands_that_fail(house: House) -> None:
    """Command trials, one of which fails twice and is retried: each failure counts once."""
    house.controller(TRAIN_TWICE="1")
    sweep = house.sweep({"x": {"values": [0, 1, 2]}}, retries=2)
    told = {"TRAIN_TWICE": "1", "TRAIN_POISON": "1", "TRAIN_HOW": "raise", "TRAIN_WELL_FROM": "3"}
    agent = house.processes.python("train.py", "agent", sweep, environment=told)
    house.finishes(sweep)
    assert agent.ends() == 0, agent.err
    rows = check(house, sweep, grid={"x": [0, 1, 2]})
    assert [rows[2]["attempt"], rows[2]["failures"], rows[2]["losses"]] == [3, 2, 0]
    assert len(lines(house, sweep, "start")) == 5


@contextmanager
def _deleting_turns(house: House, sweep: str) -> Iterator[list[int]]:
    """Again and again, the sweep's queue and all of RQ's jobs go; how many keys went."""
    client, done, gone = house.connection.redis, threading.Event(), [0]
    queue = Turns(house.connection).queue(sweep)

    def delete() -> None:
        while not done.wait(0.02):
            jobs = list(client.scan_iter("rq:job:*", count=1000))
            gone[0] += client.delete(queue.key, queue.intermediate_queue_key, *jobs)

    thread = threading.Thread(target=delete, name="deleting")
    thread.start()
    try:
        yield gone
    finally:
        done.set()
        thread.join()


def test_turns_deleted(planned: House) -> None:
    """Turns that are deleted all the time are given again: the grid completes, each point once."""
    house = planned
    sweep = house.sweep(PARAMETERS)
    with _deleting_turns(house, sweep) as gone:
        agents = [house.function_agent(sweep, TRAIN_STEP_SECONDS="0.02") for _ in range(2)]
        house.finishes(sweep)
        assert [agent.ends() for agent in agents] == [0, 0]
    assert gone[0] > 0
    check(house, sweep, grid=GRID)
    assert len(lines(house, sweep, "start")) == 24
