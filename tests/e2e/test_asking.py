"""Loops that ask for trials, on a real Redis with a real controller, next to agents and under kill -9."""

from __future__ import annotations

import signal
import time

import pytest

import besom
from tests.e2e.checker import check, lines, recovered, started
from tests.e2e.processes import House, Process

pytestmark = pytest.mark.redis

GRID = {"x": list(range(40))}


@pytest.fixture
def house(shared_house: House) -> House:
    shared_house.hold.unlink(missing_ok=True)
    return shared_house


def asker(house: House, sweep: str) -> Process:
    return house.processes.python("asker.py", sweep)


def test_askers_and_an_agent_cover_a_grid_exactly_once(house: House) -> None:
    """Two processes that ask and an agent, all at work from the start, run each point once."""
    house.hold.touch()
    sweep = house.sweep({"x": {"values": GRID["x"]}})
    processes = [asker(house, sweep), asker(house, sweep), house.function_agent(sweep)]
    assert {line.pid for line in started(house, sweep, 3)} == {process.pid for process in processes}
    house.hold.unlink()
    assert [process.ends() for process in processes] == [0] * 3, "\n".join(process.err for process in processes)
    check(house, sweep, grid=GRID)
    assert len(lines(house, sweep, "end")) == 40, "nothing was lost, so nothing ran twice"


def test_an_asker_killed_with_a_trial(house: House) -> None:
    """kill -9: within lease and reap another asker has the trial, and what the first reported does not count twice."""
    house.hold.touch()
    sweep = house.sweep({"x": {"values": [3]}}, metric={"name": "loss"})
    doomed = asker(house, sweep)
    [first] = started(house, sweep)
    other = asker(house, sweep)
    doomed.kill()
    again = recovered(house, sweep, first.number, time.time())
    assert again.pid == other.pid
    house.hold.unlink()
    assert other.ends() == 0, other.err
    rows = check(house, sweep, grid={"x": [3]})
    assert (rows[1]["attempt"], rows[1]["value"]) == (2, 0.0)


def test_an_asker_that_ends_hands_back(house: House) -> None:
    """After Ctrl-C the trial is ready at once: its lease is not waited for."""
    house.hold.touch()
    sweep = house.sweep({"x": {"values": [3]}}, metric={"name": "loss"})
    leaving = asker(house, sweep)
    started(house, sweep)
    leaving.signal(signal.SIGINT)
    assert leaving.ends() != 0
    api = house.api()
    try:
        [row] = api.sweep(sweep).trials()
    finally:
        api.close()
    assert (row["state"], row["losses"]) == ("queued", 0)
    house.hold.unlink()
    assert asker(house, sweep).ends() == 0
    check(house, sweep, grid={"x": [3]})


def test_bayes_learns_from_what_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its best value is the one that was told, and later points are nearer to the optimum than the first."""
    monkeypatch.setenv("BESOM_REDIS_URL", house.redis.url)
    space = {"x": {"min": -5.0, "max": 5.0}, "y": {"min": -5.0, "max": 5.0}}
    sweep = house.sweep(space, "bayes", metric={"name": "loss"}, run_cap=16, seed=3)
    told = []
    with besom.open_sweep(sweep) as opened:
        for trial in opened:
            told.append((trial.params["x"] - 1) ** 2 + (trial.params["y"] + 2) ** 2)
            trial.tell(told[-1])
    house.finishes(sweep)
    api = house.api()
    try:
        rows = api.sweep(sweep).trials()
        best = api.sweep(sweep).best_run()
    finally:
        api.close()
    assert [row["value"] for row in rows] == told
    assert best is not None
    assert best.value == min(told)
    assert min(told[8:]) < min(told[:8])
