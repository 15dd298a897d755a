"""`xgboost.train(..., callbacks=[Callback()])`: what a booster reports goes to the active run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xgboost.callback import TrainingCallback

from besom.integration.boosting import define_best, importance_chart, log_model
from besom.tracking.run.active import needed_run

__all__ = ["Callback"]


class Callback(TrainingCallback):  # type: ignore[misc]
    """Logs each round's metrics as `<data>-<metric>` with `epoch`, and the booster's configuration as config.

    In `xgboost.cv` there is a booster for each fold: the metrics' means and, as `-std`, their deviations are logged,
    and neither configuration nor importances nor model.

    Args:
        log_model: Record the trained model as the artifact `<run>_model.json`.
        log_feature_importance: Log a chart "Feature Importance" after training.
        importance_type: weight, gain, cover, total_gain or total_cover; weight for a linear booster.
        define_metric: The summary of a metric is its best value, where it is known which is better.

    Raises:
        UsageError: there is no active run.
    """

    def __init__(
        self,
        log_model: bool = False,
        log_feature_importance: bool = True,
        importance_type: str = "gain",
        define_metric: bool = True,
    ) -> None:
        super().__init__()
        self.log_model, self.define_metric = log_model, define_metric
        self.log_feature_importance, self.importance_type = log_feature_importance, importance_type
        self._run = needed_run("xgboost.Callback()")
        self._defined: set[str] = set()

    def before_training(self, model: Any) -> Any:
        """The booster's configuration is config, over what an earlier booster of this run said."""
        if not _is_of_cv(model):
            self._run.config.update(json.loads(model.save_config()), allow_val_change=True)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, Sequence[Any]]]) -> bool:
        """Log a round; False: training goes on."""
        row: dict[str, float] = {}
        for data, metrics in evals_log.items():
            for metric, values in metrics.items():
                row |= self._entry(f"{data}-{metric}", metric, values[-1])
        self._run.log({**row, "epoch": epoch})
        return False

    def after_training(self, model: Any) -> Any:
        """Log the model, importances, and the best round if early stopping chose one."""
        if self.log_model and not _is_of_cv(model):
            name = f"{self._run.id}_model.json"
            path = Path(self._run.dir) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            model.save_model(path)
            log_model(self._run, path, name)
        if self.log_feature_importance and not _is_of_cv(model):
            scores = model.get_score(importance_type=self.importance_type)
            self._run.log({"Feature Importance": importance_chart(scores.items())})
        if (best := model.attr("best_score")) is not None:
            self._run.log({"best_score": float(best), "best_iteration": int(model.attr("best_iteration"))})
        return model

    def _entry(self, key: str, metric: str, value: Any) -> dict[str, float]:
        if self.define_metric and key not in self._defined:
            self._defined.add(key)
            define_best(self._run, key, metric)
        if isinstance(value, tuple):  # of xgboost.cv: mean and deviation over the folds
            return {key: value[0], f"{key}-std": value[1]}
        return {key: value}


def _is_of_cv(model: Any) -> bool:
    return hasattr(model, "cvfolds")
