"""A run on a host that reaches Redis only: `log` logs a picture before and after it is let go on, `read` fetches both.

Usage: hosted_run.py log HOLD_FILE | hosted_run.py read RUN FOLDER
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np

import besom


def log(hold: Path) -> None:
    """Two pictures and an artifact."""
    with besom.init(project="p", entity="e", id="travels") as run:
        for seed in range(2):
            run.log({"picture": besom.Image(np.random.default_rng(seed).integers(0, 255, (300, 300, 3), np.uint8))})
            print("logged", seed, flush=True)
            while hold.exists():
                threading.Event().wait(0.02)
        run.log_artifact(__file__, "script", "code")


def read(run: str, folder: Path) -> None:
    """Everything back, over HTTP."""
    api = besom.Api()
    for file in api.run(run).files():
        file.download(folder).close()
    api.artifact("e/p/script:latest").download(folder / "artifact")
    api.close()
    print("read", api.where)


if __name__ == "__main__":
    if sys.argv[1] == "log":
        log(Path(sys.argv[2]))
    else:
        read(sys.argv[2], Path(sys.argv[3]))
