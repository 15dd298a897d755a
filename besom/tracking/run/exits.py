"""How a process ends, and what that means for its runs: its exit code, an uncaught exception, and forks."""

from __future__ import annotations

import atexit
import functools
import os
import sys
from typing import Any, NoReturn

from besom.tracking.run.active import forget, runs_in_process
from besom.tracking.run.run import Run
from besom.tracking.run.surroundings import in_notebook
from besom.tracking.run.tracebacks import traceback_of

__all__ = ["finish_at_exit"]

_at_exit: list[int] = []


def finish_at_exit() -> None:
    """End this process' runs when it ends, with its exit code."""
    if os.getpid() in _at_exit:
        return
    _at_exit[:] = [os.getpid()]
    exits = _watch_exit()

    def finish_all() -> None:
        exit_code, error = _end_of_process(exits)
        for run in runs_in_process():
            run.finish(exit_code, error=error)

    atexit.register(finish_all)
    if "multiprocessing.util" in sys.modules:
        from multiprocessing import parent_process, util

        if parent_process() is not None:  # such a child may end without atexit
            util.Finalize(None, finish_all, exitpriority=10)


def _end_of_process(exits: list[Any]) -> tuple[int, str]:
    """Exit code and error text, by what was raised and what `sys.exit` was called with."""
    uncaught = sys.exc_info()[1]  # in a child of multiprocessing, which ends while it is raised
    if uncaught is None and not in_notebook():
        uncaught = getattr(sys, "last_value", None)
    if isinstance(uncaught, SystemExit):
        return _exit_of(uncaught.code)
    if uncaught is not None:
        return 1, traceback_of(uncaught)
    return _exit_of(exits[-1] if exits else None)


def _watch_exit() -> list[Any]:
    """What `sys.exit` is called with from now on: Python tells it to nobody."""
    exits: list[Any] = []
    real = sys.exit

    @functools.wraps(real)
    def noted(status: Any = None, /) -> NoReturn:
        exits[:] = [status]
        real(status)

    sys.exit = noted
    return exits


def _exit_of(status: Any) -> tuple[int, str]:
    """Exit code and error text that `sys.exit(status)` stands for."""
    if status is None or isinstance(status, int):
        return (status, f"SystemExit: {status}") if status else (0, "")
    return 1, f"SystemExit: {status}"


def _in_child() -> None:
    """After a fork: the child goes on with its parent's runs, and what it logs is sent before it ends."""
    runs = runs_in_process()
    for run in runs:
        run.go_on_in_child(_forget_in_child)
    processes = sys.modules.get("multiprocessing.util")
    if runs and processes is not None:  # its children end without atexit; it clears what is registered before
        processes.register_after_fork(runs[-1], lambda _: processes.Finalize(None, _finish_all, exitpriority=10))


def _forget_in_child(run: Run, *_: Any) -> None:
    forget(run)


def _finish_all() -> None:
    for run in runs_in_process():
        run.finish()


os.register_at_fork(after_in_child=_in_child)
