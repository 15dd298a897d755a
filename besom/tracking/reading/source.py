"""Where reading goes: a store on this machine, or a controller's HTTP read API.

`QUERIES` is the one list of what may be asked; the HTTP side serves the same names with the same arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import msgpack
from sqlalchemy import Connection

from besom.errors import Unreachable
from besom.tracking.http import HttpClient
from besom.tracking.reading import finding
from besom.tracking.reading.pareto import metric_values, pareto_front
from besom.tracking.reading.tried_points import best_points
from besom.tracking.store import alert_rows, artifact_rows, file_rows, history, reader
from besom.tracking.store.store import Store

__all__ = ["QUERIES", "HttpSource", "LocalSource", "Source"]


def _curve(conn: Connection, run: str, key: str, points: int = 500) -> list[list[float]]:
    return [list(bucket) for bucket in history.sample(conn, run, key, points).tolist()]


QUERIES: Final[Mapping[str, Callable[..., Any]]] = {
    "alerts": alert_rows.alerts_of,
    "artifact": artifact_rows.find,
    "artifact_versions": artifact_rows.versions,
    "artifacts_of": artifact_rows.logged_by,
    "attempts": reader.attempts,
    "best_points": best_points,
    "best_trials": reader.best_trials,
    "pareto_front": pareto_front,
    "console": reader.console,
    "curve": _curve,
    "files": file_rows.files_of,
    "keys": history.keys,
    "metric_values": metric_values,
    "page": history.read_page,
    "recorded": reader.recorded,
    "rejected": reader.rejected,
    "rows": history.read_rows,
    "run": reader.run,
    "run_ids": finding.run_ids,
    "runs": reader.runs,
    "runs_by_id": reader.runs_by_id,
    "sampled": history.sampled_rows,
    "summaries": reader.summaries,
    "sweep": reader.sweep,
    "system": history.read_system,
    "sweep_counts": reader.sweep_counts,
    "sweeps": reader.sweeps,
    "trial": reader.trial,
    "trials": reader.trials,
}


class Source(Protocol):
    """Something that answers the queries."""

    where: str
    """What is read, without secrets."""

    def ask(self, query: str, **arguments: Any) -> Any:
        """The answer to one of `QUERIES`, in plain values."""

    def close(self) -> None:
        """Let go of it."""


class LocalSource:
    """A store that this machine can open."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.where = store.url.removeprefix("sqlite:///")

    def ask(self, query: str, **arguments: Any) -> Any:
        """The answer, from one consistent snapshot."""
        with self.store.read() as conn:
            return QUERIES[query](conn, **arguments)

    def close(self) -> None:
        """Close the store."""
        self.store.close()


class HttpSource:
    """A controller's read API; safe to share between threads.

    Args:
        client: Where it is.
    """

    def __init__(self, client: HttpClient) -> None:
        self.where = client.address
        self._client = client

    def ask(self, query: str, **arguments: Any) -> Any:
        """The answer.

        Raises:
            Unreachable: the controller does not answer, or refuses.
        """
        given = {name: json.dumps(value) for name, value in arguments.items() if value is not None}
        headers = {"Accept": "application/msgpack"}
        with self._client.request("GET", f"/api/{query}?{urlencode(given)}", headers) as answer:
            body = answer.read()
        if answer.status != 200:
            told = body.decode("utf-8", "replace")[:200]
            raise Unreachable(f"the controller at {self.where} refuses {query}: {told}")
        return msgpack.unpackb(body, strict_map_key=False)

    def close(self) -> None:
        """Close the connection; the next `ask` opens another."""
        self._client.close()
