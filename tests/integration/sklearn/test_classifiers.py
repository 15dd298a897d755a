"""Charts of classifiers agree with scikit-learn, and are logged under W&B's names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression, RidgeClassifier

import besom
from besom.errors import UsageError
from besom.integration import sklearn as charts
from besom.tracking.media.plot import Chart
from tests.tracking.desk import Desk

X, Y = make_classification(200, 5, n_informative=3, n_classes=2, random_state=0)
MODEL = LogisticRegression().fit(X[:150], Y[:150])
PREDICTED, PROBAS = MODEL.predict(X[150:]), MODEL.predict_proba(X[150:])
NAMES = ["no", "yes"]


def cells(chart: Chart, *columns: str) -> list[Any]:
    return list(zip(*(chart.table.get_column(name) for name in columns), strict=True))


def test_the_bundle(run: besom.Run, desk: Desk) -> None:
    """Every chart that fits a classifier of two classes is logged, each under its name."""
    charts.plot_classifier(
        MODEL, X[:150], X[150:], Y[:150], Y[150:], PREDICTED, PROBAS, NAMES, log_learning_curve=True
    )  # fmt: skip
    run.finish()
    rows = desk.rows(run.id)
    logged = {key: value for row in rows for key, value in row.items() if key != "_step"}
    assert list(logged) == [
        "feature_importances", "learning_curve", "confusion_matrix", "summary_metrics", "class_proportions",
        "calibration_curve", "roc", "precision_recall",
    ]  # fmt: skip
    assert {chart["_type"] for chart in logged.values()} == {"custom-chart"}


@pytest.mark.usefixtures("run")
def test_confusion_is_scikit_learns() -> None:
    """Counts, and shares of each true class, by name."""
    counts = metrics.confusion_matrix(Y[150:], PREDICTED)
    chart = charts.plot_confusion_matrix(Y[150:], PREDICTED, NAMES)
    assert cells(chart, "Actual", "Predicted", "nPredictions") == [
        (NAMES[i], NAMES[j], counts[i, j]) for i in range(2) for j in range(2)
    ]
    shares = charts.plot_confusion_matrix(Y[150:], PREDICTED, NAMES, true_labels=["yes"], normalize=True)
    assert cells(shares, "Actual", "Predicted", "nPredictions") == [
        ("yes", name, pytest.approx(counts[1, j] / counts[1].sum())) for j, name in enumerate(NAMES)
    ]


@pytest.mark.usefixtures("run")
def test_confusion_of_named_classes() -> None:
    """Classes may be texts, and then need no labels."""
    chart = charts.plot_confusion_matrix(["b", "a", "b"], ["b", "b", "b"], pred_labels=["b"])
    assert cells(chart, "Actual", "Predicted", "nPredictions") == [("a", "b", 1), ("b", "b", 2)]


@pytest.mark.usefixtures("run")
def test_class_proportions_count() -> None:
    """Each class once for each set; a class that a set lacks has 0."""
    chart = charts.plot_class_proportions([0, 0, 1], [2], labels=["a", "b", "c"])
    assert cells(chart, "class", "dataset", "count") == [
        ("a", "train", 2), ("a", "test", 0), ("b", "train", 1), ("b", "test", 0), ("c", "train", 0), ("c", "test", 1),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="labels has 2 names, and class 2 none"):
        charts.plot_class_proportions([0, 2], labels=["a", "b"])


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("model", [LogisticRegression(), RidgeClassifier()], ids=["probabilities", "decisions"])
def test_calibration(model: Any) -> None:
    """Four models and the diagonal, all within [0, 1]; the model that was given stays as it was."""
    chart = charts.plot_calibration_curve(model, X, Y, "Mine")
    names = list(dict.fromkeys(chart.table.get_column("model")))
    assert names == ["Perfectly calibrated", "Logistic", "Mine", "Mine Isotonic", "Mine Sigmoid"]
    points = np.array(cells(chart, "fraction_of_positives", "mean_predicted_value"), float)
    assert ((points >= 0) & (points <= 1)).all()
    assert not hasattr(model, "coef_")


@pytest.mark.usefixtures("run")
def test_calibration_needs_two_classes() -> None:
    """Three classes have no positive one, and the error counts them."""
    with pytest.raises(UsageError, match="takes two classes, and y has 3"):
        charts.plot_calibration_curve(LogisticRegression(), X, np.arange(200) % 3)


@pytest.mark.usefixtures("run")
def test_curves_are_those_of_plot() -> None:
    """ROC and precision over recall are besom.plot's, with names and chosen classes."""
    roc = charts.plot_roc(Y[150:], PROBAS, NAMES, classes_to_plot=[1])
    assert set(roc.table.get_column("class")) == {"yes"}
    wanted = besom.plot.pr_curve(Y[150:], PROBAS, NAMES)
    assert charts.plot_precision_recall(Y[150:], PROBAS, NAMES).table.data == wanted.table.data


def test_without_a_run() -> None:
    """The error names the call."""
    with pytest.raises(UsageError, match=r"before sklearn\.plot_confusion_matrix\(\)"):
        charts.plot_confusion_matrix([0, 1], [0, 1])
