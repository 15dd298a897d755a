"""Stopping rules: how many epochs they save, what they lose, and how soon an agent knows.

    make bench-stopping         half an hour, and an hour before it for the curves of 8 seeds
    python -m benchmarks.stopping [--seeds N ...] [--trials N] [--workers N] [--pace S] [--curves FILE]

The example's network on scikit-learn's digits, epochs as the resource: 64 random points of 27 epochs each, against
the same points under besom's hyperband and asha (a controller, 8 agents, all processes of their own) and under Optuna's
pruners (8 threads). Every curve is trained once, for real, and kept in `build/`; the trials go through it at a pace,
and keep checkpoints. What is trained of an epoch before the trial hears that it is to stop counts.

All are judged by accuracy on the same 270 images. Whether that lost anything is asked twice: by the best such accuracy
that was seen, and by the accuracy on 270 other images of the model that has it.
"""

from __future__ import annotations

import argparse
import math
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.curves import EPOCHS, VALIDATED, LearningCurve, sweep_config, train_missing
from benchmarks.handout import start_controller
from benchmarks.machine import Place, describe, place, table
from besom.broker.connection import Connection
from besom.broker.keys import Keys
from besom.controller.create import create_sweep
from besom.controller.sweep_config import SweepConfig
from besom.settings import read_settings
from besom.strategies.stopping import Curve

RULES: dict[str, dict[str, Any]] = {
    "hyperband": {"type": "hyperband", "min_iter": 2, "eta": 4, "strict": False},
    "asha": {"type": "asha", "min_iter": 2, "eta": 2, "max_iter": EPOCHS},
}
"""Chosen on other seeds (100 to 105) than those that are reported by default."""
PRUNERS: dict[str, Callable[[Any], Any]] = {
    "Optuna SuccessiveHalvingPruner(2, 2)": lambda its: its.SuccessiveHalvingPruner(2, 2),
    "Optuna SuccessiveHalvingPruner(2, 4)": lambda its: its.SuccessiveHalvingPruner(2, 4),
    "Optuna HyperbandPruner(2, 27, 3)": lambda its: its.HyperbandPruner(2, EPOCHS, 3),
}


@dataclass
class Outcome:
    """What one sweep came to."""

    epochs: float
    valid: float
    """Best accuracy on the images by which trials are judged."""
    test: float
    """Accuracy on the others of the model that has it, the first of equals."""
    decided: Sequence[float] = ()
    """Seconds from the value that made a trial one to be stopped, its own or another's, to the decision."""
    known: Sequence[float] = ()
    """Seconds from there until its code knew."""
    waited: Sequence[float] = ()
    """Seconds that calls of `log` took."""
    promoted: int = 0

    @classmethod
    def of(cls, curves: Sequence[LearningCurve], lengths: Iterable[int], epochs: float, **more: Any) -> Outcome:
        """What is found in so many first epochs of each curve."""
        seen = [
            (curve.valid[epoch], curve.test[epoch])
            for curve, length in zip(curves, lengths, strict=True)
            for epoch in range(length)
        ]
        return cls(epochs, *max(seen, key=lambda pair: pair[0]), **more)


class Decisions(threading.Thread):
    """Looks up, a hundred times a second, which trials are to stop."""

    def __init__(self, here: Place, sweep: str) -> None:
        super().__init__(daemon=True)
        self._members = lambda: here.redis.smembers(Keys("besom").stops(sweep))
        self._over = threading.Event()
        self.made: list[tuple[float, int]] = []
        """When, seconds since the epoch, it was decided for which trial."""

    def run(self) -> None:
        known: set[int] = set()
        while not self._over.wait(0.01):
            members = set(map(int, self._members()))
            self.made.extend((time.time(), number) for number in members - known)
            known = members

    def end(self) -> None:
        self._over.set()
        self.join()


# ---- besom


def run_besom(rule: str, seed: int, options: argparse.Namespace) -> Outcome:
    with place() as here:
        start_controller(here)
        settings = read_settings(redis_url=here.url, silent=True)
        config = sweep_config(seed, options.trials, early_terminate=RULES[rule])
        sweep = create_sweep(Connection(here.url), config, settings).id
        decisions = Decisions(here, sweep)
        decisions.start()
        arguments = (sweep, options.curves, options.pace)
        agents = [here.child("benchmarks.stopping_agents", *arguments) for _ in range(options.workers)]
        attempts = [said for agent in agents for said in iter(lambda agent=agent: agent.hear(600), {"done": True})]
        decisions.end()
    curves = train_missing(options.curves, seed, options.trials)
    lengths = [0] * options.trials
    for said in attempts:
        lengths[said["trial"] - 1] = max(lengths[said["trial"] - 1], said["first"] + len(said["logged"]))
    decided, known = latencies(config, curves, attempts, decisions.made)
    return Outcome.of(
        curves, lengths, sum(said["trained"] for said in attempts), decided=decided, known=known,
        waited=[seconds for said in attempts for seconds in said["waited"]], promoted=len(attempts) - options.trials,
    )  # fmt: skip


def latencies(
    config: SweepConfig, curves: Sequence[LearningCurve], attempts: Sequence[Mapping[str, Any]],
    decisions: Sequence[tuple[float, int]],
) -> tuple[list[float], list[float]]:  # fmt: skip
    """Seconds to the decision and to the trial's knowing it, of each stop."""
    decided, known = [], []
    for at, number, since in causes(config, curves, attempts, decisions):
        told = min(said["known"] for said in attempts if said["trial"] == number and (said["known"] or 0) >= since)
        decided.append(at - since)
        known.append(told - since)
    return decided, known


def causes(
    config: SweepConfig, curves: Sequence[LearningCurve], attempts: Sequence[Mapping[str, Any]],
    decisions: Sequence[tuple[float, int]],
) -> list[tuple[float, int, float]]:  # fmt: skip
    """Each decision, its trial, and since when the rule, asked at every value that anybody logged, had said so.

    What it said for a moment only, until the next value, nobody could act upon.
    """
    rule = config.early_terminate.rule() if config.early_terminate else None
    assert rule is not None
    logged = [(at, said["trial"], False) for said in attempts for at in said["logged"]]
    lengths: dict[int, int] = {}
    since: dict[int, float] = {}
    found = []
    for at, number, is_decision in sorted(logged + [(at, number, True) for at, number in decisions]):
        if is_decision:
            found.append((at, number, since.get(number, math.nan)))
            continue
        lengths[number] = lengths.get(number, 0) + 1
        seen = [Curve(n, tuple(-v for v in curves[n - 1].valid[:k]), True) for n, k in sorted(lengths.items())]
        told = rule.decide(seen).stops
        since = {n: since.get(n, at) for n in told}
        if number in told:  # it stands at another rung now, or is judged anew
            since[number] = at if told[number] == lengths[number] else since[number]
    return [cause for cause in found if not math.isnan(cause[2])]


# ---- Optuna


def run_optuna(pruner: str, seed: int, options: argparse.Namespace) -> Outcome:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    curves = train_missing(options.curves, seed, options.trials)
    study = optuna.create_study(
        direction="maximize", pruner=PRUNERS[pruner](optuna.pruners), sampler=optuna.samplers.RandomSampler(seed)
    )
    for index in range(options.trials):
        study.enqueue_trial({"point": index})
    lengths = [0] * options.trials

    def objective(trial: optuna.Trial) -> float:
        index = trial.suggest_int("point", 0, options.trials - 1)
        for epoch, accuracy in enumerate(curves[index].valid, 1):
            time.sleep(options.pace)
            lengths[index] = epoch
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return max(curves[index].valid)

    study.optimize(objective, n_trials=options.trials, n_jobs=options.workers)
    return Outcome.of(curves, lengths, sum(lengths))


# ---- all


def run_seed(seed: int, options: argparse.Namespace) -> dict[str, Outcome]:
    curves = train_missing(options.curves, seed, options.trials)
    full = [EPOCHS] * options.trials
    outcomes = {f"{options.trials} full trials": Outcome.of(curves, full, sum(full))}
    for rule in RULES:
        outcomes[rule] = run_besom(rule, seed, options)
    for pruner in PRUNERS:
        outcomes[pruner] = run_optuna(pruner, seed, options)
    for name, found in outcomes.items():
        print(f"seed {seed}, {name}: {found.valid:.4f} in {found.epochs:.0f} epochs", file=sys.stderr)
    return outcomes


def report(found: Sequence[dict[str, Outcome]]) -> str:
    full = next(iter(found[0]))
    rows = [["", "best valid", "images less, by seed", "its test", "test less", "+-", "share of epochs", "highest"]]
    for name in found[0]:
        pairs = [(outcomes[full], outcomes[name]) for outcomes in found]
        losses = [round((all_of.valid - one.valid) * VALIDATED) for all_of, one in pairs]
        less = [all_of.test - one.test for all_of, one in pairs]
        shares = [one.epochs / all_of.epochs for all_of, one in pairs]
        error = np.std(less, ddof=1) / math.sqrt(len(less)) if len(less) > 1 else math.nan
        rows.append([
            name, f"{np.mean([one.valid for _, one in pairs]):.4f}", " ".join(map(str, losses)),
            f"{np.mean([one.test for _, one in pairs]):.4f}", f"{np.mean(less):.4f}", f"{error:.4f}",
            f"{np.mean(shares):.3f}", f"{max(shares):.3f}",
        ])  # fmt: skip
    seconds = [["seconds", "count", "median", "99 %", "longest"]]
    for rule in RULES:
        outcomes = [each[rule] for each in found]
        for what in ("decided", "known"):
            seconds.append(_quantiles(f"{rule}: {what}", [one for each in outcomes for one in getattr(each, what)]))
        waited = [one for each in outcomes for one in each.waited if one > 0.005]
        seconds.append(_quantiles(f"{rule}: log waited at a rung", waited))
    promoted = ", ".join(f"{rule}: {sum(each[rule].promoted for each in found)}" for rule in RULES)
    return f"{table(rows)}\n\n{table(seconds)}\n\nattempts after the first: {promoted}"


def _quantiles(name: str, seconds: Sequence[float]) -> list[str]:
    figures = (np.median(seconds), np.quantile(seconds, 0.99), max(seconds)) if seconds else ()
    return [name, str(len(seconds)), *(f"{figure:.3f}" for figure in figures)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(8)))
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--pace", type=float, default=0.25, help="seconds of an epoch")
    parser.add_argument("--curves", type=Path, default=Path("build/digits-curves.jsonl").absolute())
    options = parser.parse_args()
    print(describe())
    print(f"{options.trials} trials, {options.workers} workers, an epoch in {options.pace:g} s")
    print(report([run_seed(seed, options) for seed in options.seeds]))


if __name__ == "__main__":
    main()
