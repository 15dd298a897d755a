"""SIGTERM and SIGINT, once and twice, under a supervisor and in a long C call; SIGSTOP past the lease."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.checker import Line, check, lines, started
from tests.e2e.processes import House, Process, alive, wait_until
from tests.faults.houses import a_house, all_end, hearing_interrupts, passes
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis

GRID = {"x": [0, 1, 2]}
TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.fixture
def house(redis_server: RedisServer, tmp_path: Path) -> Iterator[House]:
    """With a controller."""
    with hearing_interrupts(), a_house(tmp_path, redis_server) as house:
        house.controller()
        yield house


def _agent(house: House, kind: str, sweep: str) -> Process:
    return house.function_agent(sweep) if kind == "function" else house.command_agent(sweep)


def _first(house: House, sweep: str, kind: str) -> tuple[Process, Line]:
    """An agent in a trial that waits."""
    house.hold.touch()
    agent = _agent(house, kind, sweep)
    return agent, started(house, sweep)[0]


@pytest.mark.soak
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("number", [TERM, INT])
@pytest.mark.parametrize("kind", ["function", "command"])
def test_agent_in_a_shell(house: House, kind: str, number: signal.Signals, times: int) -> None:
    """The first SIGINT lets the trial end; SIGTERM, or a second signal, hands it back at no cost; no child stays."""
    sweep = house.sweep({"x": {"values": GRID["x"]}})
    agent, first = _first(house, sweep, kind)
    agent.signal(number)
    if number == INT:
        wait_until(lambda: "once more to hand it back" in agent.err, "a word on what the interrupt does")
    if times == 2:
        agent.signal(number)
    if (number, times) == (INT, 1):
        house.hold.unlink()
    code = agent.ends(5)
    assert code in (-number, 128 + number), agent.err
    assert not alive(first.pid)
    house.hold.unlink(missing_ok=True)
    all_end([_agent(house, kind, sweep)])
    rows = check(house, sweep, grid=GRID)
    wanted = 1 if (number, times) == (INT, 1) else 2
    assert (rows[first.number]["attempt"], rows[first.number]["losses"]) == (wanted, 0)
    assert len(lines(house, sweep, "end")) == 3


_IN_C = """
import hashlib, os, sys
sys.path.insert(0, os.getcwd())
import besom
from train import note

def train():
    with besom.init() as run:
        note("start", run)
        if run.attempt == 1 and os.environ.get("LONG"):
            hashlib.pbkdf2_hmac("sha256", b"", b"", 30_000_000)  # one call of many seconds, without the GIL
        note("step", run, step=0)
        run.log({"loss": 0.0, "attempt": run.attempt}, step=0)
        note("end", run)

besom.agent(sys.argv[1], function=train)
"""


def test_agent_in_a_long_c_call(house: House) -> None:
    """SIGTERM while a function is deep in C, where no handler runs: handed back after the kill delay, not the call."""
    house.processes.environment["BESOM_KILL_DELAY_SECONDS"] = "0.5"
    sweep = house.sweep({"x": {"values": GRID["x"]}})
    agent = house.processes.python("-c", _IN_C, sweep, environment={"LONG": "1"})
    [first] = started(house, sweep)
    agent.signal(TERM)
    told = time.time()
    other = house.processes.python("-c", _IN_C, sweep)
    house.finishes(sweep)
    all_end([other])
    assert agent.popen.poll() is None, "the call was too short to matter"
    agent.kill()
    rows = check(house, sweep, grid=GRID)
    assert (rows[first.number]["attempt"], rows[first.number]["losses"]) == (2, 0)
    [again] = lines(house, sweep, "start", first.number)[1:]
    assert again.pid == other.pid
    assert again.at < told + 5


def _stopped_past_its_lease(house: House, agent: Process) -> None:
    agent.signal(signal.SIGSTOP)
    wait_until(lambda: not house.connection.redis.zcard("besom:leases"), "the end of its lease", 10)


def test_agent_sleeps_past_its_lease_alone(house: House) -> None:
    """SIGSTOP past the lease and SIGCONT, nobody else to take the trial: its agent takes it back, and it counts."""
    sweep = house.sweep({"x": {"values": GRID["x"]}})
    agent, first = _first(house, sweep, "function")
    _stopped_past_its_lease(house, agent)
    agent.signal(signal.SIGCONT)
    wait_until(lambda: house.connection.redis.zcard("besom:leases"), "the lease again")
    house.hold.unlink()
    house.finishes(sweep)
    all_end([agent])
    rows = check(house, sweep, grid=GRID)
    assert (rows[first.number]["attempt"], rows[first.number]["losses"]) == (1, 0)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["function", "command"])
def test_agent_sleeps_while_another_takes_its_trial(house: House, kind: str) -> None:
    """SIGSTOP past the lease, another agent claims, SIGCONT: the sleeper is told that its attempt does not count."""
    sweep = house.sweep({"x": {"values": GRID["x"]}})
    agent, first = _first(house, sweep, kind)
    _stopped_past_its_lease(house, agent)
    other = _agent(house, kind, sweep)
    [again] = started(house, sweep, 1, attempt=2)
    assert again.number == first.number
    agent.signal(signal.SIGCONT)
    passes(1)  # time enough for its beat
    house.hold.unlink()
    house.finishes(sweep)
    all_end([agent, other])
    rows = check(house, sweep, grid=GRID)
    assert (rows[first.number]["attempt"], rows[first.number]["losses"]) == (2, 1)
    ended = [line.attempt for line in lines(house, sweep, "end", first.number)]
    assert ended == [2], "the sleeper's attempt came to its end"


@pytest.mark.soak
@pytest.mark.parametrize("number", [TERM, signal.SIGKILL])
def test_agent_under_a_parent_that_starts_it_again(house: House, number: signal.Signals) -> None:
    """A loop in a shell, as a supervisor does it: the agent that follows completes the sweep."""
    loop = f'until "{sys.executable}" train.py "$1"; do :; done'
    house.hold.touch()
    sweep = house.sweep({"x": {"values": GRID["x"]}})
    supervisor = house.processes.start("sh", "-c", loop, "loop", sweep)
    [first] = started(house, sweep)
    os.kill(first.agent, number)
    wait_until(lambda: not alive(first.agent), "the agent's end")
    house.hold.unlink()
    house.finishes(sweep)
    all_end([supervisor])
    rows = check(house, sweep, grid=GRID)
    assert (rows[first.number]["attempt"], rows[first.number]["losses"]) == (2, int(number == signal.SIGKILL))


@pytest.mark.soak
@pytest.mark.parametrize("times", [1, 2])
def test_agent_of_besom_run(house: House, times: int) -> None:
    """`besom run` starts an agent again that was told to end, and completes the grid."""
    file = house.folder / "sweep.yaml"
    file.write_text("program: train.py\nmethod: grid\nparameters: {x: {values: [0, 1, 2]}}\n")
    house.hold.touch()
    run = house.processes.besom("run", str(file), "--agents", "2")
    sweep = wait_until(
        lambda: run.out.partition("sweep ")[2].partition(":")[0].rpartition("/")[2], f"a sweep; {run.err}"
    )
    first = started(house, sweep, 2)[0]
    for _ in range(times):
        os.kill(first.agent, TERM)
    started(house, sweep, 1, attempt=2)
    house.hold.unlink()
    assert run.ends() == 0, run.err
    rows = check(house, sweep, grid=GRID)
    assert (rows[first.number]["attempt"], rows[first.number]["losses"]) == (2, 0)
