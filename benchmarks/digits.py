"""`bayes` against `random` where people would use it: the example's network on scikit-learn's digits.

    make bench-digits           about 10 minutes; or: python -m benchmarks.digits [--seeds N] [--trials N] [--plot FILE]

The example's own sweep file and training, a controller and two agents in processes of their own. For each seed both
searches run 30 trials; what counts is the best validation loss so far after each trial that ended.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from benchmarks.handout import start_controller
from benchmarks.machine import Child, Place, describe, place, table
from besom.broker.connection import Connection
from besom.controller.create import create_sweep
from besom.controller.sweep_config import load
from besom.settings import read_settings
from besom.tracking.store.schema import trials
from besom.tracking.store.store import Store

SWEEP = Path(__file__).parents[1] / "examples" / "digits" / "sweep.yaml"
METHODS = ("random", "bayes")
AGENTS = 2
_SHOWN_FROM = 4
"""The first trials of both are anywhere, and would take all of the plot's height."""


def best_so_far(here: Place, agents: list[Child], method: str, seed: int, cap: int) -> list[float]:
    """The lowest loss after each trial of one sweep, in the order in which they ended."""
    settings = read_settings(redis_url=here.url, silent=True)
    config = load(SWEEP, method=method, seed=seed, run_cap=cap)
    sweep = create_sweep(Connection(here.url), config, settings).id
    for agent in agents:
        agent.say(sweep)
    for agent in agents:
        agent.hear(1800)
    store = Store.open(read_settings(home=here.env["BESOM_HOME"]).store_url)
    with store.read() as conn:
        query = select(trials.c.value).where(trials.c.sweep == sweep).order_by(trials.c.ended, trials.c.number)
        values = [np.inf if value is None else value for value in conn.scalars(query)]
    store.close()
    if len(values) != cap:
        raise RuntimeError(f"{len(values)} trials in place of {cap}")
    return np.minimum.accumulate(values).tolist()


def measure(seeds: int, cap: int) -> dict[str, np.ndarray[Any, Any]]:
    """Best losses so far of both searches, shape (seeds, trials)."""
    found: dict[str, list[list[float]]] = {method: [] for method in METHODS}
    with place() as here:
        start_controller(here)
        agents = [here.child("benchmarks.digits_agents") for _ in range(AGENTS)]
        for agent in agents:
            agent.hear()
        for seed in range(seeds):
            for method in METHODS:
                found[method].append(best_so_far(here, agents, method, seed, cap))
                print(f"seed {seed}, {method}: {found[method][-1][-1]:.4f}", file=sys.stderr)
    return {method: np.array(curves) for method, curves in found.items()}


def report(found: dict[str, np.ndarray[Any, Any]]) -> str:
    cap = found["random"].shape[1]
    marks = [count for count in (6, 12, 18, 24, 30, 48) if count <= cap]
    rows = [["best loss, median (lowest-highest)", *(f"after {count}" for count in marks)]]
    for method, curves in found.items():
        some = (curves[:, count - 1] for count in marks)
        rows.append([method, *(f"{np.median(at):.4f} ({at.min():.4f}-{at.max():.4f})" for at in some)])
    goal = np.median(found["random"][:, -1])
    reached = np.median(found["bayes"], axis=0) <= goal
    when = f"after {int(reached.argmax()) + 1} of {cap} trials" if reached.any() else "never"
    wins = int((found["bayes"][:, -1] < found["random"][:, -1]).sum())
    end = f"bayes is at random's last median {when}; better at the end in {wins} of {len(found['bayes'])} seeds"
    return f"{table(rows)}\n\n{end}"


def draw(found: dict[str, np.ndarray[Any, Any]], path: Path) -> None:
    """Median and range of the best loss so far."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    cap = found["random"].shape[1]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for (method, curves), color in zip(found.items(), ("#8a8a8a", "#c2410c"), strict=True):
        counts = np.arange(1, cap + 1)
        axes.fill_between(counts, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.15, linewidth=0)
        axes.plot(counts, np.median(curves, axis=0), color=color, label=method)
    shown = np.hstack([curves[:, _SHOWN_FROM - 1 :] for curves in found.values()])
    axes.set(xlabel="trials that ended", ylabel="best validation loss so far")
    axes.set_xlim(_SHOWN_FROM, cap)
    axes.set_ylim(0.95 * shown.min(), np.quantile(shown, 0.97))
    axes.set_title(f"digits: median and range of {len(curves)} seeds, {AGENTS} agents", fontsize=10)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--results", type=Path, help="where the best losses so far are written, as lines of JSON")
    options = parser.parse_args()
    print(describe())
    found = measure(options.seeds, options.trials)
    print(report(found))
    if options.results:
        lines = [json.dumps({"method": method, "best": curve.tolist()}) for method in found for curve in found[method]]
        options.results.write_text("\n".join(lines) + "\n")
    if options.plot:
        draw(found, options.plot)


if __name__ == "__main__":
    main()
