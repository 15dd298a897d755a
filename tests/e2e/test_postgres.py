"""Two controllers of one PostgreSQL store: a stand-by takes over, and the one it replaced writes nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.checker import check, lines
from tests.e2e.processes import House, wait_until
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def house(redis_server: RedisServer, postgres_server: PostgresServer, tmp_path: Path) -> Iterator[House]:
    with House(tmp_path, redis_server, store=postgres_server.new_store()) as house:
        yield house


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_stand_by_takes_over(how: signal.Signals, house: House) -> None:
    """The first controller is killed, or stands still until another leads: the grid is complete, nothing twice."""
    grid = {"x": list(range(40))}
    first = house.controller()
    sweep = house.sweep({"x": {"values": grid["x"]}})
    second = house.controller()
    agents = [house.function_agent(sweep, TRAIN_STEPS="3", TRAIN_STEP_SECONDS="0.01") for _ in range(2)]
    wait_until(lambda: len(lines(house, sweep, "end")) >= 8, "eight trials")
    assert house.leader() == first.pid
    first.signal(how)
    assert len(lines(house, sweep, "start")) < 40, "the controller went too late to matter"
    wait_until(lambda: house.leader() == second.pid, "the second controller at work")
    if how == signal.SIGSTOP:
        first.signal(signal.SIGCONT)
        wait_until(lambda: "standing by" in first.err, "the first one's word that it stands by")
    assert [agent.ends(60) for agent in agents] == [0, 0]
    check(house, sweep, grid=grid)
    assert house.leader() == second.pid
