"""Redis dies and comes back, answers slowly, or executes a command and loses its answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.checker import check, lines, started
from tests.e2e.processes import wait_until
from tests.faults.houses import a_house, all_end, passes
from tests.faults.proxy import Proxy
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis


@pytest.mark.parametrize(
    "outages",
    [
        pytest.param((0, 3), id="0s-3s"),
        pytest.param((25,), id="25s", marks=pytest.mark.soak),
        pytest.param((120,), id="120s", marks=[pytest.mark.soak, pytest.mark.timeout(300)]),
    ],
)
def test_redis_killed_while_four_agents_log(redis_server: RedisServer, tmp_path: Path, outages: tuple[int]) -> None:
    """kill -9 and a start after a while: no attempt that lived through it is refused, and every point is there."""
    grid = {"x": list(range(5))}
    steps = str(40 + 10 * sum(outages))
    with a_house(tmp_path, redis_server) as house:
        house.controller()
        house.hold.touch()
        sweep = house.sweep({"x": {"values": grid["x"]}})
        agents = [house.function_agent(sweep, TRAIN_STEPS=steps, TRAIN_STEP_SECONDS="0.05") for _ in range(4)]
        started(house, sweep, 4)
        for seconds in outages:
            before = len(lines(house, sweep, "step"))
            wait_until(
                lambda before=before: len(lines(house, sweep, "step")) >= before + 20, "points before the outage"
            )
            redis_server.kill()
            passes(seconds)
            redis_server.start()
        house.hold.unlink()
        house.finishes(sweep, 60 + sum(outages))  # the fifth trial has yet to run
        all_end(agents)
        rows = check(house, sweep, grid=grid)
        assert {row["attempt"] for row in rows.values()} == {1}
        assert {row["losses"] for row in rows.values()} == {0}
        assert not any("taken it over" in agent.err for agent in agents)


@pytest.mark.soak
def test_redis_answers_slowly(redis_server: RedisServer, tmp_path: Path) -> None:
    """Each answer 50 to 500 ms late, with leases of 1 s: nothing is reaped by mistake."""
    grid = {"x": list(range(12))}
    with (
        Proxy(redis_server.folder / "p.sock", redis_server.socket) as proxy,
        a_house(tmp_path, redis_server, proxy.url) as house,
    ):
        house.controller()
        sweep = house.sweep({"x": {"values": grid["x"]}})
        proxy.delay = (0.05, 0.5)
        agents = [house.function_agent(sweep, TRAIN_STEPS="30", TRAIN_STEP_SECONDS="0.1") for _ in range(4)]
        house.finishes(sweep, 110)
        all_end(agents)
        rows = check(house, sweep, grid=grid)
        assert {(row["attempt"], row["losses"]) for row in rows.values()} == {(1, 0)}


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)])
def test_answers_are_lost_after_the_command_was_executed(redis_server: RedisServer, tmp_path: Path, seed: int) -> None:
    """One answer in forty lost with its connection, the controller's too: nothing runs or counts twice."""
    grid = {"x": list(range(40))}
    with (
        Proxy(redis_server.folder / "p.sock", redis_server.socket, seed) as proxy,
        a_house(tmp_path, redis_server, proxy.url) as house,
    ):
        house.controller()
        sweep = house.sweep({"x": {"values": grid["x"]}})
        proxy.loses = 0.025
        agents = [house.function_agent(sweep, TRAIN_STEPS="3", TRAIN_STEP_SECONDS="0.02") for _ in range(3)]
        house.finishes(sweep)
        all_end(agents)
        assert proxy.lost >= 10, "too few to matter"
        check(house, sweep, grid=grid)
        assert len(lines(house, sweep, "start")) == 40, "a claim whose answer was lost gave other trials"
