"""kill -9 the controller at each step of its loop; of two controllers one works, and the other takes over."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from besom.broker.journal import Journal
from besom.broker.ledger import Ledger
from besom.messages import SweepRemoved, TrialsReopened
from tests.e2e.checker import check, lines, started, watch
from tests.e2e.processes import House, Process, wait_until
from tests.faults.wire import Wire

pytestmark = pytest.mark.redis

GRID = {"x": list(range(20))}
PARAMETERS = {"x": {"values": GRID["x"]}}
TAKE_OVER_SECONDS = 4.0
"""The controller's lease is 1 s here, and 5 s by default, for which 15 s are promised."""

LOOP = [
    ("after-read", 1), ("after-read", 4), ("after-apply", 2), ("after-apply", 5), ("before-commit", 2),
    ("before-commit", 5), ("after-commit", 2), ("after-commit", 5), ("before-issue", 1), ("after-issue", 1),
    ("after-issue", 3), ("after-forget", 1), ("after-forget", 3), ("after-finished", 1), ("before-settle", 1),
    ("before-settle", 4), ("after-settle", 1), ("after-settle", 4), ("after-turns", 3), ("after-turns", 30),
]  # fmt: skip


def _dies(controller: Process) -> None:
    assert controller.ends(60) == -signal.SIGKILL, controller.err


def _killed_at(house: House, point: str, times: int) -> None:
    """A grid and a capped random sweep, planned by a controller that dies there and by one that does not."""
    doomed = house.controller(wait=False, BESOM_FAILPOINT=f"controller.{point}:{times}")
    grid = house.sweep(PARAMETERS)
    capped = house.sweep({"x": {"min": 0.0, "max": 1.0}}, "random", run_cap=8)
    with watch(house, {capped: 8, grid: len(GRID["x"])}):
        agents = [house.function_agent(sweep, TRAIN_STEPS="2") for sweep in (grid, capped)]
        _dies(doomed)
        house.controller()
        for sweep in (grid, capped):
            house.finishes(sweep)
        assert [agent.ends() for agent in agents] == [0, 0], "\n".join(agent.err for agent in agents)
    check(house, grid, grid=GRID)
    check(house, capped, trials=8)


def test_controller_killed_after_commit(house: House) -> None:
    """What is committed and not yet in Redis is done by the next controller: nothing missing, nothing twice."""
    _killed_at(house, "before-issue", 3)


@pytest.mark.soak
@pytest.mark.parametrize(("point", "times"), LOOP)
def test_controller_killed_in_its_loop(house: House, point: str, times: int) -> None:
    """At any step, the next controller goes on as if nothing had been."""
    _killed_at(house, point, times)


@pytest.mark.soak
@pytest.mark.parametrize("point", ["after-lease", "after-rebuild", "after-pay-again"])
def test_controller_killed_while_taking_over(house: House, point: str) -> None:
    """One that dies as soon as it has the lease leaves the next one as much as it found."""
    first = house.controller()
    house.hold.touch()
    sweep = house.sweep(PARAMETERS)
    agent = house.function_agent(sweep)
    started(house, sweep)
    first.kill()
    _dies(house.controller(wait=False, BESOM_FAILPOINT=f"controller.{point}"))
    house.hold.unlink()
    house.controller()
    house.finishes(sweep)
    assert agent.ends() == 0
    check(house, sweep, grid=GRID)


@pytest.mark.soak
@pytest.mark.parametrize(("point", "times"), [("after-replan", 1), ("after-replan", 3), ("after-commit", 9)])
def test_controller_of_a_search_that_learns_killed(house: House, point: str, times: int) -> None:
    """Killed while it gives queued trials new params: the search knows each result once, each trial ran as recorded."""
    doomed = house.controller(wait=False, BESOM_FAILPOINT=f"controller.{point}:{times}")
    metric = {"name": "loss", "goal": "minimize"}
    sweep = house.sweep({"x": {"min": 0.0, "max": 1.0}}, "bayes", run_cap=72, metric=metric)
    # Slots that nobody fills: trials wait, and get new params at each result.
    Ledger(house.connection).beat("ghost", 120_000, [], {"sweep": sweep, "slots": 30})
    with watch(house, {sweep: 72}):
        agents = [house.function_agent(sweep, TRAIN_STEP_SECONDS="0.3") for _ in range(2)]
        _dies(doomed)
        house.controller()
        house.finishes(sweep)
        assert [agent.ends() for agent in agents] == [0, 0]
    check(house, sweep, trials=72)


@pytest.mark.soak
def test_controller_killed_while_dropping_a_sweep(house: House) -> None:
    """A sweep that was removed stays away, and the others go on."""
    doomed = house.controller(BESOM_FAILPOINT="controller.after-drop")
    gone, sweep = house.sweep(PARAMETERS), house.sweep(PARAMETERS)
    Journal(house.connection).append(SweepRemoved(sweep=gone))
    _dies(doomed)
    house.controller()
    agent = house.function_agent(sweep)
    house.finishes(sweep)
    assert agent.ends() == 0
    check(house, sweep, grid=GRID)
    api = house.api()
    assert [found.id for found in api.sweeps()] == [sweep]
    api.close()
    wait_until(lambda: house.state(gone) is None, "Redis without the removed sweep")


def _failing(house: House, controller: Process) -> tuple[str, Process]:
    """A finished sweep of five whose second trial failed, and no controller."""
    sweep = house.sweep({"x": {"values": list(range(5))}})
    agent = house.function_agent(sweep, TRAIN_POISON="1", TRAIN_HOW="raise")
    house.finishes(sweep)
    assert agent.ends() == 0, agent.err
    controller.kill()
    return sweep, house.function_agent(sweep)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("", marks=pytest.mark.soak),
        "after-commit",
        pytest.param("after-retry", marks=pytest.mark.soak),
        pytest.param("after-read", marks=pytest.mark.soak),
    ],
)
def test_reopened_trial_runs_once_more(house: House, point: str) -> None:
    """Failed trials that are reopened run exactly once more, also when the controller dies over it."""
    sweep, _ = _failing(house, house.controller())
    Journal(house.connection).append(TrialsReopened(sweep=sweep, states=("failed",)))
    if point:
        _dies(house.controller(wait=False, BESOM_FAILPOINT=f"controller.{point}"))
    house.controller()
    wait_until(lambda: house.state(sweep) == "running", "the sweep running again")
    house.keep_agents({sweep: lambda: house.function_agent(sweep)})
    rows = check(house, sweep, grid={"x": list(range(5))})
    assert [rows[number]["attempt"] for number in sorted(rows)] == [1, 2, 1, 1, 1]
    assert Counter(line.number for line in lines(house, sweep, "start")) == {1: 1, 2: 2, 3: 1, 4: 1, 5: 1}


def test_reopened_while_nobody_had_recorded_its_end(house: House) -> None:
    """The end of a trial and its reopening, read in the same turn by a controller that dies over it: one more run."""
    controller = house.controller()
    house.hold.touch()
    sweep = house.sweep({"x": {"values": list(range(5))}})
    agent = house.function_agent(sweep, TRAIN_POISON="1", TRAIN_HOW="raise", TRAIN_WELL_FROM="2")
    started(house, sweep)
    wait_until(lambda: house.connection.redis.llen(house.connection.keys.ready(sweep)) >= 2, "two trials that wait")
    controller.kill()
    house.hold.unlink()
    wait_until(lambda: lines(house, sweep, "end", 3), "the end of the trial after the failed one")
    Journal(house.connection).append(TrialsReopened(sweep=sweep, states=("failed",)))
    _dies(house.controller(wait=False, BESOM_FAILPOINT="controller.after-commit"))
    house.controller()
    house.finishes(sweep)
    assert agent.ends() == 0
    rows = check(house, sweep, grid={"x": list(range(5))})
    assert [rows[number]["attempt"] for number in sorted(rows)] == [1, 2, 1, 1, 1]


def test_reopened_while_redis_had_not_heard_of_the_end(house: House) -> None:
    """A controller dies before it tells Redis that the sweep is over; reopened then, the sweep goes on."""
    doomed = house.controller(BESOM_FAILPOINT="controller.after-forget")
    sweep = house.sweep({"x": {"values": [0]}})
    told = {"TRAIN_POISON": "0", "TRAIN_HOW": "raise", "TRAIN_WELL_FROM": "2"}
    house.function_agent(sweep, **told)
    _dies(doomed)
    assert house.state(sweep) == "running"
    Journal(house.connection).append(TrialsReopened(sweep=sweep, states=("failed",)))
    house.controller()
    wait_until(
        lambda: len(lines(house, sweep, "start")) == 2 or house.function_agent(sweep).ends() == 0, "one more run"
    )
    house.finishes(sweep, 10)
    rows = check(house, sweep, grid={"x": [0]})
    assert rows[1]["attempt"] == 2


@pytest.mark.parametrize(
    "how",
    [pytest.param("killed", marks=pytest.mark.soak), "frozen", pytest.param("cut off", marks=pytest.mark.soak)],
)
def test_second_controller_takes_over(house: House, tmp_path: Path, how: str) -> None:
    """Dead, frozen or cut off, the first is replaced within seconds; when it comes back it changes nothing."""
    with Wire(house.redis, house.redis.folder) as wire:
        first = house.controller(BESOM_REDIS_URL=wire.url)
        house.hold.touch()
        sweep = house.sweep(PARAMETERS)
        agents = [house.function_agent(sweep) for _ in range(2)]
        started(house, sweep, 2)
        second = house.controller()
        assert house.leader() == first.pid
        back = {
            "killed": lambda: first.kill(),
            "frozen": lambda: first.signal(signal.SIGSTOP),
            "cut off": wire.cut,
        }
        began = time.monotonic()
        back[how]()
        wait_until(lambda: house.leader() == second.pid, "the second controller at work", TAKE_OVER_SECONDS)
        assert time.monotonic() - began < TAKE_OVER_SECONDS
        house.hold.unlink()
        wait_until(lambda: len(lines(house, sweep, "end")) >= 3, "trials planned by the second")
        if how == "frozen":
            first.signal(signal.SIGCONT)
        wire.heal()
        if how != "killed":
            wait_until(lambda: "standing by" in first.err, f"the first one's word that it stands by, not {first.err}")
        house.finishes(sweep)
        assert [agent.ends() for agent in agents] == [0, 0]
        assert house.leader() == second.pid
        check(house, sweep, grid=GRID)
        first.kill()
