"""Redis loses what it held: all of it, or its tail. The store brings it back; nothing is counted twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from tests.e2e.checker import check, lines, started
from tests.e2e.processes import House, Process, wait_until
from tests.faults.houses import a_house, tended, trials_end
from tests.faults.proxy import Proxy
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis

GRID = {"x": list(range(30))}


def _agent(house: House, sweep: str) -> Process:
    return house.function_agent(sweep, TRAIN_STEPS="10", TRAIN_STEP_SECONDS="0.02")


def _work(house: House) -> tuple[str, list[Process]]:
    house.controller()
    sweep = house.sweep({"x": {"values": GRID["x"]}})
    agents = [_agent(house, sweep) for _ in range(3)]
    trials_end(house, sweep, 5)
    return sweep, agents


def _completes(house: House, sweep: str, agents: list[Process]) -> None:
    """Exactly, in time, whatever was run again."""
    assert len(lines(house, sweep, "end")) < len(GRID["x"]), "too late to matter"
    # A run that ended just before, and whose last rows were lost with Redis, is closed without them after 60 s.
    tended(house, sweep, agents, lambda: _agent(house, sweep), 90)
    check(house, sweep, grid=GRID, lossy=True)


def test_redis_is_emptied(redis_server: RedisServer, tmp_path: Path) -> None:
    """FLUSHALL in the middle of a sweep."""
    with a_house(tmp_path, redis_server) as house:
        sweep, agents = _work(house)
        house.connection.redis.flushall()
        _completes(house, sweep, agents)


@pytest.mark.soak
def test_redis_is_emptied_while_all_run(redis_server: RedisServer, tmp_path: Path) -> None:
    """FLUSHALL while agents are in a trial each and no controller works: the next one finds it."""
    with a_house(tmp_path, redis_server) as house:
        controller = house.controller()
        house.hold.touch()
        sweep = house.sweep({"x": {"values": GRID["x"]}})
        agents = [_agent(house, sweep) for _ in range(3)]
        started(house, sweep, 3)
        controller.kill()
        house.connection.redis.flushall()
        house.controller()
        wait_until(lambda: house.state(sweep) == "running", "the sweep, back in Redis")
        house.hold.unlink()
        _completes(house, sweep, agents)


@pytest.mark.soak
@pytest.mark.parametrize("turn", range(3))
def test_redis_comes_back_with_an_older_file(redis_server: RedisServer, tmp_path: Path, turn: int) -> None:
    """kill -9, and an append-only file from some seconds before is put in place."""
    with a_house(tmp_path, redis_server) as house:
        sweep, agents = _work(house)
        redis_server.copy_file(tmp_path / "older")
        trials_end(house, sweep, 10 + turn)
        redis_server.kill()
        redis_server.put_file(tmp_path / "older")
        redis_server.start()
        _completes(house, sweep, agents)


@pytest.mark.soak
def test_a_replica_that_lagged_is_promoted(redis_server: RedisServer, tmp_path: Path) -> None:
    """Its link was cut for a while; the primary dies, and the replica answers at the primary's address."""
    folders = [redis_server.folder / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    primary = RedisServer(folders[0], address=["127.0.0.1"], port=_free_port())
    replica = RedisServer(folders[1])
    primary.start()
    replica.start()
    try:
        with Proxy(redis_server.folder / "p.sock", primary.socket) as proxy:
            _fail_over(tmp_path, proxy, primary, replica)
    finally:
        primary.stop()
        replica.stop()


def _fail_over(folder: Path, proxy: Proxy, primary: RedisServer, replica: RedisServer) -> None:
    front = RedisServer(replica.folder)  # never started: only an address
    front.url = proxy.url
    with replica.client() as client, a_house(folder, front) as house:
        client.replicaof("127.0.0.1", primary.tcp_url.rpartition(":")[2].partition("/")[0])
        wait_until(lambda: _synced(client), "a replica in step")
        sweep, agents = _work(house)
        client.replicaof("NO", "ONE")  # what it has from now on is what one behind a cut link has
        trials_end(house, sweep, 10)
        primary.kill()
        proxy.upstream = replica.socket
        _completes(house, sweep, agents)


def _synced(client: Redis) -> bool:
    told = client.info("replication")
    return told["role"] == "slave" and told["master_link_status"] == "up"


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
