"""Several agent processes on a real Redis: every trial once, never more than asked for."""

from __future__ import annotations

import pytest

from tests.e2e.checker import check, lines, started
from tests.e2e.processes import House

pytestmark = pytest.mark.redis

GRID = {"x": list(range(50)), "y": [f"y{number}" for number in range(10)]}


@pytest.fixture
def house(shared_house: House) -> House:
    shared_house.hold.unlink(missing_ok=True)
    return shared_house


def _values(grid: dict[str, list[object]]) -> dict[str, dict[str, list[object]]]:
    return {name: {"values": values} for name, values in grid.items()}


def test_four_agents_cover_a_grid_of_500_exactly_once(house: House) -> None:
    """Four agent processes, all at work from the start, run each of 500 points once."""
    house.hold.touch()
    sweep = house.sweep(_values(GRID))
    agents = [house.function_agent(sweep) for _ in range(4)]
    assert len({line.pid for line in started(house, sweep, 4)}) == 4
    house.hold.unlink()
    assert [agent.ends() for agent in agents] == [0] * 4
    check(house, sweep, grid=GRID, trials=500)
    assert len(lines(house, sweep, "end")) == 500, "nothing was lost, so nothing ran twice"


def test_eight_agents_stop_at_run_cap(house: House) -> None:
    """run_cap 100 with eight agent processes gives exactly 100 trials, all different."""
    house.hold.touch()
    sweep = house.sweep({"x": {"min": 0.0, "max": 1.0}}, "random", run_cap=100)
    agents = [house.function_agent(sweep) for _ in range(8)]
    assert len({line.pid for line in started(house, sweep, 8)}) == 8
    house.hold.unlink()
    assert [agent.ends() for agent in agents] == [0] * 8
    rows = check(house, sweep, trials=100)
    assert len({row["params"]["x"] for row in rows.values()}) == 100


def test_count_is_exact_with_trials_of_a_millisecond(house: House) -> None:
    """Two agents with count=3 run three trials each, though many short ones are claimed at once."""
    sweep = house.sweep({"x": {"min": 0.0, "max": 1.0}}, "random")
    agents = [house.function_agent(sweep, count=3, TRAIN_STEPS="0") for _ in range(2)]
    assert [agent.ends() for agent in agents] == [0, 0]
    ran = [line.pid for line in lines(house, sweep, "end")]
    assert sorted(ran.count(agent.pid) for agent in agents) == [3, 3]
    assert house.state(sweep) == "running"
    house.set_state(sweep, "stopping")
    house.finishes(sweep)
    rows = house.api().sweep(sweep).trials()
    assert sum(row["state"] == "finished" for row in rows) == 6
    assert {row["state"] for row in rows} <= {"finished", "cancelled"}
