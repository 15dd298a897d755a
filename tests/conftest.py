"""What all tests share: a home of their own, fakeredis, and a real redis-server that ends with the test."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import fakeredis
import pytest

from besom.broker.connection import Connection
from besom.tracking.writing.connections import release_connections
from tests.postgres_server import PostgresServer, binaries
from tests.redis_server import RedisServer

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background of a shell: what the tests start would be deaf to Ctrl-C as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No BESOM_* of the developer's, and a home that ends with the test."""
    for name in list(os.environ):
        if name.startswith(("BESOM_", "WANDB_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BESOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BESOM_DIR", str(tmp_path / "work"))
    yield
    release_connections()


@pytest.fixture
def fake() -> Iterator[Connection]:
    """A connection to an in-process fakeredis."""
    client = fakeredis.FakeRedis()
    yield Connection("redis://fake", client=client)
    client.close()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A real server; without the package the test fails in CI and is skipped elsewhere."""
    if shutil.which("redis-server") is None:
        _missing("redis-server")
    with tempfile.TemporaryDirectory(prefix="besom-") as folder:  # short: a socket's path has a limit
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real server, one for all tests of a process; without the package they fail in CI and are skipped elsewhere."""
    if binaries() is None:
        _missing("postgresql")
    with tempfile.TemporaryDirectory(prefix="besom-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _missing(package: str) -> None:
    message = f"{package} is missing; install it with: apt install {package}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
