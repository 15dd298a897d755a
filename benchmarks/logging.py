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

from benchmarks.handout import make_sweep, start_agents, start_controller
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
    head = ["tracker", "median us", "p99 us", "max ms", "logs/s", "caller us", "background us", "redis us",
            "recorder us", "all CPU us", "memory MB", "bytes", "init ms", "finish ms"]  # fmt: skip
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


def verdicts(told: Measured, rows: int) -> str:
    return (
        f"besom: {told['median'] * 1e6:.1f} us in the caller at the median, wanted <= {WANTED_MEDIAN_US:g}; "
        f"{cpu_us(told, rows):.1f} us of all CPU a log, wanted <= {WANTED_CPU_US:g}; "
        f"memory grew by {told['memory_mb']:.0f} MB at most, wanted <= {WANTED_MB:g}; "
        f"Redis held {told['redis_mb']:.0f} MB at most"
    )


# ---- init() and finish() in a trial


def trials(count: int, *settings: str) -> str:
    """Medians of what a trial's run costs its agent, after the first."""
    with place() as here:
        start_controller(here)
        ledger, sweep = make_sweep(here, run_cap=count)
        (agent,) = start_agents(here, 1, "besom_runs", sweep, *settings)
        ledger.set_state(sweep, "running")
        first, *others = agent.hear(300)["took"]
    init, init_cpu, end, end_cpu = (statistics.median(column) * 1e3 for column in zip(*others, strict=True))
    return (
        f"init() {init:.2f} ms ({init_cpu:.2f} of CPU), one log() and finish() {end:.2f} ms ({end_cpu:.2f}); "
        f"the process' first init() {first[0] * 1e3:.0f} ms"
    )


def measure(rows: int, rounds: int, only: list[str], peers: str) -> dict[str, list[Measured]]:
    results: dict[str, list[Measured]] = {}
    for number in range(1, rounds + 1):
        for name in only or ["nothing", "besom", *PEERS]:
            told = run_besom(rows) if name == "besom" else run_peer(name, rows, peers)
            results.setdefault(name, []).append(told)
            print(f"round {number}: {name}: {told['median'] * 1e6:.1f} us", file=sys.stderr, flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=300, help="of the measurement of init() and finish()")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME",
                        help="nothing, besom, trackio, tensorboardX, wandb, trials")  # fmt: skip
    parser.add_argument("--peers", default="build/peers/bin/python", help="a Python that has the peers")
    options = parser.parse_args()
    print(describe())
    trackers = [name for name in options.only if name != "trials"]
    if trackers or not options.only:
        results = measure(options.rows, options.rounds, trackers, options.peers)
        print(f"{options.rows} rows of three numbers, medians of {options.rounds} interleaved rounds\n")
        print(as_table(results, options.rows) + "\n")
        if "besom" in results:
            print(verdicts(median(results["besom"]), options.rows))
    if not options.only or "trials" in options.only:
        print(f"a trial of a function agent: {trials(options.trials)}")
        print(f"without console, git and system metrics: {trials(options.trials, 'disable_git', 'disable_stats')}")


if __name__ == "__main__":
    main()
