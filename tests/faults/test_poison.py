"""Trials that go wrong each time: they end as promised, and the sweep and the other agents go on."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.checker import check, lines
from tests.e2e.processes import House

pytestmark = pytest.mark.redis

GRID = {"x": [0, 1, 2, 3]}
PARAMETERS = {"x": {"values": GRID["x"]}}
METRIC = {"name": "loss", "goal": "minimize"}
POISONED = 2
"""Number of the trial with x = 1."""


def _crashes(house: House, kind: str, how: str, **environment: str) -> None:
    """The poisoned trial crashes after three agents, each of which it ended; two more agents do the rest."""
    sweep = house.sweep(PARAMETERS)
    told = {"TRAIN_POISON": "1", "TRAIN_HOW": how, "TRAIN_STEPS": "2", **environment}
    other = house.agent(kind, sweep, **told)
    agents = [other, *house.keep_agents({sweep: lambda: house.agent(kind, sweep, **told)})[sweep]]
    codes = [agent.ends() for agent in agents]
    assert sum(code != 0 for code in codes) == 3, codes
    rows = check(house, sweep, grid=GRID, crashed=[POISONED])
    assert [rows[POISONED]["attempt"], rows[POISONED]["losses"]] == [3, 3]
    assert rows[POISONED]["failures"] == 0
    assert Counter(line.number for line in lines(house, sweep, "end")).keys() == {1, 3, 4}


def test_function_that_segfaults(planned: House) -> None:
    """A segmentation fault takes the agent with it, three times: `crashed`."""
    _crashes(planned, "function", "segfault")


@pytest.mark.soak
@pytest.mark.parametrize(("kind", "how"), [("function", "exit"), ("function", "memory"), ("command", "exit")])
def test_trial_that_ends_its_agent(planned: House, kind: str, how: str) -> None:
    """os._exit, memory that runs out under RLIMIT_AS, a command that kills its parent: `crashed`."""
    _crashes(planned, kind, how)


@pytest.fixture
def memory_limit() -> Iterator[Path]:
    """A control group with 300 MB of memory; skipped where none can be made."""
    for root in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")):
        group = root / f"besom-{os.getpid()}"
        try:
            group.mkdir()
            limit = "memory.limit_in_bytes" if root.name == "memory" else "memory.max"
            (group / limit).write_text("300000000")
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("no control group can be made here")


@pytest.mark.soak
def test_function_killed_for_its_memory(planned: House, memory_limit: Path) -> None:
    """The kernel kills the agent whose trial goes over its control group's memory, three times: `crashed`."""
    _crashes(planned, "function", "oom", TRAIN_CGROUP=str(memory_limit))


@pytest.mark.soak
@pytest.mark.parametrize(("how", "code"), [("segfault", -signal.SIGSEGV), ("memory", -signal.SIGSEGV), ("raise", 1)])
def test_command_that_dies_alone(planned: House, how: str, code: int) -> None:
    """A command that dies has failed; its agent lives and goes on."""
    house = planned
    sweep = house.sweep(PARAMETERS)
    agent = house.command_agent(sweep, TRAIN_POISON="1", TRAIN_HOW=how)
    house.finishes(sweep)
    assert agent.ends() == 0, agent.err
    rows = check(house, sweep, grid=GRID, states={POISONED: "failed"})
    assert [rows[POISONED]["attempt"], rows[POISONED]["losses"]] == [1, 0]
    assert {line.agent for line in lines(house, sweep, "start")} == {agent.pid}
    api = house.api()
    [run] = [run for run in api.sweep(sweep).runs if run["number"] == POISONED]
    assert run["exit_code"] in (code, 128 - code)
    api.close()


@pytest.mark.parametrize("kind", ["function", pytest.param("command", marks=pytest.mark.soak)])
def test_trial_that_raises_is_retried(planned: House, kind: str) -> None:
    """With `retries: 2` a trial that fails twice does well the third time; its value is that of the last attempt."""
    house = planned
    sweep = house.sweep(PARAMETERS, retries=2, metric=METRIC)
    told = {"TRAIN_POISON": "1", "TRAIN_HOW": "raise", "TRAIN_WELL_FROM": "3", "TRAIN_STEPS": "2"}
    house.keep_agents({sweep: lambda: house.agent(kind, sweep, **told)})
    rows = check(house, sweep, grid=GRID)
    assert [rows[POISONED][name] for name in ("attempt", "failures", "losses", "value")] == [3, 2, 0, 0.0]
    assert len(lines(house, sweep, "start", POISONED)) == 3


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["function", "command"])
@pytest.mark.parametrize("retries", [0, 1])
def test_trial_that_always_raises(planned: House, kind: str, retries: int) -> None:
    """It has failed after 1 + `retries` attempts, each counted once, and is not `crashed`."""
    house = planned
    sweep = house.sweep(PARAMETERS, retries=retries, metric=METRIC)
    told = {"TRAIN_POISON": "1", "TRAIN_HOW": "raise", "TRAIN_STEPS": "2"}
    house.keep_agents({sweep: lambda: house.agent(kind, sweep, **told)})
    rows = check(house, sweep, grid=GRID, states={POISONED: "failed"})
    assert [rows[POISONED][name] for name in ("attempt", "failures", "losses")] == [1 + retries, retries, 0]
    assert rows[POISONED]["value"] == -2.0 - retries, "the curve of the last attempt alone"
    assert len(lines(house, sweep, "start", POISONED)) == 1 + retries
    assert "as told" in rows[POISONED]["error"] or kind == "command"


@pytest.mark.parametrize("kind", ["function", pytest.param("command", marks=pytest.mark.soak)])
def test_trial_that_never_ends(planned: House, kind: str) -> None:
    """With a `timeout` a trial that loops is stopped soon after; the agent goes on with the others."""
    house = planned
    seconds = 1 if kind == "function" else 4  # a program's start takes up to two on a busy machine
    sweep = house.sweep(PARAMETERS, timeout=seconds)
    agent = house.agent(kind, sweep, TRAIN_POISON="1", TRAIN_HOW="forever", BESOM_KILL_DELAY_SECONDS="0.5")
    house.finishes(sweep, 20)
    assert agent.ends() == 0, agent.err
    rows = check(house, sweep, grid=GRID, states={POISONED: "stopped"})
    assert "timeout" in rows[POISONED]["error"]
    assert [rows[POISONED]["attempt"], rows[POISONED]["losses"]] == [1, 0]
    assert seconds <= rows[POISONED]["ended"] - rows[POISONED]["started"] < seconds + 2
