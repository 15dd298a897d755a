"""A Redis and a controller that the tests of one module share; a Redis of its own for each fault."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.processes import House
from tests.redis_server import RedisServer


@contextmanager
def _real_redis() -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        message = "redis-server is missing; install it with: apt install redis-server"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with tempfile.TemporaryDirectory(prefix="besom-") as folder:  # short: a socket's path has a limit
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="module")
def shared_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Redis and one controller process for all tests of a module."""
    with _real_redis() as server, House(tmp_path_factory.mktemp("house"), server) as house:
        house.controller()
        yield house


@pytest.fixture
def house(redis_server: RedisServer, tmp_path: Path) -> Iterator[House]:
    """Redis of this test alone, and no controller yet."""
    with House(tmp_path, redis_server) as house:
        yield house
