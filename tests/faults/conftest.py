"""A Redis, a store and processes for one fault; the lease of trials and that of the controller are 1 s."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import House
from tests.redis_server import RedisServer

LEASE_SECONDS = 1.0


@pytest.fixture
def house(redis_server: RedisServer, tmp_path: Path) -> Iterator[House]:
    """No controller yet."""
    with House(tmp_path, redis_server, LEASE_SECONDS) as house:
        yield house


@pytest.fixture
def planned(house: House) -> House:
    """With a controller."""
    house.controller()
    return house
