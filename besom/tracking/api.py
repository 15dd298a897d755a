"""`besom.Api()`: read back sweeps, trials and runs.

Reads the store where it is on this machine, else the HTTP read API of the controller. What this process and others
have written before a call is in the answer: reading waits, up to 5 s, until the recorder has passed the journal's end.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy import make_url

from besom.broker.connection import Connection
from besom.broker.find import read_address
from besom.broker.journal import Journal, entry_order
from besom.broker.lead import read_leader
from besom.broker.service import Service, connect
from besom.errors import NotFound, Unreachable
from besom.settings import Settings, read_settings
from besom.tracking.source import HttpSource, LocalSource, Source
from besom.tracking.store import Store

__all__ = ["Api", "ApiRun", "ApiSweep"]

log = logging.getLogger("besom")

_WAIT_SECONDS: Final = 5.0


class Api:
    """The door to what is recorded.

    Args:
        settings: Where to look; default the environment's.

    Raises:
        Unreachable: there is no store here, and no controller that serves one.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or read_settings()
        self._connection = _reachable(self._settings)
        self._source = _source(self._settings, self._connection)
        self._patience = _WAIT_SECONDS

    def sweep(self, path: str) -> ApiSweep:
        """The sweep at `id`, `project/id` or `entity/project/id`.

        Raises:
            NotFound: there is none.
        """
        address = read_address(path)
        row = self.ask("sweep", sweep_id=address.id)
        if row is None or not address.fits(row["entity"], row["project"]):
            raise NotFound("sweep", str(address), self.where)
        return ApiSweep(self.ask, row)

    def sweeps(self, project: str | None = None) -> list[ApiSweep]:
        """All sweeps, newest first."""
        return [ApiSweep(self.ask, row) for row in self.ask("sweeps", project=project)]

    def run(self, path: str) -> ApiRun:
        """The run at `id`, `project/id` or `entity/project/id`; a trial's run is `<sweep>-<number>`.

        Raises:
            NotFound: there is none.
        """
        address = read_address(path, "run")
        row = self.ask("run", run_id=address.id)
        if row is None or not address.fits(row["entity"], row["project"]):
            raise NotFound("run", str(address), self.where)
        return ApiRun(self.ask, row)

    def runs(self, path: str | None = None, *, order: str = "-created", per_page: int | None = None) -> list[ApiRun]:
        """Runs of `project` or `entity/project`, trials included; all without a path.

        Raises:
            ValueError: `order` names no column.
        """
        entity, _, project = (path or "").rpartition("/")
        rows = self.ask("runs", project=project or None, entity=entity or None, order=order, limit=per_page)
        return [ApiRun(self.ask, row) for row in rows]

    def ask(self, query: str, **arguments: Any) -> Any:
        """One of `source.QUERIES`, after what was written before has arrived."""
        self._wait_for_recorder()
        return self._source.ask(query, **arguments)

    @property
    def where(self) -> str:
        """The place read from, without secrets."""
        return self._connection.shown if self._connection else self._settings.store_url.removeprefix("sqlite:///")

    @property
    def connected(self) -> bool:
        """Whether Redis is there; without it nothing new arrives."""
        return self._connection is not None

    def close(self) -> None:
        """Let go of store and connection."""
        self._source.close()
        if self._connection is not None:
            self._connection.close()

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


class ApiSweep:
    """A sweep as recorded."""

    def __init__(self, ask: Callable[..., Any], row: dict[str, Any]) -> None:
        self._ask = ask
        self._row = row
        self.id: str = row["id"]
        self.name: str = row["name"] or row["id"]
        self.entity: str = row["entity"]
        self.project: str = row["project"]
        self.config: dict[str, Any] = row["spec"]["config"]
        self.created: float = row["created"]
        """Seconds since the epoch."""

    def __repr__(self) -> str:
        return f"<besom sweep {self.path} ({self.state})>"

    @property
    def path(self) -> str:
        """entity/project/id."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def metric(self) -> dict[str, str] | None:
        """Name and goal of what it optimises."""
        metric: dict[str, str] | None = self._row["spec"].get("metric")
        return metric

    @property
    def state(self) -> str:
        """Its state now."""
        row = self._ask("sweep", sweep_id=self.id)
        return str(row["state"]) if row else "removed"

    @property
    def runs(self) -> list[ApiRun]:
        """The runs of its trials, first trial first."""
        return [ApiRun(self._ask, row) for row in self._ask("runs", sweep_id=self.id, order="number")]

    @property
    def counts(self) -> dict[str, int]:
        """Number of trials by state."""
        counts: dict[str, int] = self._ask("sweep_counts", sweep_id=self.id)
        return counts

    def trials(self, **which: Any) -> list[dict[str, Any]]:
        """Its trials as rows: number, params, state, value, error, times."""
        rows: list[dict[str, Any]] = self._ask("trials", sweep_id=self.id, **which)
        return rows

    def best_trials(self, count: int = 5) -> list[dict[str, Any]]:
        """The best trials, best first; of equals the earlier."""
        rows: list[dict[str, Any]] = self._ask("best_trials", sweep_id=self.id, count=count)
        return rows

    def best_run(self) -> ApiRun | None:
        """The run with the best value of the sweep's metric, the same value that the search uses."""
        best = self.best_trials(1)
        return ApiRun(self._ask, self._ask("run", run_id=f"{self.id}-{best[0]['number']}")) if best else None


class ApiRun:
    """A run as recorded."""

    def __init__(self, ask: Callable[..., Any], row: dict[str, Any]) -> None:
        self._ask = ask
        self._row = row
        self.id: str = row["id"]
        self.name: str = row["name"] or row["id"]
        self.entity: str = row["entity"]
        self.project: str = row["project"]
        self.state: str = row["state"]
        self.config: dict[str, Any] = {name: value for name, value in row["config"].items() if name[:1] != "_"}
        self.tags: list[str] = row["tags"]
        self.value: float | None = row["value"]
        """Value of the sweep's metric, for a trial that has one."""
        self.error: str = row["error"] or ""

    def __repr__(self) -> str:
        return f"<besom run {self.path} ({self.state})>"

    def __getitem__(self, name: str) -> Any:
        """Any other column: group_name, notes, created, ended, attempt, agent ..."""
        return self._row[name]

    @property
    def path(self) -> str:
        """entity/project/id."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def summary(self) -> dict[str, Any]:
        """One value for each name."""
        summary: dict[str, Any] = self._ask("summaries", run_ids=[self.id]).get(self.id, {})
        return summary

    def history(
        self, samples: int = 500, keys: Sequence[str] | None = None, x_axis: str = "_step", pandas: bool = True
    ) -> Any:
        """What it logged, thinned to `samples` rows.

        Args:
            samples: Rows at most, evenly chosen, first and last among them.
            keys: Only these names, and only rows that have one.
            x_axis: The column to sort by.
            pandas: Give a DataFrame when pandas is installed.

        Returns:
            A DataFrame, or a list of dicts; each row has `_step`, `_timestamp` and `_runtime` (seconds).
        """
        rows = self._rows(keys)
        rows.sort(key=lambda row: (row.get(x_axis) is None, row.get(x_axis) or 0))
        if len(rows) > samples:
            gap = (len(rows) - 1) / max(1, samples - 1)
            rows = [rows[-1 - round(place * gap)] for place in reversed(range(samples))]
        frame = _data_frame() if pandas else None
        return frame(rows) if frame is not None else rows

    def scan_history(
        self,
        keys: Sequence[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Every row, unthinned; `max_step` is not included, as in W&B."""
        yield from self._rows(keys, min_step, None if max_step is None else max_step - 1)

    def console(self, after: int = 0) -> list[tuple[str, float, str]]:
        """(stream, seconds, line) of what it printed, without the first `after`."""
        return [tuple(line) for line in self._ask("console", run_id=self.id, after=after)]

    def _rows(
        self, keys: Sequence[str] | None, min_step: int | None = None, max_step: int | None = None
    ) -> list[dict[str, Any]]:
        wanted = None if keys is None else sorted({*keys, "_timestamp"})
        rows: list[dict[str, Any]] = self._ask("rows", run=self.id, keys=wanted, min_step=min_step, max_step=max_step)
        started = self._row["created"] or 0.0
        for row in rows:
            if "_timestamp" in row:
                row["_runtime"] = row["_timestamp"] - started
        return rows if keys is None else [row for row in rows if any(key in row for key in keys)]


def _data_frame() -> Any:
    try:
        import pandas
    except ImportError:
        return None
    return pandas.DataFrame


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


def _source(settings: Settings, connection: Connection | None) -> Source:
    if settings.store is not None or connection is None or settings.redis_url is None:
        return LocalSource(Store.open(settings.store_url, create=False))
    info = read_leader(connection).info
    if info.get("host") == socket.gethostname() and info.get("store", "").startswith("sqlite"):
        path = Path(make_url(info["store"]).database or "")
        if path.exists():
            return LocalSource(Store.open(f"sqlite:///{path}", create=False))
    if info.get("http"):
        return HttpSource(info["http"], info.get("token", ""))
    raise Unreachable(
        f"the store of the controller at {connection.shown} is not on this machine; "
        "start that controller with --http HOST:PORT, or set BESOM_STORE to a store that this machine can open"
    )
