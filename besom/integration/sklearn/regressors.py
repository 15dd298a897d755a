"""Charts of regressors."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split

from besom.integration.sklearn.charts import chart_of, log_chart
from besom.integration.sklearn.estimators import plot_learning_curve, plot_summary_metrics
from besom.tracking.media.plot import Chart

__all__ = ["plot_outlier_candidates", "plot_regressor", "plot_residuals"]


def plot_regressor(
    model: Any,
    X_train: Any,  # noqa: N803
    X_test: Any,  # noqa: N803
    y_train: Any,
    y_test: Any,
    model_name: str = "Regressor",
) -> None:
    """Every chart that fits a fitted regressor; `model_name` is taken and changes nothing."""
    plot_summary_metrics(model, X_train, y_train, X_test, y_test)
    plot_learning_curve(model, X_train, y_train)
    plot_outlier_candidates(model, X_train, y_train)
    plot_residuals(model, X_train, y_train)


def plot_residuals(regressor: Any, X: Any, y: Any) -> Chart:  # noqa: N803
    """Prediction minus truth over the prediction, of a clone fitted on 80 % of the samples, for both parts."""
    fit_x, judge_x, fit_y, judge_y = train_test_split(X, y, test_size=0.2, random_state=0)
    model = clone(regressor).fit(fit_x, fit_y)
    scores = [float(model.score(fit_x, fit_y)), float(model.score(judge_x, judge_y))]
    rows = []
    for dataset, samples, truth in (("train", fit_x, fit_y), ("test", judge_x, judge_y)):
        predicted = np.asarray(model.predict(samples)).ravel()
        off = predicted - np.asarray(truth).ravel()
        rows += [[dataset, one, by, *scores] for one, by in zip(predicted, off, strict=True)]
    columns = ["dataset", "y_pred", "residuals", "train_score", "test_score"]
    return log_chart("residuals", chart_of("wandb/residuals_plot/v1", columns, rows, "Residuals"))


def plot_outlier_candidates(regressor: Any, X: Any, y: Any) -> Chart:  # noqa: N803
    """Cook's distance of each sample: how far the fit would move without it. Above 4/n a sample may be an outlier.

    Source: Cook 1977, "Detection of Influential Observation in Linear Regression".
    """
    samples, truth = np.asarray(X, float), np.asarray(y, float).ravel()
    count, width = samples.shape
    leverage = np.clip((samples * np.linalg.pinv(samples).T).sum(axis=1), 0, 1 - 1e-12)
    off = truth - np.asarray(clone(regressor).fit(X, y).predict(X)).ravel()
    variance = off @ off / max(1, count - int(np.linalg.matrix_rank(samples)))
    distances = off**2 / (variance * width or 1.0) * leverage / (1 - leverage) ** 2
    threshold = 4 / count
    share = 100.0 * float((distances >= threshold).mean())
    rows = [[distance, place, share, threshold] for place, distance in enumerate(distances)]
    columns = ["distance", "instance_indicies", "outlier_percentage", "influence_threshold"]  # W&B's spelling
    return log_chart("outlier_candidates", chart_of("wandb/outliers/v1", columns, rows, "Outlier Candidates"))
