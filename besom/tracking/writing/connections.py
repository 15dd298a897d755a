"""This process' connections to Redis: one for each address and namespace, shared by its runs, sweeps and agents."""

from __future__ import annotations

import os

from besom.broker.connection import Connection
from besom.broker.service import connect
from besom.settings import Settings

__all__ = ["release_connections", "shared_connection"]

_connections: dict[tuple[int, str], Connection] = {}


def shared_connection(settings: Settings) -> Connection:
    """This process' connection for these settings; the service is started if none is configured."""
    where = settings.redis_url.get_secret_value() if settings.redis_url else str(settings.home)
    key = (os.getpid(), f"{where} {settings.namespace}")
    if key not in _connections:
        _connections[key] = connect(settings)
    return _connections[key]


def release_connections() -> None:
    """Close what `shared_connection` holds."""
    for connection in _connections.values():
        connection.close()
    _connections.clear()
