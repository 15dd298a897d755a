"""Charts of any model: scores, importances of features, learning curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from sklearn import metrics, model_selection
from sklearn.base import is_classifier, is_regressor

from besom.errors import UsageError
from besom.integration.sklearn.charts import chart_of, log_chart
from besom.tracking.media.plot import Chart

__all__ = ["importances_of", "plot_feature_importances", "plot_learning_curve", "plot_summary_metrics"]

_ATTRIBUTES: Final = ("feature_importances_", "feature_log_prob_", "coef_")


def plot_summary_metrics(
    model: Any,
    X: Any = None,  # noqa: N803
    y: Any = None,
    X_test: Any = None,  # noqa: N803
    y_test: Any = None,
) -> Chart:
    """Scores on the test set: accuracy, precision, recall and F1 (weighted by class), or MAE, MSE and R².

    Args:
        model: A fitted classifier or regressor.
        X: Taken, and changes nothing, like `y`.
        y: The training set's.
        X_test: What the model predicts.
        y_test: The truth.

    Raises:
        UsageError: the model is neither.
    """
    predicted = model.predict(X_test)
    if is_classifier(model):
        weighted = metrics.precision_recall_fscore_support(y_test, predicted, average="weighted", zero_division=0)
        scores = {"accuracy_score": metrics.accuracy_score(y_test, predicted)}
        scores |= zip(("precision", "recall", "f1_score"), weighted[:3], strict=True)
    elif is_regressor(model):
        scores = {
            "mae": metrics.mean_absolute_error(y_test, predicted),
            "mse": metrics.mean_squared_error(y_test, predicted),
            "r2_score": metrics.r2_score(y_test, predicted),
        }
    else:
        raise UsageError(f"plot_summary_metrics() takes a classifier or a regressor, not {type(model).__name__}")
    rows = [[name, float(score), type(model).__name__] for name, score in scores.items()]
    columns = ["metric_name", "metric_value", "model_name"]
    return log_chart("summary_metrics", chart_of("wandb/metrics/v1", columns, rows, "Summary Metrics"))


def plot_feature_importances(
    model: Any,
    feature_names: Sequence[Any] | None = None,
    title: str = "Feature Importance",
    max_num_features: int = 50,
) -> Chart:
    """How much each feature counts, the most important first.

    Args:
        model: A fitted model that has `feature_importances_`, `feature_log_prob_` or `coef_`. Where these have a row
            for each class, the mean of their sizes counts.
        feature_names: Names by column; the default is the model's own, else numbers.
        title: Above the chart.
        max_num_features: So many at most.

    Raises:
        UsageError: the model has none of these.
    """
    importances = importances_of(model)
    if importances is None:
        raise UsageError(f"a {type(model).__name__} has none of {', '.join(_ATTRIBUTES)}, or is not fitted")
    names = feature_names if feature_names is not None else getattr(model, "feature_names_in_", None)
    given = [str(name) for name in (range(len(importances)) if names is None else names)]
    order = np.argsort(-np.abs(importances), kind="stable")[:max_num_features]
    rows = [[given[place], importances[place]] for place in order]
    chart = chart_of("wandb/feature_importances/v1", ["feature_names", "importances"], rows, title)
    return log_chart("feature_importances", chart)


def importances_of(model: Any) -> np.ndarray[Any, Any] | None:
    """One number for each feature, or None where the model has none."""
    for name in _ATTRIBUTES:
        if hasattr(model, name):
            found = np.asarray(getattr(model, name), float)
            return np.abs(found).mean(axis=0) if found.ndim > 1 and len(found) > 1 else found.ravel()
    return None


def plot_learning_curve(
    model: Any,
    X: Any,  # noqa: N803
    y: Any,
    cv: Any = None,
    shuffle: bool = False,
    random_state: int | None = None,
    train_sizes: Any = None,
    n_jobs: int | None = 1,
    scoring: Any = None,
) -> Chart:
    """Mean scores on training and test parts over how much was trained with; the arguments are scikit-learn's."""
    sizes, trained, tested = model_selection.learning_curve(
        model, X, y, cv=cv, shuffle=shuffle, random_state=random_state, n_jobs=n_jobs, scoring=scoring,
        train_sizes=np.linspace(0.1, 1.0, 5) if train_sizes is None else train_sizes,
    )  # fmt: skip
    rows = []
    for size, train, test in zip(sizes, trained.mean(axis=1), tested.mean(axis=1), strict=True):
        rows += [["train", train, size], ["test", test, size]]
    chart = chart_of("wandb/learning_curve/v1", ["dataset", "score", "train_size"], rows, "Learning Curve")
    return log_chart("learning_curve", chart)
