"""Whether the millionth trial costs what the thousandth did: no-op trials, run for real, measured on the way.

    python -m benchmarks.million [--trials N] [--agents N] [--window N]

Prints for each tenth of the way: trials/s, CPU of a trial by process, memory of Redis and controller, the store's size.
Ends with code 1 when the last window costs more than 1.2 times the first, Redis grew, or the controller passed 1 GB.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.handout import make_sweep, start_agents, start_controller
from benchmarks.machine import cpu_seconds, describe, place, resident_mb, table, until

WARM = 1_000
WANTED_RATIO = 1.2
WANTED_MB = 1_000
WANTED_GROWTH_MB = 5
"""Without the journal: its last minute is kept, 64 MB at most, and that follows the rate."""


@dataclass
class Sample:
    """The state of things when so many trials were done."""

    done: int
    at: float
    agents: float
    redis: float
    controller: float
    redis_mb: float
    journal_mb: float
    controller_mb: float
    store_mb: float

    def cost(self, before: Sample) -> list[float]:
        """CPU of all agents, Redis, the controller, in ms a trial."""
        trials = self.done - before.done
        return [
            (getattr(self, part) - getattr(before, part)) / trials * 1e3 for part in ("agents", "redis", "controller")
        ]


class Watch:
    """Takes samples at given counts of trials that are done and in the store."""

    def __init__(self, here: Any, sweep: str, agents: list[int], controller: int) -> None:
        self._here, self._agents, self._controller = here, agents, controller
        self._key = f"besom:done:{sweep}"

    def at(self, trials: int, seconds: float = 3600) -> Sample:
        until(f"{trials} trials", lambda: self._done() >= trials, seconds, 0.02)
        return self.now()

    def now(self) -> Sample:
        files = list((self._here.folder / "home").glob("besom.db*"))
        return Sample(
            self._done(),
            time.perf_counter(),
            sum(cpu_seconds(pid) for pid in self._agents),
            cpu_seconds(self._here.pid),
            cpu_seconds(self._controller),
            self._here.redis.info("memory")["used_memory"] / 1e6,
            (self._here.redis.memory_usage("besom:journal", samples=0) or 0) / 1e6,
            resident_mb(self._controller),
            sum(file.stat().st_size for file in files) / 1e6,
        )

    def _done(self) -> int:
        return int(self._here.redis.bitcount(self._key))


def measure(trials: int, agents: int, window: int) -> list[Sample]:
    """Pairs of samples, a window apart; the first starts at 1000 done, the last ends at the last trial."""
    with place() as here:
        controller = start_controller(here)
        ledger, sweep = make_sweep(here)  # without a cap: it is cancelled at the end
        children = start_agents(here, agents, "besom_agent", sweep)
        watch = Watch(here, sweep, [child.pid for child in children], controller.pid)
        ledger.set_state(sweep, "running")
        starts = [WARM, *(trials * tenth // 10 - window for tenth in range(1, 11))]
        samples = []
        for start in starts:
            samples.append(watch.at(start))
            samples.append(watch.at(samples[-1].done + window))
            print(f"{samples[-1].done} done", file=sys.stderr, flush=True)
        ledger.set_state(sweep, "cancelled")
        for child in children:
            child.hear()
        return samples


def as_table(pairs: list[tuple[Sample, Sample]]) -> str:
    rows = [
        [
            "done",
            "trials/s",
            "agents ms",
            "redis ms",
            "controller ms",
            "all ms",
            "redis MB",
            "journal MB",
            "controller MB",
            "store MB",
        ]
    ]
    for before, after in pairs:
        cost = after.cost(before)
        rate = (after.done - before.done) / (after.at - before.at)
        rows.append([
            str(after.done), f"{rate:.0f}", *(f"{part:.3f}" for part in [*cost, sum(cost)]), f"{after.redis_mb:.1f}",
            f"{after.journal_mb:.1f}",
            f"{after.controller_mb:.0f}", f"{after.store_mb:.0f}",
        ])  # fmt: skip
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--agents", type=int, default=4)
    parser.add_argument("--window", type=int, default=20_000)
    options = parser.parse_args()
    print(describe())
    samples = measure(options.trials, options.agents, options.window)
    pairs = list(zip(samples[::2], samples[1::2], strict=True))
    print(as_table(pairs))
    first, last = (sum(after.cost(before)) for before, after in (pairs[0], pairs[-1]))
    early, late = (pair[1].redis_mb - pair[1].journal_mb for pair in (pairs[1], pairs[-1]))
    growth = late - early
    peak = max(sample.controller_mb for sample in samples)
    print(f"cost of a trial at the end / at {WARM}: {last / first:.2f}; wanted <= {WANTED_RATIO}")
    print(
        f"Redis without the journal grew by {growth:.1f} MB from a tenth of the way to its end; "
        f"wanted <= {WANTED_GROWTH_MB}"
    )
    print(f"controller at most {peak:.0f} MB; wanted < {WANTED_MB}")
    if last / first > WANTED_RATIO or growth > WANTED_GROWTH_MB or peak >= WANTED_MB:
        sys.exit(1)


if __name__ == "__main__":
    main()
