"""Where reading goes: a store on this machine, or a controller's HTTP read API.

`QUERIES` is the one list of what may be asked; the HTTP side serves the same names with the same arguments.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import urlencode

import msgpack
from sqlalchemy import Connection

from besom.errors import Unreachable
from besom.tracking import history, reader
from besom.tracking.store import Store

__all__ = ["QUERIES", "HttpSource", "LocalSource", "Source"]


def _curve(conn: Connection, run: str, key: str, points: int = 500) -> list[list[float]]:
    return [list(bucket) for bucket in history.sample(conn, run, key, points).tolist()]


QUERIES: Final[Mapping[str, Callable[..., Any]]] = {
    "attempts": reader.attempts,
    "best_trials": reader.best_trials,
    "console": reader.console,
    "curve": _curve,
    "keys": history.keys,
    "rejected": reader.rejected,
    "rows": history.read_rows,
    "run": reader.run,
    "runs": reader.runs,
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

    def ask(self, query: str, **arguments: Any) -> Any:
        """The answer to one of `QUERIES`, in plain values."""

    def close(self) -> None:
        """Let go of it."""


class LocalSource:
    """A store that this machine can open."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def ask(self, query: str, **arguments: Any) -> Any:
        """The answer, from one consistent snapshot."""
        with self.store.read() as conn:
            return QUERIES[query](conn, **arguments)

    def close(self) -> None:
        """Close the store."""
        self.store.close()


class HttpSource:
    """A controller's read API.

    Args:
        address: `http://host:port`.
        token: What it asks for.
    """

    def __init__(self, address: str, token: str) -> None:
        self._address = address.rstrip("/")
        self._token = token

    def ask(self, query: str, **arguments: Any) -> Any:
        """The answer.

        Raises:
            Unreachable: the controller does not answer, or refuses.
        """
        given = {name: json.dumps(value) for name, value in arguments.items() if value is not None}
        request = urllib.request.Request(  # noqa: S310
            f"{self._address}/api/{query}?{urlencode(given)}",
            headers={"Authorization": f"Bearer {self._token}", "Accept": "application/msgpack"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                return msgpack.unpackb(response.read())
        except urllib.error.HTTPError as error:
            raise Unreachable(
                f"the controller at {self._address} refuses {query}: {error.read().decode()[:200]}"
            ) from None
        except OSError as error:
            raise Unreachable(f"the controller at {self._address} does not answer: {error}") from None

    def close(self) -> None:
        """Nothing is kept open."""
