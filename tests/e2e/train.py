"""The training script of the fault tests: a function agent, and the program of command trials.

    python train.py SWEEP [COUNT]      is an agent that runs `train` for each trial
    besom agent SWEEP                  runs this file as `program`; it finds its trial in the environment

What it does stands in TRAIN_* variables; what it did goes to a history file outside Redis, on disk before it goes on.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import besom

_HISTORY = os.environ["TRAIN_HISTORY"]
_STEPS = int(os.environ.get("TRAIN_STEPS", "1"))
_STEP_SECONDS = float(os.environ.get("TRAIN_STEP_SECONDS", "0"))
_HOLD = Path(os.environ.get("TRAIN_HOLD", "/nonexistent"))
_RESUME = "TRAIN_RESUME" in os.environ
_POISON = os.environ.get("TRAIN_POISON", "none")
_COMMAND = "BESOM_TRIAL" in os.environ


def note(what: str, run: besom.Run, **more: Any) -> None:
    """One line of history, whole and on disk."""
    assert run.trial is not None
    claim = run.trial.claim
    line = {
        "what": what, "sweep": claim.sweep, "number": claim.number, "attempt": claim.attempt, "params": claim.params,
        "pid": os.getpid(), "agent": os.getppid() if _COMMAND else os.getpid(), "at": time.time(), **more,
    }  # fmt: skip
    descriptor = os.open(_HISTORY, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, json.dumps(line).encode() + b"\n")
    os.fsync(descriptor)
    os.close(descriptor)


def train() -> None:
    """Log TRAIN_STEPS points; before the last one wait while TRAIN_HOLD is a file. With x = TRAIN_POISON kill the agent."""
    pause = threading.Event()
    with besom.init() as run:
        note("start", run)
        if str(run.config["x"]) == _POISON:
            os.kill(os.getppid(), 9) if _COMMAND else os._exit(9)
            pause.wait(30)
        first = _STEPS * (run.attempt - 1) if _RESUME else 0
        for step in range(first, first + _STEPS):
            if step == first + _STEPS - 1:
                while _HOLD.exists() and not run.should_stop():
                    pause.wait(0.01)
            note("step", run, step=step)
            run.log({"loss": float(step), "attempt": run.attempt}, step=step, commit=True)
            pause.wait(_STEP_SECONDS)
        note("end", run)


if __name__ == "__main__":
    if _COMMAND:
        train()
    else:
        besom.agent(sys.argv[1], function=train, count=int(sys.argv[2]) if len(sys.argv) > 2 else None)
