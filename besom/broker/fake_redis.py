"""fakeredis' TCP server, for a machine without any Redis binary: in memory only, for a handful of agents."""

from __future__ import annotations

import logging
import secrets
import threading
from typing import Any

from fakeredis import FakeServer, TcpFakeServer
from fakeredis._clients._tcp_server import TCPFakeRequestHandler
from fakeredis._helpers import SimpleError

__all__ = ["FakeRedisServer"]

log = logging.getLogger("besom")


class _Handler(TCPFakeRequestHandler):
    # Without these a MULTI/EXEC over loopback takes 45 ms.
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        _ask_for_password(self.current_client.get_socket(), self.server.fake_server.config[b"requirepass"])


def _ask_for_password(client: Any, password: bytes) -> None:
    """fakeredis checks a password that is sent, but serves who sends none: here the first command must bring it."""
    process = client._process_command

    def first(fields: list[bytes]) -> None:
        names = [field.upper() for field in fields[:-1]]
        if names[:1] not in ([b"AUTH"], [b"HELLO"]) or b"AUTH" not in names:
            raise SimpleError("NOAUTH Authentication required.")  # told by the handler, which then hangs up
        if not secrets.compare_digest(fields[-1 if names[0] == b"AUTH" else names.index(b"AUTH") + 2], password):
            raise SimpleError("WRONGPASS invalid username-password pair or user is disabled.")
        client._process_command = process
        process(fields)

    client._process_command = first


class _Server(TcpFakeServer):
    request_queue_size = 1024

    def __init__(self, port: int, password: str) -> None:
        super().__init__(("127.0.0.1", port))
        self.RequestHandlerClass = _Handler
        self.daemon_threads = True  # an open client must not keep the process alive
        self.fake_server = FakeServer(version=(7, 2), config={b"requirepass": password.encode()})


class FakeRedisServer:
    """A running fakeredis on loopback."""

    def __init__(self, port: int, password: str) -> None:
        log.warning(
            "no Redis server found, so this one is IN MEMORY ONLY: a crash loses what the store has not seen. "
            "Install one with: apt install redis-server"
        )
        self._server = _Server(port, password)
        self._thread = threading.Thread(target=self._server.serve_forever, name="besom-fake-redis", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close it; all it held is gone."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
