"""The active run, and what hangs on it: `besom.log`, `besom.finish`, `besom.watch` and others.

It is this context's run, else the last one of the process that still runs.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import IO, Any, Concatenate, ParamSpec, TypeVar

from besom.errors import UsageError
from besom.tracking.run import restoring
from besom.tracking.run.run import Run

__all__ = [
    "active_run",
    "alert",
    "define_metric",
    "finish",
    "forget",
    "join",
    "log",
    "log_artifact",
    "log_model",
    "make_active",
    "mark_preempting",
    "needed_run",
    "restore",
    "runs_in_process",
    "save",
    "unwatch",
    "use_artifact",
    "use_model",
    "watch",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_in_context: ContextVar[Run | None] = ContextVar("besom_run", default=None)
_in_process: list[Run] = []


def active_run() -> Run | None:
    """The run that `besom.log` writes to: this context's, else the last one made in this process."""
    for run in (_in_context.get(), *reversed(_in_process)):
        if run is not None and run.state == "running":
            return run
    return None


def make_active(run: Run, *, beside: bool = False) -> None:
    """The run is the active one from now on, here and in threads and contexts that have none.

    Args:
        run: One that was just made.
        beside: It comes after the run of the same trial that this context has, if that still runs.
    """
    own = _in_context.get()
    if beside and own is not None and own.state == "running" and own.trial is run.trial:
        _in_process.insert(0, run)
        return
    _in_context.set(run)
    _in_process.append(run)


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
        raise UsageError(f"You must call besom.init() before {call}")
    return run


def finish(exit_code: int | None = None) -> None:
    """End the active run, if there is one; exit code 0 is finished, any other failed."""
    run = active_run()
    if run is not None:
        run.finish(exit_code)


join = finish
"""As older scripts call it."""


def _of_active_run(method: Callable[Concatenate[Run, _P], _R]) -> Callable[_P, _R]:
    """The method as a function that calls it on the active run, and says so when there is none."""
    name, shown = method.__name__, f"besom.{method.__name__}()"

    @functools.wraps(method)
    def call(*arguments: _P.args, **named: _P.kwargs) -> _R:
        held: Any = getattr(needed_run(shown), name)
        result: _R = held(*arguments, **named)
        return result

    signature = inspect.signature(method)
    call.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return call


def restore(
    name: str, run_path: str | None = None, replace: bool = False, root: str | os.PathLike[str] | None = None
) -> IO[str]:
    """As `run.restore` of the active run; with a `run_path` none need be active.

    Raises:
        UsageError: there is neither.
    """
    if run_path is not None and active_run() is None:
        return restoring.restore(name, run_path, replace, root or ".")
    return needed_run("besom.restore() without run_path").restore(name, run_path, replace, root)


alert = _of_active_run(Run.alert)
define_metric = _of_active_run(Run.define_metric)
log = _of_active_run(Run.log)
log_artifact = _of_active_run(Run.log_artifact)
log_model = _of_active_run(Run.log_model)
mark_preempting = _of_active_run(Run.mark_preempting)
save = _of_active_run(Run.save)
unwatch = _of_active_run(Run.unwatch)
use_artifact = _of_active_run(Run.use_artifact)
use_model = _of_active_run(Run.use_model)
watch = _of_active_run(Run.watch)
