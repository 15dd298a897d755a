"""The training script of the fault tests: a function agent, and the program of command trials.

    python train.py SWEEP [COUNT]      is an agent that runs `train` for each trial
    python train.py agent SWEEP        is `besom agent SWEEP`, for tests that double what it sends
    besom agent SWEEP                  runs this file as `program`; it finds its trial in the environment

What it does stands in TRAIN_* variables; what it did goes to a history file outside Redis, on disk before it goes on.
TRAIN_POISON is the x of the trial that goes wrong, TRAIN_HOW the way: exit, segfault, memory, oom, raise,
forever.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

import besom

_HISTORY = os.environ["TRAIN_HISTORY"]
_STEPS = int(os.environ.get("TRAIN_STEPS", "1"))
_STEP_SECONDS = float(os.environ.get("TRAIN_STEP_SECONDS", "0"))
_HOLD = Path(os.environ.get("TRAIN_HOLD", "/nonexistent"))
_RESUME = "TRAIN_RESUME" in os.environ
_POISON = os.environ.get("TRAIN_POISON", "none")
_HOW = os.environ.get("TRAIN_HOW", "exit")
_WELL_FROM = int(os.environ.get("TRAIN_WELL_FROM", "1000000"))
"""The attempt from which the poisoned trial does well."""
_COMMAND = "BESOM_TRIAL" in os.environ


def write(line: dict[str, Any]) -> None:
    """One line of history, whole and on disk."""
    descriptor = os.open(_HISTORY, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, json.dumps(line).encode() + b"\n")
    os.fsync(descriptor)
    os.close(descriptor)


def note(what: str, run: besom.Run, **more: Any) -> None:
    """What this trial does."""
    assert run.trial is not None
    claim = run.trial.claim
    write({
        "what": what, "sweep": claim.sweep, "number": claim.number, "attempt": claim.attempt, "params": claim.params,
        "pid": os.getpid(), "agent": os.getppid() if _COMMAND else os.getpid(), "at": time.time(), **more,
    })  # fmt: skip


def note_what_redis_takes() -> None:
    """A line for each batch that Redis has acknowledged, with its steps."""
    from besom.broker.journal import Journal
    from besom.messages import Batch

    append = Journal.append_batch

    def noting(journal: Journal, batch: Batch, **more: Any) -> Any:
        answer = append(journal, batch, **more)
        column = batch.columns().history.get("loss")
        if answer.status == "ok" and column is not None:
            sweep, _, number = batch.run.rpartition("-")
            steps = list(memoryview(column[1]).cast("q"))
            write({
                "what": "taken", "sweep": sweep, "number": int(number), "attempt": batch.attempt, "params": {},
                "pid": os.getpid(), "agent": 0, "at": time.time(), "steps": steps,
            })  # fmt: skip
        return answer

    Journal.append_batch = noting  # type: ignore[method-assign]


def go_wrong() -> None:
    """Do what TRAIN_HOW says."""
    if _HOW == "raise":
        raise RuntimeError("as told")
    if _HOW == "forever":
        while True:
            sum(range(1000))
    if _HOW == "segfault":
        ctypes.string_at(0)
    if _HOW == "memory":
        _use_memory()
    if _HOW == "oom":
        (Path(os.environ["TRAIN_CGROUP"]) / "cgroup.procs").write_text(str(os.getpid()))
        held = [b"x" * 10_000_000 for _ in range(1000)]
        raise AssertionError(f"{len(held)} pieces of 10 MB, and still alive")
    os.kill(os.getppid(), 9) if _COMMAND else os._exit(9)
    threading.Event().wait(30)


def _use_memory() -> NoReturn:
    """Native code that does not look at what malloc gives, until there is no more."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000,) * 2)
    library = ctypes.CDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.memset.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    while True:
        library.memset(library.malloc(10_000_000), 1, 10_000_000)


def train() -> None:
    """Log TRAIN_STEPS points; before the last one wait while TRAIN_HOLD is a file. With x = TRAIN_POISON go wrong."""
    pause = threading.Event()
    with besom.init() as run:
        note("start", run)
        if str(run.config["x"]) == _POISON and run.attempt < _WELL_FROM:
            run.log({"loss": -1.0 - run.attempt, "attempt": run.attempt}, step=0, commit=True)
            go_wrong()
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
    note_what_redis_takes()
    if "TRAIN_TWICE" in os.environ:
        from tests.e2e.twice import send_scripts_twice

        send_scripts_twice()
    if _COMMAND:
        train()
    elif sys.argv[1] == "agent":
        from besom.cli import main

        main(sys.argv[1:])
    else:
        besom.agent(sys.argv[1], function=train, count=int(sys.argv[2]) if len(sys.argv) > 2 else None)
