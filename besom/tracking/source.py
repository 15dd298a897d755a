"""Where reading goes: a store on this machine, or a controller's HTTP read API.

`QUERIES` is the one list of what may be asked; the HTTP side serves the same names with the same arguments.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final, Protocol
from urllib.parse import urlencode, urlsplit

import msgpack
from sqlalchemy import Connection

from besom.errors import Unreachable
from besom.tracking import artifact_rows, finding, history, reader
from besom.tracking.store import Store

__all__ = ["QUERIES", "HttpSource", "LocalSource", "Source"]


def _curve(conn: Connection, run: str, key: str, points: int = 500) -> list[list[float]]:
    return [list(bucket) for bucket in history.sample(conn, run, key, points).tolist()]


QUERIES: Final[Mapping[str, Callable[..., Any]]] = {
    "artifact": artifact_rows.find,
    "artifact_versions": artifact_rows.versions,
    "attempts": reader.attempts,
    "best_trials": reader.best_trials,
    "console": reader.console,
    "curve": _curve,
    "keys": history.keys,
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
    """A controller's read API, over one connection that is kept open; safe to share between threads.

    Args:
        address: `http://host:port`.
        token: What it asks for.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, address: str, token: str, timeout: float = 30.0) -> None:
        self._address = address.rstrip("/")
        self._host = urlsplit(self._address)
        self.where = self._address
        self._token = token
        self._timeout = timeout
        self._lock = threading.Lock()
        self._open: HTTPConnection | None = None
        self._process = os.getpid()

    def ask(self, query: str, **arguments: Any) -> Any:
        """The answer.

        Raises:
            Unreachable: the controller does not answer, or refuses.
        """
        given = {name: json.dumps(value) for name, value in arguments.items() if value is not None}
        target = f"{self._host.path}/api/{query}?{urlencode(given)}"
        try:
            with self._lock:
                status, body = self._get(target)
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise Unreachable(f"the controller at {self._address} does not answer: {error}") from None
        if status != 200:
            told = body.decode("utf-8", "replace")[:200]
            raise Unreachable(f"the controller at {self._address} refuses {query}: {told}")
        return msgpack.unpackb(body, strict_map_key=False)

    def close(self) -> None:
        """Close the connection; the next `ask` opens another."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _get(self, target: str) -> tuple[int, bytes]:
        if self._process != os.getpid():  # a fork must not speak on its parent's connection
            self._open, self._process = None, os.getpid()
        if self._open is not None:
            try:
                return self._exchange(self._open, target)
            except (ConnectionError, HTTPException):
                self.close()  # the other side closes what has been idle for a while
        kind = HTTPSConnection if self._host.scheme == "https" else HTTPConnection
        self._open = kind(self._host.hostname or "", self._host.port, timeout=self._timeout)
        return self._exchange(self._open, target)

    def _exchange(self, connection: HTTPConnection, target: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/msgpack"}
        connection.request("GET", target, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
