"""A run as `besom.Api()` gives it: read, edited, deleted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgpack

from besom.errors import NotFound, UsageError
from besom.messages import Event, RunEdited, SweepRemoved
from besom.tracking.artifacts.artifact import Artifact
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.links import run_link
from besom.tracking.reading.api_file import RunFile
from besom.tracking.times import moment_of
from besom.tracking.values import plain

__all__ = ["ApiRun", "ApiSummary", "Door"]

_EDITED = ("name", "notes", "tags", "group", "job_type")


class Door(Protocol):
    """Where runs and sweeps read and write."""

    address: str
    """Of the HTTP read API; empty without one."""
    blobs: Blobs
    """Files of runs and artifacts."""

    def ask(self, query: str, **arguments: Any) -> Any:
        """One of `source.QUERIES`."""

    def tell(self, event: Event) -> None:
        """Append an event to the journal."""


class ApiSummary(dict[str, Any]):
    """A run's summary: set values, then `update()` writes them."""

    def __init__(self, run: ApiRun, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._run = run

    def update(self, *values: Any, **named: Any) -> None:
        """Set several and write whatever was set since the last time."""
        super().update(*values, **named)
        self._run.update()


class ApiRun:
    """A run as recorded.

    `name`, `notes`, `tags`, `group`, `job_type`, `config` and `summary` may be changed; `update()` writes that.
    """

    def __init__(self, door: Door, row: dict[str, Any], summary: Mapping[str, Any] | None = None) -> None:
        self._door = door
        self._take(row, summary)

    def _take(self, row: dict[str, Any], summary: Mapping[str, Any] | None) -> None:
        self._row = row
        self.id: str = row["id"]
        self.name: str = row["name"] or row["id"]
        self.entity: str = row["entity"]
        self.project: str = row["project"]
        self.state: str = row["state"]
        self.config: dict[str, Any] = {name: value for name, value in row["config"].items() if name[:1] != "_"}
        self.tags: list[str] = row["tags"]
        self.notes: str = row["notes"]
        self.group: str = row["group_name"]
        self.job_type: str = row["job_type"]
        self.value: float | None = row["value"]
        """Value of the sweep's metric, for a trial that has one."""
        self.error: str = row["error"] or ""
        self._written: dict[str, Any] = json.loads(json.dumps({"config": self.config, **self._about()}))
        self._summary: ApiSummary | None = None
        self._written_summary: dict[str, Any] = {}
        if summary is not None:
            self._keep_summary(summary)

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
    def display_name(self) -> str:
        """`name`."""
        return self.name

    @property
    def created_at(self) -> str | None:
        """When it began, ISO 8601 in UTC."""
        return moment_of(self._row["created"])

    @property
    def sweep_name(self) -> str | None:
        """Id of its sweep."""
        return self._row["sweep"] or None

    @property
    def metadata(self) -> dict[str, Any]:
        """What it was made in: git, program, args, host, os, python, cpu_count, gpus, packages, perhaps diff."""
        row = self._door.ask("run", run_id=self.id)
        return dict(row["metadata"]) if row else {}

    @property
    def url(self) -> str | None:
        """Where the controller's HTTP read API has it; None when no controller serves one."""
        return run_link(self._door.address, self.id)

    @property
    def summary(self) -> ApiSummary:
        """One value for each name, as of the first look; `load(force=True)` looks again."""
        if self._summary is None:
            self._keep_summary(self._door.ask("summaries", run_ids=[self.id]).get(self.id, {}))
        assert self._summary is not None
        return self._summary

    def load(self, force: bool = False) -> ApiRun:
        """Read it again, with `force`; what was changed and not written is lost.

        Raises:
            NotFound: it is gone.
        """
        if force:
            row = self._door.ask("run", run_id=self.id)
            if row is None:
                raise NotFound("run", self.path, "the store")
            self._take(row, None)
        return self

    def update(self) -> None:
        """Write what was changed in name, notes, tags, group, job_type, config and summary.

        Raises:
            TypeError: a value has no plain form.
            UsageError: nothing is running that could write it.
        """
        about, config, before = self._about(), plain(dict(self.config), "config"), self._written
        changed: dict[str, Any] = {name: value for name, value in about.items() if value != before[name]}
        parts: dict[str, Any] = {
            "config": _news(config, before["config"]),
            "dropped": sorted(before["config"] - config.keys()),
        }
        if self._summary is not None:
            parts["summary"] = _news(plain(dict(self._summary), "summary"), self._written_summary)
        changed |= {name: part for name, part in parts.items() if part}
        if changed:
            self._door.tell(RunEdited(run=self.id, body=msgpack.packb(changed)))
            self._written = json.loads(json.dumps({"config": config, **about}))
            self._written_summary |= changed.get("summary", {})

    def logged_artifacts(self) -> list[Artifact]:
        """The versions of artifacts that it was the first to log, oldest first.

        Raises:
            Unreachable: the manifest of one cannot be had from here.
        """
        return [Artifact.recorded(row, self._door.blobs) for row in self._door.ask("artifacts_of", run=self.id)]

    def delete(self, delete_artifacts: bool = False) -> None:
        """Delete it from the store; a trial's place in its sweep stays counted.

        Args:
            delete_artifacts: Accepted, as W&B's; nothing else is deleted with the run.

        Raises:
            UsageError: it is not over, or nothing is running that could delete it.
        """
        state = self._door.ask("run", run_id=self.id)
        if state is not None and state["state"] in ("queued", "running"):
            raise UsageError(f"run {self.path} is {state['state']}, and only one that is over can be deleted")
        self._door.tell(SweepRemoved(run=self.id))

    def history(
        self,
        samples: int = 500,
        keys: Sequence[str] | None = None,
        x_axis: str = "_step",
        pandas: bool = True,
        stream: str = "default",
    ) -> Any:
        """What it logged, thinned to `samples` rows.

        Args:
            samples: Rows at most, evenly chosen, first and last among them. A run that is longer by far is read
                through what the store has summed up: then each row is the last of a stretch.
            keys: Only these names, and only rows that have all of them.
            x_axis: The column to sort by.
            pandas: Give a DataFrame when pandas is installed.
            stream: "system" or, as W&B calls it, "events" gives the machine's metrics instead: `system/cpu` and others,
                by `_timestamp` and `_runtime`.

        Returns:
            A DataFrame, or a list of dicts; each row has `_step`, `_timestamp` and `_runtime` (seconds).
        """
        if stream in ("system", "events"):
            rows = self._system_rows(keys, samples)
        else:
            axis = "_timestamp" if x_axis == "_runtime" else x_axis
            rows = self._timed(self._door.ask("sampled", run=self.id, samples=samples, keys=_stored(keys), x_axis=axis))
        frame = _data_frame() if pandas else None
        return frame(rows) if frame is not None else rows

    def _system_rows(self, keys: Sequence[str] | None, samples: int) -> list[dict[str, Any]]:
        rows = self._timed(self._door.ask("system", run=self.id))
        if keys is not None:
            wanted = {*keys, "_timestamp", "_runtime"}
            kept = [row for row in rows if any(key in row for key in keys)]
            rows = [{name: row[name] for name in row if name in wanted} for row in kept]
        if len(rows) > samples:
            gap = (len(rows) - 1) / max(1, samples - 1)
            rows = [rows[-1 - round(place * gap)] for place in reversed(range(samples))]
        return rows

    def scan_history(
        self,
        keys: Sequence[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = None,
        max_step: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Every row, unthinned, read page by page; `max_step` is not included, as in W&B.

        Args:
            keys: Only these names, and only rows that have all of them.
            page_size: Rows in one page, at most.
            min_step: First step.
            max_step: The step before which it ends.
        """
        wanted = _stored(keys)
        asked = None if wanted is None else sorted({*wanted, "_timestamp"} - {"_step"})
        last = None if max_step is None else max_step - 1
        while last is None or min_step is None or min_step <= last:
            page = self._door.ask(
                "page", run=self.id, keys=asked, min_step=min_step, max_step=last, limit=max(1, page_size)
            )
            if not page:
                return
            yield from (row for row in self._timed(page) if wanted is None or all(key in row for key in wanted))
            min_step = page[-1]["_step"] + 1

    def files(
        self, names: Sequence[str] | None = None, per_page: int = 50, pattern: str | None = None
    ) -> list[RunFile]:
        """What it saved, and the media it logged, by name.

        Args:
            names: Only these.
            per_page: In W&B, how many are asked for at once; here all come in one answer.
            pattern: Only names like this, with % for anything, as in W&B.
        """
        wanted = re.compile(".*".join(map(re.escape, pattern.split("%")))) if pattern else None
        found = [RunFile(row, self._door.blobs) for row in self._door.ask("files", run=self.id)]
        return [
            file
            for file in found
            if (names is None or file.name in names) and (wanted is None or wanted.fullmatch(file.name))
        ]

    def file(self, name: str) -> RunFile:
        """The file of this name.

        Raises:
            NotFound: there is none.
        """
        for found in self.files([name]):
            return found
        raise NotFound("file", name, f"run {self.path}")

    def console(self, after: int = 0) -> list[tuple[str, float, str]]:
        """(stream, seconds, line) of what it printed, without the first `after`."""
        return [tuple(line) for line in self._door.ask("console", run_id=self.id, after=after)]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """What `run.alert()` told, oldest first: title, text, level, created (seconds since the epoch)."""
        return list(self._door.ask("alerts", run_id=self.id))

    def _timed(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        started = self._row["created"] or 0.0
        for row in rows:
            if "_timestamp" in row:
                row["_runtime"] = row["_timestamp"] - started
        return rows

    def _about(self) -> dict[str, Any]:
        return {name: list(value) if name == "tags" else value for name in _EDITED for value in [getattr(self, name)]}

    def _keep_summary(self, values: Mapping[str, Any]) -> None:
        self._summary = ApiSummary(self, values)
        self._written_summary = json.loads(json.dumps(values))


def _news(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """What is new or differs; NaN, which differs from itself, only when it was not NaN before."""
    return {name: value for name, value in now.items() if name not in before or repr(value) != repr(before[name])}


def _stored(keys: Sequence[str] | None) -> list[str] | None:
    """The names as stored; `_runtime` is reckoned from the time."""
    return None if keys is None else ["_timestamp" if key == "_runtime" else key for key in keys]


def _data_frame() -> Any:
    try:
        import pandas
    except ImportError:
        return None
    return pandas.DataFrame
