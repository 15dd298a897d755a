"""`besom.Api()`: read back sweeps, trials and runs.

Reads the store where it is on this machine, else the HTTP read API of the controller. What this process and others
have written before a call is in the answer: reading waits, up to 5 s, until the recorder has passed the journal's end.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url

from besom.broker.connection import Connection
from besom.broker.find import Address, read_address
from besom.broker.journal import Journal, entry_order
from besom.broker.lead import http_address, read_leader
from besom.broker.service import Service, connect
from besom.errors import NotFound, Unreachable, UsageError
from besom.messages import Event
from besom.settings import Settings, read_settings
from besom.tracking.artifacts.artifact import Artifact
from besom.tracking.artifacts.found import find_artifact
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.over_http import HttpPlace
from besom.tracking.blobs.ways import blobs_of, kept_at
from besom.tracking.http import HttpClient
from besom.tracking.reading.api_run import ApiRun
from besom.tracking.reading.api_sweep import ApiSweep
from besom.tracking.reading.filters import Filter, plain_filters, read_order
from besom.tracking.reading.run_list import Runs
from besom.tracking.reading.source import HttpSource, LocalSource, Source
from besom.tracking.store.store import Store

__all__ = ["Api", "ApiRun", "ApiSweep", "Runs"]

log = logging.getLogger("besom")

_WAIT_SECONDS: Final = 5.0
_TIMEOUT: Final = 30.0


class Api:
    """The door to what is recorded.

    Args:
        overrides: `entity` and `project` for paths that name none; `base_url`, to read a controller's HTTP read API
            (`besom controller --http`) from where neither its Redis nor its store can be reached.
        timeout: Seconds to wait for an answer over HTTP; default 30.
        api_key: The read API's token, with `base_url`; elsewhere accepted and not needed.
        settings: Where to look; default the environment's.

    Raises:
        Unreachable: there is no store here, and no controller that serves one.
        UsageError: an override that is none.
    """

    def __init__(
        self,
        overrides: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        api_key: str | None = None,
        *,
        settings: Settings | None = None,
    ) -> None:
        given = _checked(overrides)
        self._entity, self._project = given.get("entity"), given.get("project")
        self._settings = settings or read_settings()
        base = given.get("base_url")
        self._connection = None if base else _reachable(self._settings)
        if base:
            client = HttpClient(base, api_key or "", timeout or _TIMEOUT)
            self._source: Source = HttpSource(client)
            self.blobs = Blobs(HttpPlace(base, api_key or ""))
            """Files of runs and artifacts."""
        else:
            self._source = _source(self._settings, self._connection, timeout or _TIMEOUT)
            self.blobs = blobs_of(self._settings) if self._connection else Blobs(kept_at(self._settings))
        self.address = base or http_address(self._connection)
        """Of the HTTP read API; empty without one."""
        self._patience = _WAIT_SECONDS

    def sweep(self, path: str) -> ApiSweep:
        """The sweep at `id`, `project/id` or `entity/project/id`.

        Raises:
            NotFound: there is none.
        """
        address = self._placed(read_address(path))
        row = self.ask("sweep", sweep_id=address.id)
        if row is None or not address.fits(row["entity"], row["project"]):
            raise NotFound("sweep", str(address), self.where)
        return ApiSweep(self, row)

    def sweeps(self, project: str | None = None) -> list[ApiSweep]:
        """All sweeps, newest first."""
        return [ApiSweep(self, row) for row in self.ask("sweeps", project=project or self._project)]

    def run(self, path: str) -> ApiRun:
        """The run at `id`, `project/id` or `entity/project/id`; a trial's run is `<sweep>-<number>`.

        Raises:
            NotFound: there is none.
        """
        address = self._placed(read_address(path, "run"))
        row = self.ask("run", run_id=address.id)
        if row is None or not address.fits(row["entity"], row["project"]):
            raise NotFound("run", str(address), self.where)
        return ApiRun(self, row)

    def runs(
        self,
        path: str | None = None,
        filters: Mapping[str, Any] | None = None,
        order: str = "+created_at",
        per_page: int = 50,
    ) -> Runs:
        """Runs of `project` or `entity/project`, trials included; all without a path.

        Args:
            path: Where.
            filters: Mongo's operators over fields: `{"config.lr": {"$lt": 0.1}, "state": "finished"}`. Fields are
                `config.NAME`, `summary_metrics.NAME`, `state`, `tags`, `created_at`, `display_name`, `group`,
                `jobType`, `sweep` and other columns.
            order: A field with `+` (smallest first) or `-` in front; several with commas. Runs without it come last.
            per_page: How many are loaded at once; it does not bound the result.

        Returns:
            A sequence that is loaded as it is looked at.

        Raises:
            ValueError: a filter or an order that cannot be; names what is wrong.
        """
        entity, _, project = (path or "").rpartition("/")
        wanted = plain_filters(filters or {})
        Filter(wanted)
        read_order(order)
        which = {"project": project or self._project, "entity": entity or self._entity}
        return Runs(self, lambda: self.ask("run_ids", **which, filters=wanted, order=order), per_page)

    def tell(self, event: Event) -> None:
        """Append an event to the journal.

        Raises:
            UsageError: nothing is running.
        """
        if self._connection is None:
            raise UsageError(f"{self.where} can only be read from here; to change it, start besom controller and Redis")
        Journal(self._connection).append(event)

    def artifact(self, name: str, type: str | None = None) -> Artifact:
        """The version at `name:v0`, `name:latest` or `[entity/]project/name:alias`.

        Raises:
            NotFound: there is none.
            UsageError: it is of another type.
        """
        return find_artifact(self, name, type)

    def ask(self, query: str, **arguments: Any) -> Any:
        """One of `source.QUERIES`, after what was written before has arrived."""
        self._wait_for_recorder()
        return self._source.ask(query, **arguments)

    @property
    def where(self) -> str:
        """The place read from, without secrets."""
        if self._connection is not None:
            return self._connection.shown
        return self._source.where

    @property
    def store(self) -> Store | None:
        """What is read, when that is a store which this machine can open."""
        return self._source.store if isinstance(self._source, LocalSource) else None

    @property
    def connected(self) -> bool:
        """Whether Redis is there; without it nothing new arrives."""
        return self._connection is not None

    def caught_up(self) -> bool:
        """Whether the recorder has passed the journal's end, after waiting a few seconds for that."""
        self._wait_for_recorder()
        return self._connection is not None and bool(self._patience)

    def close(self) -> None:
        """Let go of store and connection."""
        self._source.close()
        if self._connection is not None:
            self._connection.close()

    def _placed(self, address: Address) -> Address:
        return Address(address.id, address.project or self._project or "", address.entity or self._entity or "")

    def _wait_for_recorder(self) -> None:
        if self._connection is None:
            return
        journal, pause = Journal(self._connection), threading.Event()
        try:
            end = entry_order(journal.end())
            deadline = time.monotonic() + self._patience
            while entry_order(journal.recorded_id()) < end:
                if time.monotonic() >= deadline:
                    self._is_behind()
                    return
                pause.wait(0.01)
            self._patience = _WAIT_SECONDS
        except Unreachable:
            return  # the store still has what it had

    def _is_behind(self) -> None:
        """Say so once; the next calls do not wait until it has caught up."""
        if self._patience:
            log.warning("the recorder has not caught up within %.0f s; the newest may be missing", self._patience)
        self._patience = 0.0


def _reachable(settings: Settings) -> Connection | None:
    """Redis if it is there; reading a local store needs none."""
    if settings.redis_url is None:
        service = Service(settings)
        info = service.find()
        if info is None:
            return None
        connection = service.connection(info)
        connection.patience = 2.0
        return connection
    try:
        return connect(settings, patience=10)
    except Unreachable as error:
        if settings.store is None:
            raise
        log.warning("%s; what the store has is read without it", error)
        return None


def _checked(overrides: Mapping[str, Any] | None) -> dict[str, str]:
    given = {str(name): value for name, value in (overrides or {}).items() if value is not None}
    for name, value in given.items():
        if name not in ("entity", "project", "base_url") or not isinstance(value, str):
            raise UsageError(f"overrides {name}={value!r} cannot be; write entity, project or base_url, each a text")
    return given


def _source(settings: Settings, connection: Connection | None, timeout: float) -> Source:
    if settings.store is not None or connection is None or settings.redis_url is None:
        return LocalSource(Store.open(settings.store_url, create=False))
    info = read_leader(connection).info
    if info.get("host") == socket.gethostname() and info.get("store", "").startswith("sqlite"):
        path = Path(make_url(info["store"]).database or "")
        if path.exists():
            return LocalSource(Store.open(f"sqlite:///{path}", create=False))
    if info.get("http"):
        return HttpSource(HttpClient(info["http"], info.get("token", ""), timeout))
    raise Unreachable(
        f"the store of the controller at {connection.shown} is not on this machine; "
        "start that controller with --http HOST:PORT, or set BESOM_STORE to a store that this machine can open"
    )
