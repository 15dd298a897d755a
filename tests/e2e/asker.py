"""A loop that asks for trials, for the tests of askers in processes of their own; writes the history of `train.py`.

    python asker.py SWEEP

TRAIN_HOLD is a file during which a trial is not told.
"""

from __future__ import annotations

import sys
import threading

import besom
from tests.e2e.train import _HOLD, note


def main(sweep_id: str) -> None:
    """Until the sweep is over."""
    with besom.open_sweep(sweep_id) as sweep:
        for trial in sweep:
            note("start", trial.run)
            trial.report({"loss": 0.0, "attempt": trial.run.attempt}, step=0)
            note("step", trial.run, step=0)
            while _HOLD.exists():
                threading.Event().wait(0.01)
            note("end", trial.run)
            trial.tell()


if __name__ == "__main__":
    main(sys.argv[1])
