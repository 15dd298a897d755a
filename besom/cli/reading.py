"""What the reading commands look up: sweeps as rows, and whichever of sweep, trial and run a name means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from besom.broker.find import read_address
from besom.errors import NotFound
from besom.settings import Settings
from besom.tracking.reading.api import Api, ApiRun, ApiSweep

__all__ = ["find", "opened", "sweep_rows"]


@contextmanager
def opened(settings: Settings, name: str | None = None, what: str = "sweep") -> Iterator[Api]:
    """An Api that is closed at the end; a `name` that is no id is refused before anything is opened."""
    if name is not None:
        read_address(name, what)
    api = Api(settings=settings)
    try:
        yield api
    finally:
        api.close()


def sweep_rows(api: Api, project: str | None) -> list[dict[str, Any]]:
    """One row for each sweep."""
    return [sweep_row(sweep) for sweep in api.sweeps(project)]


def sweep_row(sweep: ApiSweep) -> dict[str, Any]:
    """A sweep's facts."""
    counts = sweep.counts
    best = next(iter(sweep.best_points(1)), None)
    return {
        "id": sweep.id,
        "project": sweep.project,
        "entity": sweep.entity,
        "name": sweep.name if sweep.name != sweep.id else "",
        "method": sweep.config["method"],
        "state": sweep.state,
        "done": sum(counts.get(state, 0) for state in ("finished", "stopped", "cancelled")),
        "running": counts.get("running", 0),
        "queued": counts.get("queued", 0),
        "failed": counts.get("failed", 0) + counts.get("crashed", 0),
        "run_cap": sweep.config.get("run_cap"),
        "metric": sweep.metric["name"] if sweep.metric else None,
        "metrics": [metric["name"] for metric in sweep.config.get("metrics") or ()] or None,
        "best": best["value"] if best else None,
        "best_trial": best["number"] if best else None,
        "created": sweep.created,
    }


def find(api: Api, name: str) -> ApiSweep | ApiRun | dict[str, Any]:
    """The sweep, the run (a trial that was claimed has one) or, for a trial nobody has claimed, its row.

    Raises:
        NotFound: nothing has this id.
        UsageError: it is no id.
    """
    try:
        return api.sweep(name)
    except NotFound:
        pass
    try:
        return api.run(name)
    except NotFound:
        sweep, _, number = name.rpartition("-")
        if number.isascii() and number.isdigit() and sweep:
            return _queued(api, name, sweep, int(number))
    raise NotFound("sweep, trial or run", name, api.where)


def _queued(api: Api, name: str, sweep: str, number: int) -> dict[str, Any]:
    try:
        row: dict[str, Any] | None = api.ask("trial", sweep_id=api.sweep(sweep).id, number=number)
    except NotFound:
        row = None
    if row is None:
        raise NotFound("trial", name, api.where)
    return row
