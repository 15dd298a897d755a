"""Turns of one sweep: when the agent has seen the last of them."""

from __future__ import annotations

import pytest

from besom.agent import sources
from besom.agent.sources import OneSweep
from besom.broker.connection import Connection
from besom.broker.ledger import Ledger

from .conftest import Lend


@pytest.mark.parametrize("state", ["stopping", "cancelled"])
def test_a_sweep_that_takes_no_more_trials_is_over(fake: Connection, lend: Lend, state: str) -> None:
    """What a reply told is believed at once."""
    spec, _ = lend()
    source = OneSweep(fake, spec)
    assert not source.over()
    source.noted(spec.id, state)
    assert source.over()
    source.close()


def test_a_sweep_that_redis_lost_is_waited_for(fake: Connection, lend: Lend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown, it is not over yet; written back in time it goes on, and after a while it is taken for removed."""
    spec, _ = lend()
    source = OneSweep(fake, spec)
    fake.redis.flushall()
    assert source.next_turn(0.1) is None
    assert not source.over()
    Ledger(fake).create(spec)
    assert source.next_turn(0.1) is None
    monkeypatch.setattr(sources, "UNKNOWN_SECONDS", 0.0)
    assert not source.over()
    fake.redis.flushall()
    assert source.next_turn(0.1) is None
    assert source.over()
    source.close()
