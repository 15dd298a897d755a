"""Redis' memory is full, its disk is full, or nobody reads the journal."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.checker import check, started
from tests.e2e.processes import House, Process, wait_until
from tests.faults.houses import a_house, all_end, trials_end
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.redis, pytest.mark.soak]

GRID = {"x": list(range(30))}


def _work(house: House) -> tuple[str, list[Process]]:
    """A sweep in the middle of its work."""
    house.controller()
    sweep = house.sweep({"x": {"values": GRID["x"]}})
    agents = [house.function_agent(sweep, TRAIN_STEPS="20", TRAIN_STEP_SECONDS="0.02") for _ in range(2)]
    trials_end(house, sweep, 4)
    return sweep, agents


def _refusals(server: RedisServer, error: str) -> int:
    client = server.client()
    told = client.info("errorstats").get(f"errorstat_{error}", {"count": 0})
    client.close()
    return int(told["count"])


def _goes_on(house: House, sweep: str, agents: list[Process]) -> None:
    """The sweep completes; nothing was lost by waiting."""
    house.finishes(sweep)
    all_end(agents)
    rows = check(house, sweep, grid=GRID)
    assert {(row["attempt"], row["losses"]) for row in rows.values()} == {(1, 0)}


def test_redis_memory_is_full(redis_server: RedisServer, tmp_path: Path) -> None:
    """OOM answers until there is room again: all wait, nobody is reaped, and the grid is exact."""
    with a_house(tmp_path, redis_server) as house:
        sweep, agents = _work(house)
        client = house.connection.redis
        client.config_set("maxmemory", client.info("memory")["used_memory"] + 20_000)
        wait_until(lambda: _refusals(redis_server, "OOM") >= 20, "answers that memory is full")
        client.config_set("maxmemory", 0)
        _goes_on(house, sweep, agents)


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1000))


def test_redis_disk_is_full(redis_server: RedisServer, tmp_path: Path) -> None:
    """MISCONF answers until there is room again: all wait, nobody is reaped, and the grid is exact."""
    folder = redis_server.folder / "small"
    folder.mkdir()
    with _small_disk(folder / "disk") as disk:
        server = RedisServer(folder, data=disk)
        server.start()
        try:
            with a_house(tmp_path, server) as house:
                sweep, agents = _work(house)
                ballast = disk / "ballast"
                _fill(ballast)
                wait_until(lambda: _refusals(server, "MISCONF") >= 20, "answers that the disk is full")
                ballast.unlink()
                _goes_on(house, sweep, agents)
        finally:
            server.kill()


_LOGS = """
import sys, besom
run = besom.init(project="unread", name=sys.argv[1])
for n in range(4000):
    run.log({"n": n, "text": "x" * 1000})
print("logged", run.id, flush=True)
run.finish()
"""


def test_nobody_reads_the_journal(redis_server: RedisServer, tmp_path: Path) -> None:
    """8 MB logged, 1 MB allowed: writers spool and say so once, Redis stays small; later all arrives in order."""
    with a_house(tmp_path, redis_server) as house:
        house.processes.environment["BESOM_JOURNAL_LIMIT_MB"] = "1"
        client = house.connection.redis
        before = client.info("memory")["used_memory"]
        scripts = [house.processes.python("-c", _LOGS, name) for name in ("a", "b")]
        wait_until(lambda: all("logged" in script.out for script in scripts), "everything logged")
        wait_until(lambda: all("journal is full" in script.err for script in scripts), "a word on the full journal")
        assert client.info("memory")["used_memory"] < before + 6_000_000
        assert all(script.popen.poll() is None for script in scripts), "they wait for a reader"
        house.controller()
        all_end(scripts)
        assert [script.err.count("journal is full") for script in scripts] == [1, 1]
        api = house.api()
        for script in scripts:
            run = api.run(script.out.split("logged ")[1].split()[0])
            assert [row["n"] for row in run.scan_history()] == list(range(4000))
        api.close()


def test_the_controller_is_away_while_agents_log(redis_server: RedisServer, tmp_path: Path) -> None:
    """Trials that were issued run and are recorded later, when there is no controller for a while."""
    with a_house(tmp_path, redis_server) as house:
        controller = house.controller()
        house.hold.touch()
        sweep = house.sweep({"x": {"values": GRID["x"]}})
        agents = [house.function_agent(sweep, TRAIN_STEPS="20", TRAIN_STEP_SECONDS="0.01") for _ in range(2)]
        started(house, sweep, 2)
        controller.kill()
        house.hold.unlink()
        trials_end(house, sweep, 2)
        house.controller()
        _goes_on(house, sweep, agents)
