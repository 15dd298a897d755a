"""Charts of classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import metrics
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import unique_labels

from besom.errors import UsageError
from besom.integration.sklearn.charts import chart_of, class_names, log_chart
from besom.integration.sklearn.estimators import (
    importances_of,
    plot_feature_importances,
    plot_learning_curve,
    plot_summary_metrics,
)
from besom.tracking.media.plot import Chart, pr_curve, roc_curve

__all__ = [
    "plot_calibration_curve",
    "plot_class_proportions",
    "plot_classifier",
    "plot_confusion_matrix",
    "plot_precision_recall",
    "plot_roc",
]


def plot_classifier(
    model: Any,
    X_train: Any,  # noqa: N803
    X_test: Any,  # noqa: N803
    y_train: Any,
    y_test: Any,
    y_pred: Any,
    y_probas: Any,
    labels: Sequence[Any] | None = None,
    is_binary: bool = False,
    model_name: str = "Classifier",
    feature_names: Sequence[Any] | None = None,
    log_learning_curve: bool = False,
) -> None:
    """Every chart that fits a fitted classifier.

    Args:
        model: The classifier.
        X_train: Features it was trained with.
        X_test: Features of the test set.
        y_train: Classes it was trained with.
        y_test: Classes of the test set.
        y_pred: Its predictions for the test set.
        y_probas: Its scores for the test set, shape (samples, classes).
        labels: Names of the classes.
        is_binary: Taken, and changes nothing: what has two classes gets a calibration curve.
        model_name: Name in the calibration curve.
        feature_names: Names of the features.
        log_learning_curve: Also train it on parts of the training set.
    """
    if importances_of(model) is not None:
        plot_feature_importances(model, feature_names)
    if log_learning_curve:
        plot_learning_curve(model, X_train, y_train)
    plot_confusion_matrix(y_test, y_pred, labels)
    plot_summary_metrics(model, X_train, y_train, X_test, y_test)
    plot_class_proportions(y_train, y_test, labels)
    if len(unique_labels(y_train)) == 2:
        plot_calibration_curve(model, X_train, y_train, model_name)
    plot_roc(y_test, y_probas, labels)
    plot_precision_recall(y_test, y_probas, labels)


def plot_roc(
    y_true: Any,
    y_probas: Any,
    labels: Sequence[Any] | None = None,
    plot_micro: bool = True,
    plot_macro: bool = True,
    classes_to_plot: Sequence[Any] | None = None,
) -> Chart:
    """True positives over false positives, as `besom.plot.roc_curve`; `plot_micro` and `plot_macro` change nothing."""
    return log_chart("roc", roc_curve(y_true, y_probas, labels, classes_to_plot))


def plot_precision_recall(
    y_true: Any,
    y_probas: Any,
    labels: Sequence[Any] | None = None,
    plot_micro: bool = True,
    classes_to_plot: Sequence[Any] | None = None,
) -> Chart:
    """Precision over recall, as `besom.plot.pr_curve`; `plot_micro` changes nothing."""
    return log_chart("precision_recall", pr_curve(y_true, y_probas, labels, classes_to_plot))


def plot_confusion_matrix(
    y_true: Any,
    y_pred: Any,
    labels: Sequence[Any] | None = None,
    true_labels: Sequence[Any] | None = None,
    pred_labels: Sequence[Any] | None = None,
    normalize: bool = False,
) -> Chart:
    """How often each class was taken for each other.

    Args:
        y_true: Class of each sample.
        y_pred: What was predicted.
        labels: Names of the classes.
        true_labels: Only these names among the true ones.
        pred_labels: Only these names among the predicted ones.
        normalize: Shares of each true class instead of counts.
    """
    classes = unique_labels(y_true, y_pred)
    counts = metrics.confusion_matrix(y_true, y_pred, labels=classes, normalize="true" if normalize else None)
    names = class_names(classes, labels)
    rows = [
        [actual, predicted, counts[i, j]]
        for i, actual in enumerate(names)
        if true_labels is None or actual in map(str, true_labels)
        for j, predicted in enumerate(names)
        if pred_labels is None or predicted in map(str, pred_labels)
    ]
    columns = ["Actual", "Predicted", "nPredictions"]
    chart = chart_of("wandb/confusion_matrix/v1", columns, rows, "Confusion Matrix")
    return log_chart("confusion_matrix", chart)


def plot_class_proportions(y_train: Any, y_test: Any = None, labels: Sequence[Any] | None = None) -> Chart:
    """How many samples there are of each class, in the training set and the test set."""
    sets = {"train": np.asarray(y_train)} | ({} if y_test is None else {"test": np.asarray(y_test)})
    classes = unique_labels(*sets.values())
    rows = [
        [name, dataset, int((samples == one).sum())]
        for one, name in zip(classes, class_names(classes, labels), strict=True)
        for dataset, samples in sets.items()
    ]
    chart = chart_of("wandb/class_proportions/v1", ["class", "dataset", "count"], rows, "Class Proportions")
    return log_chart("class_proportions", chart)


def plot_calibration_curve(
    clf: Any,
    X: Any,  # noqa: N803
    y: Any,
    clf_name: str = "Classifier",
) -> Chart:
    """How often what is predicted with probability p is true, beside logistic regression and two calibrations.

    Each model is a clone that is fitted on half of the samples and judged on the others.

    Args:
        clf: A classifier.
        X: Features.
        y: Two classes.
        clf_name: Its name in the chart.

    Raises:
        UsageError: there are not two classes.
    """
    classes = unique_labels(y)
    if len(classes) != 2:
        raise UsageError(f"plot_calibration_curve() takes two classes, and y has {len(classes)}")
    fit_x, judge_x, fit_y, judge_y = train_test_split(X, y, test_size=0.5, random_state=0, stratify=y)
    models = {
        "Logistic": LogisticRegression(),
        clf_name: clone(clf),
        f"{clf_name} Isotonic": CalibratedClassifierCV(clone(clf), cv=2, method="isotonic"),
        f"{clf_name} Sigmoid": CalibratedClassifierCV(clone(clf), cv=2, method="sigmoid"),
    }
    rows: list[list[Any]] = [["Perfectly calibrated", 0.0, 0.0, 0, 0.0], ["Perfectly calibrated", 1.0, 1.0, 0, 0.0]]
    for name, model in models.items():
        positive = _positive(model.fit(fit_x, fit_y), judge_x)
        true, predicted = calibration_curve(judge_y, positive, n_bins=10, pos_label=classes[1])
        counts, edges = np.histogram(positive, bins=10)
        rows += [[name, *row] for row in zip(true, predicted, counts[: len(true)], edges[: len(true)], strict=True)]
    columns = ["model", "fraction_of_positives", "mean_predicted_value", "hist_dict", "edge_dict"]
    return log_chart("calibration_curve", chart_of("wandb/calibration/v1", columns, rows, "Calibration Curve"))


def _positive(model: Any, samples: Any) -> np.ndarray[Any, Any]:
    """Probability of the second class; a decision function is scaled to [0, 1]."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(samples))[:, 1]
    decided: np.ndarray[Any, Any] = np.asarray(model.decision_function(samples), float)
    return np.asarray((decided - decided.min()) / (np.ptp(decided) or 1.0))
