"""Trials that were over and are to run again: those of `besom retry`, and those that a stopping rule has promoted.

Reads and writes: the rows in `Memory`.  Knows nothing of who asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from besom.messages import run_id_of
from besom.tracking.recording.memory import Memory
from besom.tracking.recording.outcomes import TrialReopened
from besom.tracking.store.rows import Row

__all__ = ["is_promoted", "reopen"]


def reopen(memory: Memory, trial: Row, at: float) -> TrialReopened:
    """Let a trial wait again, as this row has it; what happened to it up to `at` (Redis' clock) is the past."""
    fresh: Row = {"state": "queued", "value": None, "error": "", "token": "", "ended": None, "reopened": at}
    memory.trials.put({**trial, **fresh})
    run = memory.runs.get(run_id_of(trial["sweep"], trial["number"]))
    if run is not None:
        memory.runs.put({**run, "state": "running", "error": "", "exit_code": None, "ended": None})
    return TrialReopened(
        trial["sweep"], trial["number"], trial["attempt"], json.loads(trial["params"]),
        trial["losses"], trial["failures"], is_promoted(trial),
    )  # fmt: skip


def is_promoted(trial: Mapping[Any, Any]) -> bool:
    """Whether a stopping rule had ended a trial and let it go on after all."""
    return bool(0 < trial["halted"] <= trial["passed"])
