"""How fast no-op trials are handed out: besom, Celery, Dramatiq, Optuna and RQ in one run, and besom's pauses.

    python -m benchmarks.handout [--trials N] [--rounds N] [--only NAME ...] [--json FILE]

The clock runs from the moment when all workers wait and work is released until the last result is recorded: besom's in
its store on disk, the peers' in Redis. The peers get their queues filled before; besom's controller makes its
suggestions while the clock runs. Rounds are interleaved, so that drift hits all alike; the table has medians.
Needs the extra `bench`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import Child, Place, cpu_seconds, describe, place, table, until
from besom.broker.connection import Connection
from besom.broker.ledger import Ledger
from besom.controller.create import create_sweep
from besom.controller.sweep_config import load
from besom.settings import read_settings

SPACE = {"x": {"min": 0.0, "max": 1.0}}
WANTED_RATIO = {1: 5.0, 4: 3.0}
WANTED_AGENT_MS = 0.15
WANTED_GAP_MS = (1.0, 3.0)


@dataclass
class Measured:
    """One run: seconds of wall and of CPU."""

    trials: int
    wall: float
    worker: float
    redis: float
    controller: float = 0.0
    store: float = 0.0
    before: float = 0.0
    """Spent before the clock ran: filling the queue."""

    @property
    def rate(self) -> float:
        return self.trials / self.wall

    def each(self, part: str) -> float:
        """Milliseconds for one trial."""
        return float(getattr(self, part)) / self.trials * 1e3


@dataclass
class Contestant:
    name: str
    workers: int
    run: Callable[[int, int], Measured]
    """With (workers, trials)."""
    results: list[Measured] = field(default_factory=list)

    def median(self, value: Callable[[Measured], float]) -> float:
        return statistics.median(value(result) for result in self.results)


# ---- besom


def make_sweep(here: Place, **config: Any) -> tuple[Ledger, str]:
    """A sweep that is paused, with a controller that knows it."""
    ledger = Ledger(Connection(here.url))
    settings = read_settings(redis_url=here.url, silent=True)
    spec = create_sweep(ledger.connection, load({"method": "random", "parameters": SPACE, **config}), settings)
    ledger.set_state(spec.id, "paused")
    return ledger, spec.id


def start_controller(here: Place, *options: object) -> Child:
    controller = here.child("benchmarks.controller", *options)
    controller.hear()
    until("the controller's lease", lambda: here.redis.hget("besom:controller", "epoch"))
    return controller


def start_agents(here: Place, count: int, kind: str, sweep: str, *arguments: object) -> list[Child]:
    agents = [here.child("benchmarks.workers", kind, here.url, sweep, *arguments) for _ in range(count)]
    until("the agents", lambda: here.redis.zcard("besom:agents") == count)
    time.sleep(0.5)  # the controller looks five times a second
    return agents


def run_besom(workers: int, trials: int) -> Measured:
    with place() as here:
        controller = start_controller(here)
        ledger, sweep = make_sweep(here, run_cap=trials)
        agents = start_agents(here, workers, "besom_agent", sweep)
        clock = Clock([agent.pid for agent in agents], here.pid, controller.pid)
        ledger.set_state(sweep, "running")
        until("the sweep", lambda: ledger.state(sweep) == "finished", 600)
        wall = clock.wall()
        for agent in agents:
            agent.hear()
        measured = clock.read(trials, wall)
        measured.store = controller.stop()["store"]
        measured.controller -= measured.store
        return measured


# ---- peers


def run_peer(name: str, queue: str, count: Callable[[Place], int]) -> Callable[[int, int], Measured]:
    """A system with a queue: fill it, hide it, start workers, give it back."""

    def run(workers: int, trials: int) -> Measured:
        with place() as here:
            filler = here.child("benchmarks.workers", f"fill_{name}", here.url, trials)
            before = filler.hear()["seconds"]
            here.redis.rename(queue, "held")
            children = [here.child("benchmarks.workers", name, here.url) for _ in range(workers)]
            for child in children:
                child.hear()
            time.sleep(1.0)
            clock = Clock([child.pid for child in children], here.pid)
            here.redis.rename("held", queue)
            until(name, lambda: count(here) >= trials, 600)
            measured = clock.read(trials, clock.wall())
            measured.before = before
            return measured

    return run


def run_optuna(workers: int, trials: int) -> Measured:
    with place() as here:
        here.child("benchmarks.workers", "fill_optuna", here.url, 0).hear()
        share = trials // workers
        children = [here.child("benchmarks.workers", "optuna", here.url, share) for _ in range(workers)]
        for child in children:
            child.hear()
        time.sleep(1.0)
        clock = Clock([child.pid for child in children], here.pid)
        here.redis.select(1)
        here.redis.rpush("go", *range(workers))
        for child in children:
            child.hear()
        return clock.read(share * workers, clock.wall())


def results_in_db_1(here: Place) -> int:
    keyspace = here.redis.info("keyspace").get("db1", {})
    return int(keyspace.get("keys", 0))


class Clock:
    """Wall and CPU since it was made."""

    def __init__(self, workers: list[int], server: int, controller: int | None = None) -> None:
        self._pids = (workers, [server], [controller] if controller else [])
        self._cpu = self._now()
        self._started = time.perf_counter()

    def wall(self) -> float:
        return time.perf_counter() - self._started

    def read(self, trials: int, wall: float) -> Measured:
        worker, server, controller = (now - then for now, then in zip(self._now(), self._cpu, strict=True))
        return Measured(trials, wall, worker, server, controller)

    def _now(self) -> list[float]:
        return [sum(cpu_seconds(pid) for pid in pids) for pids in self._pids]


def contestants() -> list[Contestant]:
    celery = run_peer("celery", "celery", results_in_db_1)
    dramatiq = run_peer("dramatiq", "dramatiq:default", results_in_db_1)
    rq = run_peer("rq", "rq:queue:default", lambda here: int(here.redis.zcard("rq:finished:default")))
    kinds = {"besom": (run_besom, (1, 2, 4)), "Celery": (celery, (1, 4)), "Dramatiq": (dramatiq, (1, 4)),
             "Optuna": (run_optuna, (1, 4)), "RQ": (rq, (1, 4))}  # fmt: skip
    return [Contestant(name, workers, run) for name, (run, counts) in kinds.items() for workers in counts]


# ---- the table


def compare(trials: int, rounds: int, only: list[str]) -> list[Contestant]:
    chosen = [one for one in contestants() if not only or one.name.lower() in only]
    for number in range(1, rounds + 1):
        for one in chosen:
            # Few enough that a peer needs no minute; Optuna's cost grows with the trials, so that is to its favour.
            result = one.run(one.workers, trials if one.name == "besom" else max(200, trials // 5))
            one.results.append(result)
            print(f"round {number}: {one.name} x{one.workers}: {result.rate:.0f}/s", file=sys.stderr, flush=True)
    return chosen


def best_peer(chosen: list[Contestant], workers: int) -> float:
    rates = [one.median(lambda r: r.rate) for one in chosen if one.name != "besom" and one.workers == workers]
    return max(rates, default=0.0)


def as_table(chosen: list[Contestant]) -> str:
    best = {workers: best_peer(chosen, workers) for workers in (1, 4)}
    head = ["system", "workers", "trials", "trials/s", "min-max", "wall s", "worker ms", "redis ms", "controller ms",
            "store ms", "filling ms", "to best of 1", "to best of 4"]  # fmt: skip
    rows = [head]
    for one in chosen:
        rates = [result.rate for result in one.results]
        rate = statistics.median(rates)
        parts = ("worker", "redis", "controller", "store", "before")
        cells = [one.median(lambda r, part=part: r.each(part)) for part in parts]  # type: ignore[misc]
        rows.append([
            one.name, str(one.workers), str(one.results[0].trials), f"{rate:.0f}", f"{min(rates):.0f}-{max(rates):.0f}",
            f"{one.median(lambda r: r.wall):.2f}", *(f"{cell:.3f}" if cell > 0 else "-" for cell in cells),
            *(f"{rate / best[workers]:.1f}" if best[workers] else "-" for workers in (1, 4)),
        ])  # fmt: skip
    return table(rows)


def verdicts(chosen: list[Contestant]) -> list[str]:
    lines = []
    for one in chosen:
        best = best_peer(chosen, one.workers)
        if one.name == "besom" and best and one.workers in WANTED_RATIO:
            ratio = one.median(lambda r: r.rate) / best
            lines.append(f"besom x{one.workers}: {ratio:.1f} times the best peer with as many workers; "
                         f"wanted {WANTED_RATIO[one.workers]:g}")  # fmt: skip
        if one.name == "besom":
            agent = one.median(lambda r: r.each("worker"))
            lines.append(f"besom x{one.workers}: agent CPU {agent:.3f} ms a trial; wanted <= {WANTED_AGENT_MS}")
    return lines


# ---- pauses


def pauses(trials: int) -> str:
    """From a trial's end to the next one's start on the same agent, each turn good for one trial."""
    with place() as here:
        start_controller(here, "--turn-trials", 1)
        ledger, sweep = make_sweep(here, run_cap=trials)
        agents = start_agents(here, 2, "besom_gaps", sweep, 0.02, 0.05)
        ledger.set_state(sweep, "running")
        gaps = sorted(gap * 1e3 for agent in agents for gap in agent.hear()["gaps"])
    p99 = gaps[int(len(gaps) * 0.99)]
    return (
        f"pause between two trials, one-trial turns, random, 2 agents, trials of 20-50 ms: median "
        f"{statistics.median(gaps):.2f} ms, p99 {p99:.2f} ms, longest {gaps[-1]:.2f} ms, {len(gaps)} pauses; "
        f"wanted median <= {WANTED_GAP_MS[0]:g}, p99 <= {WANTED_GAP_MS[1]:g}"
    )


def bayes_pauses() -> str:
    with place() as here:
        start_controller(here, "--turn-trials", 1)
        metric = {"name": "loss", "goal": "minimize"}
        ledger, sweep = make_sweep(here, method="bayes", metric=metric, run_cap=20)
        agents = start_agents(here, 2, "besom_logged_gaps", sweep, 1.2)
        ledger.set_state(sweep, "running")
        told = [agent.hear()["gaps"] for agent in agents]
    gaps = [gap * 1e3 for gaps in told for gap in gaps[1:]]
    return (
        f"bayes, 2 agents, 20 trials of 1.2 s: median pause {statistics.median(gaps):.2f} ms, longest after each "
        f"agent's first {max(gaps):.2f} ms; wanted <= {WANTED_GAP_MS[1]:g}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000, help="besom's; the peers' are a fifth (default 10000)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pauses", type=int, default=600, help="trials of the measurement of pauses (default 600)")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME",
                        help="besom, celery, dramatiq, optuna, rq, pauses, bayes")  # fmt: skip
    parser.add_argument("--json", type=Path, help="write every run to this file")
    options = parser.parse_args()
    only = [name.lower() for name in options.only]
    os.environ["BESOM_SILENT"] = "1"
    print(describe())
    chosen = compare(options.trials, options.rounds, only) if not only or {*only} - {"pauses", "bayes"} else []
    if chosen:
        print(f"no-op objective, medians of {options.rounds} interleaved rounds; CPU in ms of a trial\n")
        print(as_table(chosen) + "\n")
        print("\n".join(verdicts(chosen)))
    if not only or "pauses" in only:
        print(pauses(options.pauses))
    if not only or "bayes" in only:
        print(bayes_pauses())
    if options.json:
        raw = {f"{one.name} x{one.workers}": [vars(result) for result in one.results] for one in chosen}
        options.json.write_text(json.dumps(raw, indent=1))


if __name__ == "__main__":
    main()
