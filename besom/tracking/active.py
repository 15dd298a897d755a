"""The active run, and what hangs on it: `besom.log`, `besom.finish`, `besom.define_metric`.

It is this context's run, else the last one of the process that still runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from besom.errors import UsageError
from besom.tracking.metrics import Metric
from besom.tracking.run import Run

__all__ = [
    "active_run",
    "define_metric",
    "finish",
    "forget",
    "log_row",
    "make_active",
    "needed_run",
    "put_beside",
    "runs_in_process",
]

_in_context: ContextVar[Run | None] = ContextVar("besom_run", default=None)
_in_process: list[Run] = []


def active_run() -> Run | None:
    """The run that `besom.log` writes to: this context's, else the last one made in this process."""
    for run in (_in_context.get(), *reversed(_in_process)):
        if run is not None and run.state == "running":
            return run
    return None


def make_active(run: Run) -> None:
    """The run is the active one from now on, here and in threads and contexts that have none."""
    _in_context.set(run)
    _in_process.append(run)


def put_beside(run: Run) -> None:
    """The run is the process' as well; this context's own, where it has one that runs, stays the active one."""
    own = _in_context.get()
    if own is None or own.state != "running":
        make_active(run)
    else:
        _in_process.insert(0, run)


def runs_in_process() -> list[Run]:
    """The runs of this process that have not ended, oldest first."""
    return list(_in_process)


def forget(run: Run) -> None:
    """The run has ended."""
    if run in _in_process:
        _in_process.remove(run)


def needed_run(call: str) -> Run:
    """The active run.

    Raises:
        UsageError: there is none.
    """
    run = active_run()
    if run is None:
        raise UsageError(f"call besom.init() before {call}")
    return run


def log_row(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """`besom.log`: log to the active run.

    Raises:
        UsageError: there is none.
    """
    needed_run("besom.log()").log(data, step=step, commit=commit)


def define_metric(name: str, *arguments: Any, **named: Any) -> Metric:
    """`besom.define_metric`: as `run.define_metric` of the active run.

    Raises:
        UsageError: there is none.
    """
    return needed_run("besom.define_metric()").define_metric(name, *arguments, **named)


def finish(exit_code: int | None = None) -> None:
    """`besom.finish`: end the active run, if there is one."""
    run = active_run()
    if run is not None:
        run.finish(exit_code)
