"""What surrounds a run: its console.

`observe` starts what watches it, and `Run.finish` ends that. Knows nothing of the store.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from besom.tracking.console import Console
from besom.tracking.flusher import flusher

if TYPE_CHECKING:
    from besom.settings import Settings
    from besom.tracking.run import Run

__all__ = ["observe"]

_OFF = ("off", "false", "0", "none", "disabled")


def observe(run: Run, settings: Settings) -> None:
    """Start what watches this run; it stops when the run is finished."""
    if _said("CONSOLE").lower() not in _OFF and not _is_command_trial(run):
        _keep_console(run)


def _keep_console(run: Run) -> None:
    writer = run._writer

    def keep(stream: str, seconds: float, line: str) -> None:
        if writer.add_line(stream, seconds, line):
            flusher().wake()

    console = Console(keep)
    console.start()
    run.observers.append(console.stop)


def _is_command_trial(run: Run) -> bool:
    """Whether an agent reads what this process prints."""
    return run.trial is not None and run.trial.connection is None


def _said(name: str) -> str:
    """BESOM_<name>, else WANDB_<name>."""
    return os.environ.get(f"BESOM_{name}") or os.environ.get(f"WANDB_{name}") or ""
