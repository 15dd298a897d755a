"""What it costs to log 100 000 rows of three numbers: besom, trackio, tensorboardX and wandb offline in one run.

    python -m benchmarks.logging [--rows N] [--rounds N] [--only NAME ...] [--peers PYTHON]

Each tracker logs in a fresh process, as fast as it can, with what it does by default: besom keeps console, system
metrics, git and packages, sends to a real Redis, and a controller records into a store on disk meanwhile. CPU counts
until the last row is at rest. Rounds are interleaved; the tables have medians.
The peers are in an environment of their own (`make bench-logging` makes it); besom's `init()` and `finish()` in a
trial have a line of their own.
"""

from __future__ import annotations

import argparse
import statistics
import sys

from benchmarks.handout import start_controller
from benchmarks.machine import Place, cpu_seconds, describe, disk_mb, place, table, until

PEERS = ("trackio", "tensorboardX", "wandb")
WANTED_MEDIAN_US = 3.0
WANTED_CPU_US = 10.0
WANTED_MB = 64.0
"""BESOM_MEMORY_MB, by default."""

Measured = dict[str, float]


def run_besom(rows: int) -> Measured:
    with place() as here:
        controller = start_controller(here)
        run = here.child("benchmarks.loggers", "besom", rows, here.folder)
        run.hear()
        redis, recorder = cpu_seconds(here.pid), cpu_seconds(controller.pid)
        run.say()
        told = run.hear(600)
        until("the recorder", lambda: _unread(here) == 0)
        told["redis"] = cpu_seconds(here.pid) - redis
        told["recorder"] = cpu_seconds(controller.pid) - recorder
        told["redis_mb"] = here.redis.info("memory")["used_memory_peak"] / 1e6
        run.end()
        controller.stop()
        told["disk_mb"] = disk_mb(here.folder)
        return told


def _unread(here: Place) -> int:
    total, read = here.redis.hmget("besom:journal:state", "total", "read")
    return int(total or 0) - int(read or 0)


def run_peer(name: str, rows: int, python: str) -> Measured:
    with place() as here:
        here.env |= {"TRACKIO_DIR": str(here.folder), "WANDB_DIR": str(here.folder)}
        run = here.child("benchmarks.loggers", name, rows, here.folder, python=python)
        run.hear()
        run.say()
        told = run.hear(600)
        run.end()
        told["disk_mb"] = disk_mb(here.folder)
        return told


# ---- the table


def as_table(results: dict[str, list[Measured]], rows: int) -> str:
    """Microseconds of a log; the CPU of all who take part added up."""
    head = ["tracker", "median us", "p99 us", "max ms", "logs/s", "caller us", "background us", "redis us", "recorder us",
            "all CPU us", "memory MB", "bytes", "init ms", "finish ms"]  # fmt: skip
    lines = [head]
    for name, told in results.items():
        middle = median(told)
        parts = [middle.get(part) for part in ("caller", "background", "redis", "recorder")]
        lines.append([
            name, *(f"{middle[what] * 1e6:.1f}" for what in ("median", "p99")), f"{middle['max'] * 1e3:.1f}",
            f"{rows / middle['loop']:.0f}", *("-" if part is None else f"{part / rows * 1e6:.1f}" for part in parts),
            f"{cpu_us(middle, rows):.1f}", f"{middle['memory_mb']:.0f}", f"{middle['disk_mb'] / rows * 1e6:.0f}",
            f"{middle['init'] * 1e3:.0f}", f"{middle['finish'] * 1e3:.0f}",
        ])  # fmt: skip
    return table(lines)


def median(told: list[Measured]) -> Measured:
    return {what: statistics.median(one[what] for one in told) for what in told[0]}


def cpu_us(told: Measured, rows: int) -> float:
    parts = ("caller", "background", "redis", "recorder")
    return sum(told.get(part, 0.0) for part in parts) / rows * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="nothing, besom, trackio, ...")
    parser.add_argument("--peers", default="build/peers/bin/python", help="a Python that has the peers")
    options = parser.parse_args()
    print(describe())
    results: dict[str, list[Measured]] = {}
    for number in range(1, options.rounds + 1):
        for name in options.only or ["nothing", "besom", *PEERS]:
            if name == "besom":
                told = run_besom(options.rows)
            else:
                told = run_peer(name, options.rows, options.peers)
            results.setdefault(name, []).append(told)
            print(f"round {number}: {name}: {told['median'] * 1e6:.1f} us", file=sys.stderr, flush=True)
    print(as_table(results, options.rows))


if __name__ == "__main__":
    main()
