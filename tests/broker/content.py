"""What a Redis holds: everything, to compare; and the journal, as events."""

from __future__ import annotations

from typing import Any

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.messages import Event, SweepSpec, read_events


def content(connection: Connection) -> dict[str, tuple[Any, int]]:
    """Every key's value and the milliseconds it has left."""
    client = connection.redis
    readers = {
        b"hash": client.hgetall,
        b"string": client.get,
        b"set": client.smembers,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        b"stream": lambda key: client.xrange(key),
    }
    return {key.decode(): (readers[client.type(key)](key), client.pttl(key)) for key in client.keys("*")}


def events(connection: Connection, kind: type[Event] = Event) -> list[Any]:
    """The journal's events of one kind, oldest first."""
    found = [event for entry in Journal(connection).read("0-0") for event in read_events(entry.fields)]
    return [event for event in found if isinstance(event, kind)]


def spec(sweep: str = "s", **changes: Any) -> SweepSpec:
    """A sweep."""
    return SweepSpec(
        **{"id": sweep, "entity": "e", "project": "p", "name": "n", "created": 1.0, "config": {"seed": 1}, **changes}
    )
