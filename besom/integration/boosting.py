"""What boosted trees have in common: which way a metric is better, importances of features, models as artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from besom.tracking.artifacts.artifact import Artifact
from besom.tracking.media import plot
from besom.tracking.media.table import Table
from besom.tracking.run.run import Run

__all__ = ["better", "define_best", "importance_chart", "log_model"]

_LOWER: Final = frozenset({
        "cross_entropy", "error", "fair", "gamma", "gamma_deviance", "huber", "kullback_leibler", "l1", "l2", "mae",
        "mape", "merror", "mphe", "mse", "poisson", "quantile", "rmse", "rmsle", "tweedie", "binary_error",
        "multi_error", "gamma-deviance",
})  # fmt: skip
_HIGHER: Final = frozenset({"auc", "auc_mu", "aucpr", "average_precision", "map", "ndcg", "pre", "r2"})


def better(metric: str) -> Literal["min", "max"] | None:
    """Which end of a metric is the good one; None for a name that neither library has.

    A threshold or a rank behind "@" (`ndcg@5`) changes nothing.
    """
    name = metric.lower().partition("@")[0]
    if name in _HIGHER:
        return "max"
    if name in _LOWER or "loss" in name or "nloglik" in name:
        return "min"
    return None


def define_best(run: Run, key: str, metric: str) -> None:
    """The summary of `key` is the best value of `metric`, not the last, where it is known which is better."""
    if (end := better(metric)) is not None:
        run.define_metric(key, summary=end)


def importance_chart(importances: Iterable[tuple[str, Any]]) -> plot.Chart:
    """A bar for each feature."""
    rows = [[name, float(value)] for name, value in importances]
    table = Table(columns=["Feature", "Importance"], data=rows)
    return plot.bar(table, "Feature", "Importance", title="Feature Importance")


def log_model(run: Run, path: Path, name: str, aliases: Sequence[str] | None = None) -> None:
    """Record a saved model as a version of the artifact `name`, of type "model"."""
    artifact = Artifact(name, "model")
    if path.is_dir():
        artifact.add_dir(path)
    else:
        artifact.add_file(path)
    run.log_artifact(artifact, aliases=aliases)
