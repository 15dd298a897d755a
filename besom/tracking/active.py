"""The active run, and what hangs on it: `besom.log`, `besom.finish`, `besom.save` and others.

It is this context's run, else the last one of the process that still runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar
from typing import IO, Any

from besom.errors import UsageError
from besom.tracking.metrics import Metric
from besom.tracking.restoring import restore
from besom.tracking.run import Run
from besom.tracking.saving import Policy

__all__ = [
    "active_run",
    "define_metric",
    "finish",
    "forget",
    "log_row",
    "make_active",
    "needed_run",
    "put_beside",
    "restore_file",
    "runs_in_process",
    "save",
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


def save(
    glob_str: str | os.PathLike[str] | None = None,
    base_path: str | os.PathLike[str] | None = None,
    policy: Policy = "live",
) -> list[str] | bool:
    """`besom.save`: as `run.save` of the active run.

    Raises:
        UsageError: there is none.
    """
    return needed_run("besom.save()").save(glob_str, base_path, policy)


def restore_file(
    name: str, run_path: str | None = None, replace: bool = False, root: str | os.PathLike[str] | None = None
) -> IO[str]:
    """`besom.restore`: as `run.restore` of the active run; with a `run_path` none need be active.

    Raises:
        UsageError: there is neither.
    """
    if run_path is not None and active_run() is None:
        return restore(name, run_path, replace, root or ".")
    return needed_run("besom.restore() without run_path").restore(name, run_path, replace, root)


def finish(exit_code: int | None = None) -> None:
    """`besom.finish`: end the active run, if there is one."""
    run = active_run()
    if run is not None:
        run.finish(exit_code)
