from __future__ import annotations

from collections.abc import Iterator

import pytest

import besom
from besom.broker.connection import Connection
from tests.tracking.conftest import desk, store, wired

__all__ = ["desk", "store", "wired"]


@pytest.fixture
def run(wired: Connection) -> Iterator[besom.Run]:
    """An active run; `desk.rows(run.id)` reads it back."""
    started = besom.init(project="p", id="r")
    yield started
    started.finish()
