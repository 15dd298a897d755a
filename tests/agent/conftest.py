from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from besom.agent.signals import Signals
from besom.broker.connection import Connection
from besom.broker.ledger import Ledger
from besom.messages import Claim, SweepSpec
from besom.settings import read_settings

Lend = Callable[..., tuple[SweepSpec, Claim]]


@pytest.fixture
def lend(fake: Connection) -> Lend:
    """Makes a sweep with one trial and claims it."""

    def make(params: dict[str, Any] | None = None, sweep: str = "s", **spec: Any) -> tuple[SweepSpec, Claim]:
        made = SweepSpec(id=sweep, entity="e", project="p", name="n", created=1.0, config={}, **spec)
        ledger = Ledger(fake)
        assert ledger.create(made)
        ledger.issue(0, sweep, [(1, params or {"x": 1})])
        [claim] = ledger.claim(sweep, "agent", 1, f"nonce-{sweep}")[1]
        return made, claim

    return make


@pytest.fixture
def said() -> list[str]:
    """Lines that an agent says to its user."""
    return []


@pytest.fixture
def signals(said: list[str]) -> Iterator[Signals]:
    """An agent's signals, not installed."""
    made = Signals(read_settings(), said.append)
    yield made
    made.__exit__()


def is_open(end: socket.socket) -> bool:
    try:
        os.fstat(end.fileno())
    except OSError:
        return False
    return True
