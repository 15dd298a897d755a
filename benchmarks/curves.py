"""Learning curves of the example's network on scikit-learn's digits, each trained once and kept in a file.

Training is deterministic, so a trial that goes through a kept curve logs what it would have logged by training again.
Of the images that the example validates on, one half is for validation here, and the other for tests, which no search
sees.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from besom.controller.sweep_config import SweepConfig, load
from besom.strategies import make_strategy

__all__ = ["EPOCHS", "VALIDATED", "LearningCurve", "read_curves", "sweep_config", "train_missing", "written"]

EPOCHS = 27
VALIDATED = 270
"""Images for validation, and as many for tests."""
_SWEEP = Path(__file__).parents[1] / "examples" / "digits" / "sweep.yaml"


@dataclass(frozen=True)
class LearningCurve:
    """Accuracies after each epoch."""

    valid: Sequence[float]
    test: Sequence[float]


def written(params: dict[str, Any]) -> str:
    """Params as a key."""
    return json.dumps(params, sort_keys=True)


def sweep_config(seed: int, trials: int, **more: Any) -> SweepConfig:
    """The example's space, searched at random for accuracy."""
    config = load(_SWEEP)
    parameters = {**config.as_dict()["parameters"], "epochs": {"value": EPOCHS}}
    metric = {"name": "valid_accuracy", "goal": "maximize"}
    return load(_SWEEP, method="random", parameters=parameters, metric=metric, seed=seed, run_cap=trials, **more)


def read_curves(path: Path) -> dict[str, LearningCurve]:
    """All curves in the file, by their params as `written` has them."""
    rows = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return {written(row["params"]): LearningCurve(row["valid"], row["test"]) for row in rows}


def train_missing(path: Path, seed: int, trials: int) -> Sequence[LearningCurve]:
    """The curves of the trials that a random sweep of this seed has; those which are not in the file go there."""
    points = make_strategy("random", sweep_config(seed, trials).space(), seed=seed).suggest(trials)
    curves = read_curves(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for params in points:
        if written(params) not in curves:
            curve = curves[written(params)] = _train(params)
            with path.open("a") as file:
                file.write(json.dumps({"params": params, **asdict(curve)}) + "\n")
    return [curves[written(params)] for params in points]


def _train(params: dict[str, Any]) -> LearningCurve:
    from examples.digits.train import epochs, split

    images, held_out, labels, truth = split()
    right = [model.predict(held_out) == truth for model in epochs(SimpleNamespace(**params), images, labels)]
    return LearningCurve(
        [float(one[:VALIDATED].mean()) for one in right], [float(one[VALIDATED:].mean()) for one in right]
    )  # fmt: skip
