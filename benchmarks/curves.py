"""Learning curves of the example's network on scikit-learn's digits, each trained once and kept in a file.

Training is deterministic, so a trial that goes through a kept curve logs what it would have logged by training again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from besom.controller.sweep_config import SweepConfig, load
from besom.strategies import make_strategy

__all__ = ["EPOCHS", "read_curves", "sweep_config", "train_missing", "written"]

EPOCHS = 27
_SWEEP = Path(__file__).parents[1] / "examples" / "digits" / "sweep.yaml"

Curves = dict[str, list[float]]
"""Params as `written` has them to the validation accuracy after each epoch."""


def written(params: dict[str, Any]) -> str:
    """Params as a key."""
    return json.dumps(params, sort_keys=True)


def sweep_config(seed: int, trials: int, **more: Any) -> SweepConfig:
    """The example's space, searched at random for accuracy."""
    config = load(_SWEEP)
    parameters = {**config.as_dict()["parameters"], "epochs": {"value": EPOCHS}}
    metric = {"name": "valid_accuracy", "goal": "maximize"}
    return load(_SWEEP, method="random", parameters=parameters, metric=metric, seed=seed, run_cap=trials, **more)


def read_curves(path: Path) -> Curves:
    """All curves in the file."""
    rows = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return {written(row["params"]): row["valid_accuracy"] for row in rows}


def train_missing(path: Path, seed: int, trials: int) -> Sequence[Sequence[float]]:
    """The curves of the trials that a random sweep of this seed has; those which are not in the file go there."""
    points = make_strategy("random", sweep_config(seed, trials).space(), seed=seed).suggest(trials)
    curves = read_curves(path)
    for params in points:
        if written(params) not in curves:
            from examples.digits.train import train

            curve = [metrics["valid_accuracy"] for metrics in train(SimpleNamespace(**params))]
            curves[written(params)] = curve
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(json.dumps({"params": params, "valid_accuracy": curve}) + "\n")
    return [curves[written(params)] for params in points]
