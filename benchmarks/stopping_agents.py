"""A child process: an agent whose trials go through curves that were trained before, an epoch each PACE seconds.

    python -m benchmarks.stopping_agents SWEEP CURVES PACE

A trial asks between its batches whether it is to stop, and goes on from its checkpoint when it is promoted. Of each
attempt it says when it logged which epoch, what it trained in all, and when it knew that it is to stop.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import besom
from benchmarks.curves import read_curves, written
from benchmarks.machine import say

QUIET = {"console": "off", "disable_git": True, "disable_stats": True}
BATCH_SECONDS = 0.01


class Attempt:
    """What one attempt at a trial has done."""

    def __init__(self, run: Any, curve: list[float], pace: float) -> None:
        self.run, self.curve, self.pace = run, curve, pace
        self.file = Path(run.dir) / "epoch"
        self.first = int(self.file.read_text()) if self.file.exists() else 0
        self.logged: list[float] = []
        self.waited: list[float] = []
        self.trained = 0.0
        self.known: float | None = None

    def work(self) -> None:
        for epoch, accuracy in enumerate(self.curve[self.first :], self.first):
            self._train()
            self.logged.append(time.time())
            try:
                self.run.log({"valid_accuracy": accuracy}, step=epoch, commit=True)
            finally:
                self.waited.append(time.time() - self.logged[-1])
                self.file.write_text(str(epoch + 1))

    def _train(self) -> None:
        """An epoch, as far as it comes."""
        began = time.time()
        while (spent := time.time() - began) < self.pace:
            if self.run.should_stop():
                self.trained += spent / self.pace
                raise besom.TrialStopped
            time.sleep(min(BATCH_SECONDS, self.pace - spent))
        self.trained += 1


def main() -> None:
    sweep, path, pace = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    curves = read_curves(path)

    def trial() -> None:
        with besom.init(settings=QUIET) as run:
            assert run is not None
            attempt = Attempt(run, list(curves[written(dict(run.config))].valid), pace)
            try:
                attempt.work()
            except besom.TrialStopped:
                attempt.known = time.time()
                raise
            finally:
                say(
                    trial=int(run.id.rpartition("-")[2]), first=attempt.first, trained=attempt.trained,
                    logged=attempt.logged, waited=attempt.waited, known=attempt.known,
                )  # fmt: skip

    besom.agent(sweep, trial)
    say(done=True)


if __name__ == "__main__":
    main()
