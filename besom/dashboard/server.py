"""A thread that serves the read API beside a controller."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable
from typing import Final

import uvicorn

from besom.dashboard.app import make_app
from besom.errors import ConfigError, Unreachable
from besom.tracking.blobs.place import Place
from besom.tracking.store.store import Store

__all__ = ["HttpServer", "read_host_port"]

_ANY: Final = ("0.0.0.0", "::", "")  # noqa: S104


class HttpServer:
    """A running server; `address` and `token` are what readers need.

    Args:
        store: What it serves.
        blobs: Where files are, and where those go that are sent here.
        host: Where to bind.
        port: 0 for any free one.
        leads: Whether the controller with this token works; what is sent to one that stands by would be lost.

    Raises:
        Unreachable: the address cannot be bound.
    """

    def __init__(
        self, store: Store, blobs: Place, host: str, port: int, *, leads: Callable[[str], bool] = lambda _: True
    ) -> None:
        self.token = secrets.token_urlsafe(32)
        try:
            self._socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            raise Unreachable(f"--http {host}:{port} cannot be bound: {error.strerror or error}") from None
        bound = self._socket.getsockname()[1]
        name = socket.gethostname() if host in _ANY else host
        self.address = f"http://[{name}]:{bound}" if ":" in name else f"http://{name}:{bound}"
        hosts = ["localhost", "127.0.0.1", "[::1]", socket.gethostname(), socket.getfqdn(), name, f"[{name}]"]
        config = uvicorn.Config(
            make_app(store, blobs, self.token, hosts, lambda: leads(self.token)),
            log_config=None,
            log_level="warning",
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        # A thread other than the main one: uvicorn then leaves the signal handlers alone.
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="besom-http", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close it."""
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


def read_host_port(text: str) -> tuple[str, int]:
    """HOST:PORT; a port alone means loopback.

    Raises:
        ConfigError: it is neither.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"--http {text!r} cannot be; write HOST:PORT, such as 127.0.0.1:8080, or a port alone")
    return host.strip("[]") or "127.0.0.1", int(port)
