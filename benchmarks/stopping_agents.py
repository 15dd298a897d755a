"""A child process: an agent whose trials go through curves that were trained before, an epoch each PACE seconds.

    python -m benchmarks.stopping_agents SWEEP CURVES PACE

Says, of each trial, when it logged which epoch and when it was known here that the trial is to stop.
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
POLL = 0.01


def known_by(run: Any, deadline: float) -> float | None:
    """Wait till then; when within that time it was known that the trial is to stop."""
    while (now := time.time()) < deadline:
        if run.should_stop():
            return now
        time.sleep(min(POLL, max(0.0, deadline - now)))
    return None


def main() -> None:
    sweep, path, pace = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    curves = read_curves(path)

    def trial() -> None:
        logged: list[float] = []
        known: float | None = None
        with besom.init(settings=QUIET) as run:
            assert run is not None
            try:
                for accuracy in curves[written(dict(run.config))]:
                    known = known_by(run, time.time() + pace)
                    if not known:
                        logged.append(time.time())
                    run.log({"valid_accuracy": accuracy})
            except besom.TrialStopped:
                known = known or time.time()
                raise
            finally:
                say(trial=int(run.id.rpartition("-")[2]), logged=logged, known=known)

    besom.agent(sweep, trial)
    say(done=True)


if __name__ == "__main__":
    main()
