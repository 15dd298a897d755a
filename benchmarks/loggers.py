"""Child processes that log rows of three numbers, one function for each tracker.

    python -m benchmarks.loggers TRACKER ROWS FOLDER

Each says {"ready": true} when its run is open, logs when it is told to, and then says what that took. The peers run in
an environment of their own, which has neither besom nor Redis' client; settings are those that keep everything on this
machine.
"""

from __future__ import annotations

import os
import random
import resource
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.machine import cpu_seconds, descendants, peak_mb, resident_mb, say

Log = Callable[[dict[str, float]], Any]
Finish = Callable[[], Any]


def nothing(folder: Path) -> tuple[Log, Finish]:
    """The loop alone."""
    return (lambda row: None), (lambda: None)


def besom(folder: Path) -> tuple[Log, Finish]:
    import besom

    run = besom.init(project="bench")
    return run.log, run.finish


def trackio(folder: Path) -> tuple[Log, Finish]:
    import trackio

    trackio.init(project="bench", auto_log_gpu=False)
    return trackio.log, trackio.finish


def tensorboardX(folder: Path) -> tuple[Log, Finish]:  # noqa: N802 - as the module is called
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder / "events"))
    step = 0

    def log(row: dict[str, float]) -> None:
        nonlocal step
        for name, value in row.items():
            writer.add_scalar(name, value, step)
        step += 1

    return log, writer.close


def wandb(folder: Path) -> tuple[Log, Finish]:
    import wandb

    run = wandb.init(project="bench", mode="offline", settings=wandb.Settings(silent=True))
    return run.log, run.finish


def tree_cpu() -> float:
    """CPU seconds of this process and of those it has started, ended ones included."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + sum(map(cpu_seconds, descendants(os.getpid())))


def tree_mb(measure: Callable[[int], float]) -> float:
    """Memory of this process and of those it has started, in MB."""
    return sum(map(measure, [os.getpid(), *descendants(os.getpid())]))


def timed(log: Log, rows: int) -> array[int]:
    """Nanoseconds of each call."""
    draw = random.Random(0).random
    values = [(draw(), draw(), draw()) for _ in range(1000)]
    took = array("q", bytes(8 * rows))
    now = time.perf_counter_ns
    for number in range(rows):
        loss, accuracy, rate = values[number % 1000]
        row = {"loss": loss, "accuracy": accuracy, "lr": rate}
        started = now()
        log(row)
        took[number] = now() - started
    return took


def main() -> None:
    name, rows, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    if name != "nothing":
        __import__(name)
    started = time.perf_counter()
    log, finish = globals()[name](folder)
    init, before_mb = time.perf_counter() - started, tree_mb(resident_mb)
    say(ready=True)
    sys.stdin.readline()
    caller, cpu, started = time.thread_time(), tree_cpu(), time.perf_counter()
    took = timed(log, rows)
    caller, loop, peak = time.thread_time() - caller, time.perf_counter() - started, tree_mb(peak_mb)
    finish()
    finished, cpu = time.perf_counter() - started - loop, tree_cpu() - cpu
    ordered = sorted(took)
    say(
        init=init, median=ordered[rows // 2] / 1e9, p99=ordered[rows * 99 // 100] / 1e9, max=ordered[-1] / 1e9,
        loop=loop, finish=finished, caller=caller, background=cpu - caller,
        memory_mb=max(peak, tree_mb(peak_mb)) - before_mb,
    )  # fmt: skip
    sys.stdin.read()


if __name__ == "__main__":
    main()
