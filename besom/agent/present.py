"""Who is there: the agents whose beat has not run out, and what they last said of themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from besom.broker.connection import Connection
from besom.broker.ledger import Ledger

__all__ = ["present_agents"]


def present_agents(connection: Connection) -> list[dict[str, Any]]:
    """Each agent's id, host, pid, sweep, project, slots, gpus, running trials, since and last beat; oldest first.

    `since` is in seconds since the epoch by the agent's own clock, `beat` in seconds ago by Redis' clock.
    """
    client, keys = connection.redis, connection.keys

    def read() -> list[tuple[bytes, float, bytes | None]]:
        seconds, micro = client.time()
        now = seconds * 1000 + micro / 1000
        with client.pipeline(transaction=False) as pipe:
            pipe.zrangebyscore(keys.agents(), now, "+inf", withscores=True)
            pipe.hget(keys.timing(), "lease_ms")
            scores, lease = pipe.execute()
            for name, _ in scores:
                pipe.hget(keys.agent(name.decode()), "info")
            infos = pipe.execute() if scores else []
        lease_ms = float(lease or 30_000)
        return [
            (name, (now - float(score) + lease_ms) / 1000, info)
            for (name, score), info in zip(scores, infos, strict=True)
        ]

    rows = [_row(name.decode(), beat, json.loads(info or "{}")) for name, beat, info in connection.call(read)]
    paths = _paths(Ledger(connection), {row["sweep"] for row in rows if row["sweep"]})
    for row in rows:
        row["serves"] = paths.get(row["sweep"], row["sweep"]) or f"{row['project'].lstrip('/')} (all sweeps)"
    return sorted(rows, key=lambda row: row["since"])


def _row(name: str, beat: float, info: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "host": info.get("host", ""),
        "pid": info.get("pid", 0),
        "sweep": info.get("sweep", ""),
        "project": info.get("project", ""),
        "slots": info.get("slots", 1),
        "gpus": info.get("gpus", []),
        "running": [f"{sweep}-{number}" for sweep, number in info.get("running", [])],
        "since": info.get("since", 0.0),
        "beat": round(max(0.0, beat), 1),
    }


def _paths(ledger: Ledger, sweeps: set[str]) -> dict[str, str]:
    specs = [ledger.spec(sweep) for sweep in sweeps]
    return {spec.id: spec.path for spec in specs if spec is not None}
