"""The faults that a first user meets, on a real Redis with real processes; after each, one check of everything.

The lease is 1.5 s here, the controller's 1 s.
"""

from __future__ import annotations

import signal

import pytest

from tests.e2e.checker import check, lines, started
from tests.e2e.processes import LEASE_SECONDS, House, Process, alive, wait_until

pytestmark = pytest.mark.redis

GRID = {"x": list(range(6))}
PARAMETERS = {"x": {"values": GRID["x"]}}


def _acknowledged(house: House, sweep: str, number: int, step: int) -> bool:
    """Whether Redis, and by it the store, has this point."""
    api = house.api()
    try:
        rows = api.ask("rows", run=f"{sweep}-{number}", keys=["loss"], min_step=step, max_step=step)
    finally:
        api.close()
    return bool(rows)


def _ending(agents: list[Process]) -> None:
    assert [agent.ends() for agent in agents] == [0] * len(agents), "\n".join(agent.err for agent in agents)


@pytest.fixture
def planned(house: House) -> House:
    """With a controller."""
    house.controller()
    return house


def test_function_agent_killed_in_a_trial(planned: House) -> None:
    """kill -9 in a function trial: another agent takes the trial, and what Redis had of the first attempt is kept."""
    house = planned
    house.hold.touch()
    sweep = house.sweep(PARAMETERS)
    doomed = house.function_agent(sweep, TRAIN_STEPS="5", TRAIN_RESUME="1")
    [first] = started(house, sweep)
    wait_until(lambda: _acknowledged(house, sweep, first.number, 3), "points of the first attempt in Redis")
    doomed.kill()
    house.hold.unlink()
    agent = house.function_agent(sweep, TRAIN_STEPS="5", TRAIN_RESUME="1")
    house.finishes(sweep)
    _ending([agent])
    rows = check(house, sweep, grid=GRID, acknowledged=[(first.number, step) for step in range(4)])
    assert rows[first.number]["attempt"] == 2
    again = [line for line in lines(house, sweep, "start", first.number) if line.attempt == 2]
    assert again[0].pid == agent.pid


def test_command_agent_killed_in_a_trial(planned: House) -> None:
    """kill -9 in a command trial: the child dies with its agent, and another agent takes the trial."""
    house = planned
    house.hold.touch()
    sweep = house.sweep({"x": {"values": [0, 1]}})
    doomed = house.command_agent(sweep)
    [first] = started(house, sweep)
    assert first.agent == doomed.pid
    assert alive(first.pid)
    doomed.kill()
    wait_until(lambda: not alive(first.pid), "the end of the child")
    house.hold.unlink()
    agent = house.command_agent(sweep)
    house.finishes(sweep)
    _ending([agent])
    rows = check(house, sweep, grid={"x": [0, 1]})
    assert rows[first.number]["attempt"] == 2
    assert lines(house, sweep, "end", first.number)[-1].agent == agent.pid


def test_controller_killed_in_the_middle_of_a_sweep(house: House) -> None:
    """kill -9 the controller while two agents work, start it again: the grid is complete, nothing is planned twice."""
    grid = {"x": list(range(40))}
    controller = house.controller()
    sweep = house.sweep({"x": {"values": grid["x"]}})
    agents = [house.function_agent(sweep, TRAIN_STEPS="3", TRAIN_STEP_SECONDS="0.01") for _ in range(2)]
    wait_until(lambda: len(lines(house, sweep, "end")) >= 10, "ten trials")
    controller.kill()
    assert len(lines(house, sweep, "start")) < 40, "the controller died too late to matter"
    house.controller()
    _ending(agents)
    check(house, sweep, grid=grid)


def test_second_controller_takes_over(house: House) -> None:
    """Two controllers of one store: the second stands by, and takes over when the first is killed."""
    grid = {"x": list(range(40))}
    first = house.controller()
    house.hold.touch()
    sweep = house.sweep({"x": {"values": grid["x"]}})
    agents = [house.function_agent(sweep, TRAIN_STEPS="3", TRAIN_STEP_SECONDS="0.01") for _ in range(2)]
    started(house, sweep, 2)
    second = house.controller()
    house.hold.unlink()
    wait_until(lambda: len(lines(house, sweep, "end")) >= 10, "ten trials")
    assert house.leader() == first.pid
    first.kill()
    assert len(lines(house, sweep, "start")) < 40, "the controller died too late to matter"
    wait_until(lambda: house.leader() == second.pid, "the second controller at work")
    _ending(agents)
    check(house, sweep, grid=grid)


def test_agent_is_told_to_end(planned: House) -> None:
    """SIGTERM: the trial is handed back at once, long before its lease is over, and another agent takes it."""
    house = planned
    house.hold.touch()
    sweep = house.sweep(PARAMETERS)
    told = house.function_agent(sweep)
    [first] = started(house, sweep)
    other = house.function_agent(sweep)
    second = started(house, sweep, 2)[1]
    told.signal(signal.SIGTERM)
    assert told.ends(LEASE_SECONDS) == -signal.SIGTERM
    assert "handed back" in told.err
    house.hold.unlink()
    house.finishes(sweep)
    _ending([other])
    rows = check(house, sweep, grid=GRID)
    assert second.number != first.number
    assert rows[first.number]["attempt"] == 2
    assert rows[first.number]["losses"] == 0, "handing back costs nothing"
    taken = next(line for line in lines(house, sweep, "start", first.number) if line.attempt == 2)
    assert taken.pid == other.pid


def test_redis_killed_and_started_again_while_agents_log(planned: House) -> None:
    """Redis away for a second: agents go on, no attempt is refused, and every point is there."""
    house = planned
    house.hold.touch()
    sweep = house.sweep({"x": {"values": [0, 1, 2, 3]}})
    agents = [house.function_agent(sweep, TRAIN_STEPS="150", TRAIN_STEP_SECONDS="0.01") for _ in range(2)]
    started(house, sweep, 2)
    wait_until(lambda: len(lines(house, sweep, "step")) >= 40, "points before the outage")
    house.redis.kill()
    before = len(lines(house, sweep, "step"))
    wait_until(lambda: len(lines(house, sweep, "step")) >= before + 150, "points during the outage")
    house.redis.start()
    house.hold.unlink()
    house.finishes(sweep)
    _ending(agents)
    rows = check(house, sweep, grid={"x": [0, 1, 2, 3]})
    assert {row["attempt"] for row in rows.values()} == {1}
    assert not any("taken it over" in agent.err for agent in agents)
    assert all("answers again" in agent.err for agent in agents)


def test_trial_that_kills_its_agent(planned: House) -> None:
    """A function or command that ends every agent that runs it has crashed after three; the others finish."""
    house = planned
    starts = {house.sweep(PARAMETERS): start for start in (house.function_agent, house.command_agent)}
    agents = {sweep: [start(sweep, TRAIN_POISON="2")] for sweep, start in starts.items()}

    def look_after() -> bool:
        over = {sweep for sweep in starts if house.state(sweep) == "finished"}
        for sweep in starts.keys() - over:
            if agents[sweep][-1].popen.poll() is not None:
                agents[sweep].append(starts[sweep](sweep, TRAIN_POISON="2"))
        return over == starts.keys()

    wait_until(look_after, "the end of both sweeps", 60)
    for sweep, started_agents in agents.items():
        [poison] = {line.number for line in lines(house, sweep, "start") if line.params == {"x": 2}}
        rows = check(house, sweep, grid=GRID, crashed=[poison])
        assert [rows[poison]["attempt"], rows[poison]["losses"]] == [3, 3]
        assert "lost 3 times" in rows[poison]["error"]
        codes = [agent.ends() for agent in started_agents]
        assert sum(code != 0 for code in codes) == 3


def test_interrupt_once_ends_after_the_trial(planned: House) -> None:
    """SIGINT once: `besom agent` lets the command trial end, takes no other, and exits with 130."""
    house = planned
    house.hold.touch()
    sweep = house.sweep(PARAMETERS)
    agent = house.command_agent(sweep)
    [first] = started(house, sweep)
    agent.signal(signal.SIGINT)
    wait_until(lambda: "once more to hand it back" in agent.err, "a word on what the interrupt does")
    house.hold.unlink()
    assert agent.ends() == 130
    assert [line.number for line in lines(house, sweep, "end")] == [first.number]
    house.set_state(sweep, "stopping")
    house.finishes(sweep)
    row = house.api().sweep(sweep).trials()[first.number - 1]
    assert (row["state"], row["attempt"]) == ("finished", 1)


def test_interrupt_twice_hands_the_trial_back(planned: House) -> None:
    """SIGINT twice: the command ends, its trial is handed back well before the lease, and another agent takes it."""
    house = planned
    house.hold.touch()
    sweep = house.sweep({"x": {"values": [0, 1]}})
    agent = house.command_agent(sweep)
    [first] = started(house, sweep)
    agent.signal(signal.SIGINT)
    wait_until(lambda: "once more to hand it back" in agent.err, "a word on what the interrupt does")
    agent.signal(signal.SIGINT)
    assert agent.ends(LEASE_SECONDS) == 130
    assert not alive(first.pid)
    assert "handed back" in agent.err
    house.hold.unlink()
    _ending([house.command_agent(sweep)])
    rows = check(house, sweep, grid={"x": [0, 1]})
    assert (rows[first.number]["attempt"], rows[first.number]["losses"]) == (2, 0)
