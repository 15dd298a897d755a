"""A socket between one process and Redis, over which nothing passes while it is cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

from tests.redis_server import RedisServer

__all__ = ["Wire"]


class Wire:
    """A context; `url` is Redis' address for whoever is to be cut off.

    Cut, it stays silent: connections stand, new ones are taken, no byte passes, as behind a dead link.
    """

    def __init__(self, redis: RedisServer, folder: Path) -> None:
        self._redis = redis
        self._path = folder / "wire.sock"
        self.url = f"unix://{self._path}?db=0"
        self._whole = threading.Event()
        self._whole.set()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Wire:
        self._listener.bind(str(self._path))
        self._listener.listen(64)
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._whole.set()
        for held in [self._listener, *self._sockets]:
            _end(held)
        for thread in self._threads:
            thread.join(5)

    def cut(self) -> None:
        """Let nothing pass."""
        self._whole.clear()

    def heal(self) -> None:
        """Let what waits pass, and all that follows."""
        self._whole.set()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            self._sockets += [near, far]
            try:
                far.connect(str(self._redis.socket))
            except OSError:
                near.close()
                continue
            self._start(self._pump, near, far)
            self._start(self._pump, far, near)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._whole.wait()
                target.sendall(data)
        except OSError:
            pass
        for held in (source, target):
            _end(held)


def _end(held: socket.socket) -> None:
    with suppress(OSError):  # it never was connected, or the other side has gone
        held.shutdown(socket.SHUT_RDWR)
    held.close()
