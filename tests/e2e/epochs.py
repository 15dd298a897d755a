"""A function agent under a stopping rule: each trial has four epochs, and waits after 1 and 2 until it is judged.

    python epochs.py SWEEP

With EPOCHS_KEEP it keeps a checkpoint, and goes on from it when it is taken again.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import besom

EPOCHS = 4
RUNGS = (1, 2)


def wait_for_verdict(run: besom.Run, rung: int) -> None:
    """Until the store says whether the trial may go on, and until it has heard of it if it may not: then it ends."""
    assert run.trial is not None
    pause, sweep, number = threading.Event(), run.trial.spec.id, run.trial.claim.number
    api = besom.Api()
    try:
        while True:
            row = api.sweep(sweep).trials()[number - 1]
            if row["passed"] >= rung:
                return
            if row["halted"] >= rung and run.should_stop():
                raise besom.TrialStopped
            pause.wait(0.02)
    finally:
        api.close()


def train() -> None:
    with besom.init() as run:
        file = Path(run.dir) / "epoch"
        first = int(file.read_text()) if "EPOCHS_KEEP" in os.environ and file.exists() else 0
        for epoch in range(first, EPOCHS):
            try:
                run.log({"loss": run.config["x"] + 1 / (1 + epoch), "attempt": run.attempt}, step=epoch, commit=True)
            finally:
                file.write_text(str(epoch + 1))
            if epoch + 1 in RUNGS:
                wait_for_verdict(run, epoch + 1)


if __name__ == "__main__":
    besom.agent(sys.argv[1], function=train)
