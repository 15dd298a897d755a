"""Controllers on two hosts, PostgreSQL and Redis on a third, a run on a fourth: a host is cut off, nothing is lost."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from besom.broker.lead import read_leader
from tests.e2e.processes import House, Process, wait_until
from tests.faults.hosts import Lan
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer

pytestmark = pytest.mark.redis

pytest.importorskip("PIL")


@contextmanager
def _servers(lan: Lan, folder: Path) -> Iterator[tuple[RedisServer, str]]:
    """Redis and PostgreSQL on host 1, and the URL of a store there."""
    with tempfile.TemporaryDirectory(prefix="besom-", ignore_cleanup_errors=True) as name:
        (redis_folder := Path(name) / "r").mkdir()
        (postgres_folder := Path(name) / "p").mkdir()
        os.chmod(name, 0o755)  # the server's own user must get through
        redis = RedisServer(redis_folder, address=["127.0.0.1", lan.address(1)], password="s3cret", prefix=lan.on(1))
        postgres = PostgresServer(postgres_folder, lan.address(1), lan.on(1))
        try:
            redis.start()
            postgres.start()
            yield redis, postgres.new_store()
        finally:
            postgres.stop()
            redis.stop()


class _Hosts:
    """Processes on hosts that have a home of their own each."""

    def __init__(self, house: House, lan: Lan, folder: Path) -> None:
        self.house, self.lan, self.folder = house, lan, folder
        self.shared = folder / "shared"
        self._environment = dict(house.processes.environment)
        self._store = self._environment.pop("BESOM_STORE")

    def start(self, host: int, *arguments: str, **environment: str) -> Process:
        own = {"BESOM_HOME": str(self.folder / f"home{host}"), "BESOM_DIR": str(self.folder / f"work{host}")}
        self.house.processes.environment = self._environment
        return self.house.processes.start(
            *self.lan.named(host), sys.executable, *arguments, environment={**own, **environment}
        )

    def controller(self, host: int) -> Process:
        blobs = {"BESOM_STORE": self._store, "BESOM_BLOBS": str(self.shared)}
        started = self.start(host, "controller.py", "--http", f"{self.lan.address(host)}:8080", **blobs)
        wait_until(lambda: "controller for" in started.out, f"a controller; it said {started.err}")
        return started

    def run(self, *arguments: str) -> Process:
        return self.start(4, str(Path(__file__).with_name("hosted_run.py")), *arguments)

    def leader(self) -> str:
        leader = read_leader(self.house.connection)
        return str(leader.info["host"]) if leader.alive else ""

    def blobs(self) -> list[Path]:
        return list(self.shared.glob("??/*"))


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[_Hosts]:
    with Lan(4) as lan, _servers(lan, tmp_path) as (redis, store), House(tmp_path, redis, store=store) as house:
        house.processes.environment["BESOM_REDIS_URL"] = redis.tcp_url
        yield _Hosts(house, lan, tmp_path)


def test_a_stand_by_on_another_host_takes_over(hosts: _Hosts, tmp_path: Path) -> None:
    """The working controller's host is cut off in the middle of a run: the stand-by's host records the rest, media go
    to it by HTTP, all of it can be read from the run's host, and the first one, mended, stands by.
    """
    if os.getuid() != 0:
        pytest.skip("hosts with names of their own need root")
    first = hosts.controller(2)
    wait_until(lambda: hosts.leader() == "host2", "the first controller's lease")
    hosts.controller(3)
    (hold := tmp_path / "hold").touch()
    run = hosts.run("log", str(hold))
    wait_until(lambda: len(hosts.blobs()) == 1, f"the first picture; the run said {run.err}")
    hosts.lan.cut(2)
    wait_until(lambda: hosts.leader() == "host3", "the stand-by's lease", 15)
    hold.unlink()
    assert run.ends(60) == 0, run.err
    assert len(hosts.blobs()) == 4, "two pictures, a script and its manifest"
    reader = hosts.run("read", "e/p/travels", str(tmp_path / "read"))
    assert reader.ends(60) == 0, reader.err
    script = Path(__file__).with_name("hosted_run.py").read_bytes()
    assert (tmp_path / "read" / "artifact" / "hosted_run.py").read_bytes() == script
    assert len(list((tmp_path / "read" / "media" / "images").iterdir())) == 2
    hosts.lan.heal(2)
    wait_until(lambda: "standing by" in first.err, "the first controller's word that it stands by")
    assert hosts.leader() == "host3"
    with suppress(FileNotFoundError):
        assert [path for path in (tmp_path / "home4" / "outbox").rglob("*") if path.is_file()] == []
