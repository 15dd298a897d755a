"""Train a small neural network on scikit-learn's digits, and survive the end of the agent, or of its batch job.

`run.dir` is the same folder for every attempt of a trial. So the second attempt finds the checkpoint of the first, goes
on after its last epoch, and by logging with `step=` continues the same curves.

On several hosts BESOM_DIR must be a folder that all of them see.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the trials of one machine share its cores

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import besom

DEFAULTS = {"learning_rate": 0.001, "hidden": 64, "epochs": 60}
LABELS = np.arange(10)
BATCH = 64


def save(file: Path, state: dict) -> None:
    """Whole or not at all: the trial may be killed at any moment."""
    scratch = file.with_suffix(".new")
    with scratch.open("wb") as out:
        joblib.dump(state, out)
        out.flush()
        os.fsync(out.fileno())
    scratch.replace(file)


def fresh(config: Any) -> dict:
    model = MLPClassifier((config.hidden,), learning_rate_init=config.learning_rate, random_state=0)
    return {"epoch": 0, "model": model, "order": np.random.default_rng(0)}


def main() -> None:
    # SIGTERM says that the trial goes to another agent: leave by the `with`, so that all that is logged is sent.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    images, labels = load_digits(return_X_y=True)
    x_train, x_valid, y_train, y_valid = train_test_split(
        images / 16.0, labels, test_size=0.3, random_state=0, stratify=labels
    )
    with besom.init(project="digits", config=DEFAULTS) as run:
        file = Path(run.dir) / "checkpoint.joblib"
        state = joblib.load(file) if run.resumed and file.exists() else fresh(run.config)
        print(f"attempt {run.attempt} begins with epoch {state['epoch']}", flush=True)
        model = state["model"]
        while state["epoch"] < run.config.epochs:
            for batch in np.array_split(state["order"].permutation(len(x_train)), len(x_train) // BATCH):
                model.partial_fit(x_train[batch], y_train[batch], classes=LABELS)
            values = {
                "valid_loss": log_loss(y_valid, model.predict_proba(x_valid), labels=LABELS),
                "valid_accuracy": model.score(x_valid, y_valid),
                "attempt": run.attempt,
            }
            # Log first: an epoch that is logged and not saved is trained again, and its point replaced.
            try:
                run.log(values, step=state["epoch"], commit=True)
            finally:  # log() keeps what it is given, and may then end the trial
                state["epoch"] += 1
                save(file, state)


if __name__ == "__main__":
    main()
