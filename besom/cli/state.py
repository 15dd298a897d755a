"""What `besom status` looks at: Redis, service, controller, agents, journal, store."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from redis.exceptions import RedisError

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.broker.lead import Leader, read_leader
from besom.broker.ledger import Ledger
from besom.broker.service import Service, connect
from besom.cli.tables import ago, size
from besom.errors import BesomError, Unreachable
from besom.settings import Settings
from besom.tracking.reading.api import Api

__all__ = ["check_redis", "look_at"]

_OLDEST_REDIS: Final = (6, 2)
"""LPOP with a count, BLMOVE and XTRIM MINID came with it."""


def look_at(settings: Settings) -> dict[str, Any]:
    """Facts for people and scripts; "controller" is "none" when nothing is recorded.

    Raises:
        Unreachable: the configured Redis does not answer.
    """
    info = Service(settings).find() if settings.redis_url is None else None
    if settings.redis_url is None and info is None:
        return {
            "redis": "none configured (BESOM_REDIS_URL)",
            "service": f"none in {settings.home}; it starts with the first sweep or run",
            "controller": "none",
            "store": _store(settings, None),
        }
    connection = connect(settings, start=False, patience=10)
    try:
        leader = read_leader(connection)
        agents = Ledger(connection).agents()
        refusals, warnings = check_redis(connection)
        version = _version(connection)
        return {
            "redis": f"{connection.shown} (Redis {version})" if version else connection.shown,
            "service": f"process {info.pid}, {info.redis}" if info else "not used",
            "controller": _controller(leader),
            "agents": [_agent(name, told) for name, told in sorted(agents.items())] or "none",
            "unread": size(Journal(connection).unread_bytes()),
            "store": _store(settings, leader),
            "rejected": _rejected(settings),
            "warnings": [*refusals, *warnings] or "none",
        }
    finally:
        connection.close()


def check_redis(connection: Connection) -> tuple[list[str], list[str]]:
    """What forbids a controller to work on this Redis, and what weakens a promise."""
    refusals, warnings = [], []
    version = _version(connection)
    if version and _numbers(version) < _OLDEST_REDIS:
        refusals.append(f"its version is {version}; besom needs {'.'.join(map(str, _OLDEST_REDIS))} or newer")
    try:
        client = connection.redis
        held = {**client.config_get("maxmemory-policy"), **client.config_get("appendonly")}
    except RedisError:
        warning = "CONFIG cannot be read, so nobody knows whether acknowledged points survive a crash of Redis"
        return refusals, [warning]
    facts = {_text(name): _text(value) for name, value in held.items()}
    policy = facts.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        refusals.append(f"maxmemory-policy is {policy}: Redis may throw trials away; set it to noeviction")
    if facts.get("appendonly") == "no":
        warnings.append("appendonly is no: a crash of Redis loses acknowledged points; set it to yes")
    return refusals, warnings


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _controller(leader: Leader) -> str:
    if not leader.alive:
        return "none"
    info = leader.info
    address = f", read API at {info['http']}" if info.get("http") else ""
    return f"process {info.get('pid', '?')} on {info.get('host', '?')}, epoch {leader.epoch}{address}"


def _agent(name: str, told: dict[str, Any]) -> str:
    return f"{name}: sweep {told.get('sweep', '?')}, since {ago(told.get('since', 0))}"


def _store(settings: Settings, leader: Leader | None) -> str:
    url = str(leader.info.get("store") or settings.store_url) if leader else settings.store_url
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite") and path.exists():
        parts = (path, path.with_name(f"{path.name}-wal"))  # the newest is in the write-ahead log
        return f"{path} ({size(sum(part.stat().st_size for part in parts if part.exists()))})"
    return f"{url} (not on this machine)" if leader else f"{url} (not made yet)"


def _rejected(settings: Settings) -> int | str:
    try:
        api = Api(settings=settings)
    except (Unreachable, BesomError):
        return "unknown: the store is not on this machine"
    try:
        return len(api.ask("rejected"))
    finally:
        api.close()


def _version(connection: Connection) -> str:
    try:
        return str(connection.redis.info("server")["redis_version"])
    except (RedisError, KeyError, TypeError):
        return ""


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
