"""Stopping rules: how many epochs they save, what they lose, and how soon an agent knows.

    make bench-stopping         about 20 minutes
    python -m benchmarks.stopping [--seeds N ...] [--min-iter N] [--trials N] [--workers N] [--pace S] [--curves FILE]

The example's network on scikit-learn's digits, epochs as the resource: 64 random points of 27 epochs each, against
the same points under besom's hyperband and asha (a controller, 8 agents, all processes of their own) and under Optuna's
SuccessiveHalvingPruner (8 threads), with the same rungs: 1, 3, 9, or 3, 9 with `--min-iter 3`. Every curve is trained
once, for real, and kept in `build/`; the trials go through it at a pace, since an epoch here takes less time than it
takes to decide anything. What a trial still trained after the decision counts.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.curves import EPOCHS, sweep_config, train_missing
from benchmarks.handout import start_controller
from benchmarks.machine import Place, describe, place, table
from besom.broker.connection import Connection
from besom.broker.keys import Keys
from besom.controller.create import create_sweep
from besom.controller.sweep_config import SweepConfig
from besom.settings import read_settings
from besom.strategies.stopping import Curve

RULES: dict[str, dict[str, Any]] = {
    "hyperband": {"type": "hyperband", "eta": 3},
    "asha": {"type": "asha", "eta": 3, "max_iter": EPOCHS, "promote": False},
}
VALIDATED = 540
"""Images that an accuracy is measured on."""


@dataclass
class Outcome:
    """What one sweep came to."""

    best: float
    epochs: int
    decided: Sequence[float] = ()
    """Seconds from the value that made a trial one to be stopped, its own or another's, to the decision."""
    known: Sequence[float] = ()
    """Seconds from there until its agent knew."""


class Decisions(threading.Thread):
    """Looks up, a hundred times a second, which trials are to stop."""

    def __init__(self, here: Place, sweep: str) -> None:
        super().__init__(daemon=True)
        self._members = lambda: here.redis.smembers(Keys("besom").stops(sweep))
        self._over = threading.Event()
        self.at: dict[int, float] = {}
        """Trial to when that was decided, seconds since the epoch."""

    def run(self) -> None:
        while not self._over.wait(0.01):
            for number in map(int, self._members()):
                self.at.setdefault(number, time.time())

    def end(self) -> None:
        self._over.set()
        self.join()


def run_besom(rule: str, seed: int, options: argparse.Namespace) -> Outcome:
    with place() as here:
        start_controller(here)
        settings = read_settings(redis_url=here.url, silent=True)
        config = sweep_config(seed, options.trials, early_terminate={**RULES[rule], "min_iter": options.min_iter})
        connection = Connection(here.url)
        sweep = create_sweep(connection, config, settings).id
        decisions = Decisions(here, sweep)
        decisions.start()
        arguments = (sweep, options.curves, options.pace)
        agents = [here.child("benchmarks.stopping_agents", *arguments) for _ in range(options.workers)]
        reports = [said for agent in agents for said in iter(lambda agent=agent: agent.hear(600), {"done": True})]
        decisions.end()
    curves = train_missing(options.curves, seed, options.trials)
    if sorted(said["trial"] for said in reports) != list(range(1, options.trials + 1)):
        raise RuntimeError("a trial is missing, or ran twice")
    best = max(max(curves[said["trial"] - 1][: len(said["logged"])], default=0.0) for said in reports)
    stopped = [(said, decisions.at[said["trial"]]) for said in reports if said["trial"] in decisions.at]
    due = due_times(config, curves, {said["trial"]: said["logged"] for said in reports})
    decided = [at - due[said["trial"]] for said, at in stopped if said["trial"] in due]
    known = [said["known"] - due[said["trial"]] for said, _ in stopped if said["trial"] in due and said["known"]]
    return Outcome(best, sum(len(said["logged"]) for said in reports), decided, known)


def due_times(
    config: SweepConfig, curves: Sequence[Sequence[float]], logged: dict[int, Sequence[float]]
) -> dict[int, float]:
    """When each trial was first to be stopped, were the rule asked at once after every value that anybody logged."""
    rule = config.early_terminate.rule() if config.early_terminate else None
    assert rule is not None
    values: dict[int, tuple[float, ...]] = {}
    passed: dict[int, int] = {}
    due: dict[int, float] = {}
    for at, number in sorted((at, number) for number, times in logged.items() for at in times):
        values[number] = (*values.get(number, ()), -curves[number - 1][len(values.get(number, ()))])
        known = sorted(values.items())
        verdict = rule.decide([
            Curve(n, curve, len(curve) < EPOCHS and n not in due, passed.get(n, 0)) for n, curve in known
        ])  # fmt: skip
        passed.update(verdict.passes)
        due.update(dict.fromkeys(verdict.stops, at))
    return due


def run_optuna(seed: int, options: argparse.Namespace) -> Outcome:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    curves = train_missing(options.curves, seed, options.trials)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=options.min_iter, reduction_factor=3)
    study = optuna.create_study(direction="maximize", pruner=pruner, sampler=optuna.samplers.RandomSampler(seed))
    for index in range(options.trials):
        study.enqueue_trial({"point": index})
    trained: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        curve = curves[trial.suggest_int("point", 0, options.trials - 1)]
        for epoch, accuracy in enumerate(curve, 1):
            time.sleep(options.pace)
            trained.append(accuracy)
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return max(curve)

    study.optimize(objective, n_trials=options.trials, n_jobs=options.workers)
    return Outcome(max(trained), len(trained))


def run_seed(seed: int, options: argparse.Namespace) -> dict[str, Outcome]:
    curves = train_missing(options.curves, seed, options.trials)
    outcomes = {f"{options.trials} full trials": Outcome(max(map(max, curves)), sum(map(len, curves)))}
    for rule in RULES:
        outcomes[f"besom {rule}"] = run_besom(rule, seed, options)
    outcomes["Optuna SuccessiveHalvingPruner"] = run_optuna(seed, options)
    for name, outcome in outcomes.items():
        print(f"seed {seed}, {name}: {outcome.best:.4f} in {outcome.epochs} epochs", file=sys.stderr)
    return outcomes


def report(found: Sequence[dict[str, Outcome]]) -> str:
    full = next(iter(found[0]))
    rows = [["", "best accuracy", "images less, by seed", "epochs", "share", "highest share"]]
    for name in found[0]:
        outcomes = [outcomes[name] for outcomes in found]
        losses = [round((outcomes[full].best - outcomes[name].best) * VALIDATED) for outcomes in found]
        shares = [outcomes[name].epochs / outcomes[full].epochs for outcomes in found]
        rows.append([
            name, f"{np.mean([one.best for one in outcomes]):.4f}", " ".join(map(str, losses)),
            f"{np.mean([one.epochs for one in outcomes]):.0f}", f"{np.mean(shares):.3f}", f"{max(shares):.3f}",
        ])  # fmt: skip
    latencies = [["seconds after the metric was logged", "stops", "median", "99 %", "longest"]]
    for rule in RULES:
        for kind in ("decided", "known"):
            times = [time for outcomes in found for time in getattr(outcomes[f"besom {rule}"], kind)]
            name = f"{rule}, {kind}" if kind == "decided" else f"{rule}, known to the agent"
            figures = (np.median(times), np.quantile(times, 0.99), max(times))
            latencies.append([name, str(len(times)), *(f"{figure:.2f}" for figure in figures)])
    return f"{table(rows)}\n\n{table(latencies)}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--min-iter", type=int, default=1, help="the first rung; each next one is three times as far")
    parser.add_argument("--pace", type=float, default=0.5, help="seconds of an epoch")
    parser.add_argument("--curves", type=Path, default=Path("build/digits-curves.jsonl").absolute())
    options = parser.parse_args()
    print(describe())
    how = f"{options.workers} workers, an epoch in {options.pace:g} s, first rung {options.min_iter}"
    print(f"{options.trials} trials, {how}")
    print(report([run_seed(seed, options) for seed in options.seeds]))


if __name__ == "__main__":
    main()
