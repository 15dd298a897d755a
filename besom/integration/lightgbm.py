"""`lightgbm.train(..., callbacks=[callback()])`, and `log_summary` when it is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from besom.errors import UsageError
from besom.integration.boosting import define_best, importance_chart, log_model
from besom.tracking.run.active import needed_run

__all__ = ["Callback", "callback", "log_summary"]


class Callback:
    """What lightgbm calls after each round; `order` places it after lightgbm's own recorders.

    Args:
        log_params: The parameters of the training are config.
        define_metric: The summary of a metric is its best value, where it is known which is better.
    """

    order = 20
    before_iteration = False

    def __init__(self, log_params: bool = True, define_metric: bool = True) -> None:
        self.log_params, self.define_metric = log_params, define_metric

    def __call__(self, env: Any) -> None:
        """Log a round: `<data>_<metric>`, of `lightgbm.cv` its `-mean` and `-stdv`, and `iteration`."""
        run = needed_run("lightgbm.callback()")
        results = [entry for item in env.evaluation_result_list or () for entry in _entries(item)]
        if env.iteration == env.begin_iteration:
            if self.log_params:
                run.config.update(env.params, allow_val_change=True)
            for key, metric, _ in results if self.define_metric else ():
                define_best(run, key, metric)
        run.log({**{key: value for key, _, value in results}, "iteration": env.iteration})


def callback(log_params: bool = True, define_metric: bool = True) -> Callback:
    """`Callback`, as lightgbm names its own."""
    return Callback(log_params, define_metric)


def log_summary(model: Any, feature_importance: bool = True, save_model_checkpoint: bool = False) -> None:
    """Log what is known when training is over: `best_iteration` and `best_score` in the summary.

    Args:
        model: A `lightgbm.Booster`.
        feature_importance: Log a chart "Feature Importance".
        save_model_checkpoint: Record the model up to its best round as the artifact `model_<run>`, alias "best".

    Raises:
        UsageError: there is no active run, or this is no booster.
    """
    run = needed_run("lightgbm.log_summary()")
    if not hasattr(model, "best_iteration") or not hasattr(model, "feature_importance"):
        raise UsageError(f"log_summary() takes a lightgbm.Booster, not {type(model).__name__}; write model.booster_")
    scores = {data: dict(metrics) for data, metrics in model.best_score.items()}
    run.summary.update({"best_iteration": model.best_iteration, "best_score": scores})
    if feature_importance:
        pairs = zip(model.feature_name(), model.feature_importance(), strict=True)
        run.log({"Feature Importance": importance_chart(pairs)})
    if save_model_checkpoint:
        path = Path(run.dir) / f"model_ckpt_{model.best_iteration}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save_model(path, num_iteration=model.best_iteration)
        log_model(run, path, f"model_{run.id}", aliases=["best"])


def _entries(item: tuple[Any, ...]) -> list[tuple[str, str, float]]:
    """Key, metric and value; of `lightgbm.cv` two, the mean and the deviation over the folds."""
    data, metric, value, *_ = item
    if len(item) < 5:
        return [(f"{data}_{metric}", metric, value)]
    if data == "cv_agg":  # older releases have "valid l2" for the metric
        data, metric = str(metric).split(" ", 1)
    return [(f"{data}_{metric}-mean", metric, value), (f"{data}_{metric}-stdv", "", item[4])]
