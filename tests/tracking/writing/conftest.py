from __future__ import annotations

from collections.abc import Iterator

import pytest

from besom.broker.connection import Connection
from besom.tracking.store.store import Store
from tests.clock import Clock
from tests.redis_server import RedisServer
from tests.tracking.desk import Desk, FlakyJournal


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def journal(fake: Connection) -> FlakyJournal:
    return FlakyJournal(fake)


@pytest.fixture
def redis_connection(redis_server: RedisServer) -> Iterator[Connection]:
    """To a real Redis, for what takes several processes."""
    opened = Connection(redis_server.url)
    yield opened
    opened.redis.close()


@pytest.fixture
def redis_desk(redis_connection: Connection, store: Store) -> Desk:
    """The journal in a real Redis, and a recorder that reads it when told."""
    return Desk(redis_connection, store)
