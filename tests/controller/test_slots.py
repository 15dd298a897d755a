"""Slots and turns: as many turns as can be used, none twice."""

from __future__ import annotations

import pytest

from besom.broker.turns import Turn, Turns, TurnWorker
from besom.controller.slots import Slots
from tests.controller.world import World


@pytest.fixture
def turns(world: World) -> Turns:
    return Turns(world.connection)


@pytest.fixture
def slots(world: World, turns: Turns) -> Slots:
    return Slots(world.ledger, turns)


def _agents(world: World, sweep: str, *slots: int) -> None:
    for position, count in enumerate(slots):
        world.ledger.beat(f"{sweep}-agent{position}", 30_000, [], {"sweep": sweep, "slots": count})


def _ready(world: World, sweep: str, count: int) -> None:
    world.ledger.issue(0, sweep, [(number, {"x": number}) for number in range(1, count + 1)])


def test_slots_are_those_of_live_agents(world: World, slots: Slots) -> None:
    """Slots add up by sweep over the agents that beat; one that left has none."""
    _agents(world, "a", 1, 4)
    _agents(world, "b", 2)
    world.ledger.beat("gone", 30_000, [], {"sweep": "a", "slots": 8})
    world.ledger.leave("gone")
    slots.look()
    assert [slots.of(sweep) for sweep in ("a", "b", "c")] == [5, 2, 0]


@pytest.mark.parametrize(
    ("ready", "live", "waiting"), [(10, 3, 0), (2, 3, 0), (10, 3, 2), (10, 3, 3), (2, 5, 4), (0, 3, 0), (5, 0, 0)]
)
def test_turns_are_topped_up(world: World, slots: Slots, turns: Turns, ready: int, live: int, waiting: int) -> None:
    """There are min(ready, slots) turns afterwards, or those that wait already; a second look adds none."""
    sweep = world.sweep()
    _ready(world, sweep, ready)
    _agents(world, sweep, *[1] * live)
    turns.give(Turn(sweep, 1, 1000), waiting)
    slots.look()
    for _ in range(2):
        slots.give_turns([sweep])
        assert turns.waiting(sweep) == max(waiting, min(ready, live))


def test_wake_gives_empty_turns(world: World, slots: Slots, turns: Turns) -> None:
    """Each slot gets a turn for no trial, one more for an agent that is not seen yet."""
    sweep = world.sweep()
    _agents(world, sweep, 1, 1)
    slots.look()
    slots.wake(sweep, over=False)
    assert turns.waiting(sweep) == 3
    worker = TurnWorker(world.connect(), sweep)
    assert worker.take(1) == Turn(sweep, 0, 0)
    worker.close()


def test_queue_of_a_sweep_that_is_over_goes(world: World, slots: Slots, turns: Turns) -> None:
    """The queue lives on for as long as waiting agents need to take their last turn, and is no queue of RQ's."""
    sweep = world.sweep()
    slots.wake(sweep, over=True)
    key = turns.queue(sweep).key
    assert 0 < world.connection.redis.ttl(key) <= 60
    assert key.encode() not in world.connection.redis.smembers("rq:queues")
