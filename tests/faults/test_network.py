"""Redis and the controller on one host, agents on others: links are cut and mended, slow and lossy."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.checker import check, lines, started
from tests.e2e.processes import House, Process, wait_until
from tests.faults.hosts import Lan
from tests.faults.houses import a_house, all_end, passes, tended, trials_end
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis

GRID = {"x": list(range(4))}
PARAMETERS = {"x": {"values": GRID["x"]}}


@contextmanager
def _served(lan: Lan, folder: Path) -> Iterator[House]:
    """Redis and a controller on host 1."""
    with tempfile.TemporaryDirectory(prefix="besom-") as name:  # short: a socket's path has a limit
        server = RedisServer(Path(name), address=["127.0.0.1", lan.address(1)], password="s3cret", prefix=lan.on(1))
        server.start()
        try:
            with a_house(folder, server, server.tcp_url) as house:
                controller = house.processes.start(*lan.on(1), sys.executable, "controller.py")
                wait_until(lambda: "controller for" in controller.out, f"a controller; it said {controller.err}")
                yield house
        finally:
            server.stop()


def _agent(house: House, lan: Lan, host: int, sweep: str, steps: int = 5) -> Process:
    environment = {"TRAIN_STEPS": str(steps), "TRAIN_STEP_SECONDS": "0.05"}
    return house.processes.start(*lan.on(host), sys.executable, "train.py", sweep, environment=environment)


def test_host_is_cut_off_while_another_takes_its_trial(tmp_path: Path) -> None:
    """Cut off for longer than the lease: the trial runs elsewhere, and the first attempt, mended, does not count."""
    with Lan(3) as lan, _served(lan, tmp_path) as house:
        house.hold.touch()
        sweep = house.sweep(PARAMETERS)
        cut_off = _agent(house, lan, 2, sweep)
        [first] = started(house, sweep)
        lan.cut(2)
        wait_until(lambda: not house.connection.redis.zcard("besom:leases"), "the end of its lease", 10)
        other = _agent(house, lan, 3, sweep)
        [again] = started(house, sweep, 1, attempt=2)
        assert (again.number, again.agent) == (first.number, other.pid)
        lan.heal(2)
        house.hold.unlink()
        house.finishes(sweep)
        all_end([cut_off, other])
        rows = check(house, sweep, grid=GRID)
        assert (rows[first.number]["attempt"], rows[first.number]["losses"]) == (2, 1)
        assert lines(house, sweep, "end", first.number)[-1].agent in (cut_off.pid, other.pid)


@pytest.mark.soak
def test_host_is_cut_off_and_mended_before_another_takes_its_trial(tmp_path: Path) -> None:
    """Cut off for longer than the lease, alone: mended, its attempt goes on and counts, with all its points."""
    with Lan(2) as lan, _served(lan, tmp_path) as house:
        house.hold.touch()
        sweep = house.sweep(PARAMETERS)
        agent = _agent(house, lan, 2, sweep, steps=60)
        [first] = started(house, sweep)
        lan.cut(2)
        wait_until(lambda: not house.connection.redis.zcard("besom:leases"), "the end of its lease", 10)
        lan.heal(2)
        house.hold.unlink()
        house.finishes(sweep)
        all_end([agent])
        rows = check(house, sweep, grid=GRID)
        assert (rows[first.number]["attempt"], rows[first.number]["losses"]) == (1, 0)


@pytest.mark.soak
def test_links_are_cut_in_turn(tmp_path: Path) -> None:
    """Each agent's host is cut off for 3 s, then the server's: the grid is exact."""
    grid = {"x": list(range(60))}
    with Lan(3) as lan, _served(lan, tmp_path) as house:
        sweep = house.sweep({"x": {"values": grid["x"]}})
        agents = [_agent(house, lan, host, sweep, 20) for host in (2, 3, 2, 3)]
        trials_end(house, sweep, 2)
        for host in (2, 3, 1):
            lan.cut(host)
            passes(3)
            lan.heal(host)
            passes(1)
        assert len(lines(house, sweep, "end")) < len(grid["x"]), "too late to matter"
        tended(house, sweep, agents, lambda: _agent(house, lan, 2, sweep), 90)
        check(house, sweep, grid=grid)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2])
def test_links_are_slow_and_lossy(tmp_path: Path, seed: int) -> None:
    """40 ms each way and one frame in fifty lost, with leases of 1 s: the grid is exact, whatever ran twice."""
    grid = {"x": list(range(16))}
    with Lan(3, poor=(0.04, 0.02, 0.02), seed=seed) as lan, _served(lan, tmp_path) as house:
        sweep = house.sweep({"x": {"values": grid["x"]}})
        agents = [_agent(house, lan, host, sweep, 20) for host in (2, 3)]
        tended(house, sweep, agents, lambda: _agent(house, lan, 2, sweep), 100)
        check(house, sweep, grid=grid)
