"""A real redis-server for tests: own folder, unix socket, may be killed and started again at the same address."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import redis


class RedisServer:
    """One server with an append-only file.

    Args:
        folder: Of its socket and, unless `data` is given, its files.
        data: Of its append-only file.
        address: Listen on these IP addresses too; the last one is what `tcp_url` names.
        port: Of those.
        password: Asked of everybody; it stands in a file, not on the command line.
        prefix: Command that starts it somewhere else, such as in a network namespace.
    """

    def __init__(
        self,
        folder: Path,
        *,
        data: Path | None = None,
        address: Sequence[str] = (),
        port: int = 6379,
        password: str = "",
        prefix: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.data = data or folder
        self.socket = folder / "r.sock"
        self.url = f"unix://{self.socket}?db=0" + (f"&password={password}" if password else "")
        self.tcp_url = f"redis://:{password}@{address[-1]}:{port}/0" if address else ""
        self._prefix = list(prefix)
        self._listen = ["bind " + " ".join(address), f"port {port}"] if address else ["port 0"]
        self._secret = [f"requirepass {password}", f"masterauth {password}"] if password else []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("redis-server")
        assert binary is not None
        config = self.folder / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(
            "\n".join([
                *self._listen, *self._secret, f"unixsocket {self.socket}", f"dir {self.data}", 'save ""',
                "appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction",
                "repl-diskless-sync-delay 0", "",
            ])
        )  # fmt: skip
        self._process = subprocess.Popen(
            [*self._prefix, binary, str(config)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        client = self.client()
        for _ in range(1000):
            try:
                client.ping()
                break
            except redis.exceptions.RedisError:
                threading.Event().wait(0.01)
        else:
            raise AssertionError("redis-server did not start")
        client.close()

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(10)

    # ---- its append-only file

    def copy_file(self, to: Path) -> None:
        """The append-only file as it is now."""
        shutil.copytree(self.data / "appendonlydir", to)

    def put_file(self, copy: Path) -> None:
        """Put an older one back, while the server is dead."""
        shutil.rmtree(self.data / "appendonlydir")
        shutil.copytree(copy, self.data / "appendonlydir")
