"""Charts of any model."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.neighbors import KNeighborsClassifier

from besom.errors import UsageError
from besom.integration import sklearn as charts

pytestmark = pytest.mark.usefixtures("run")

IRIS = load_iris()
X, Y = IRIS.data, IRIS.target
NUMBERS = load_diabetes()


def test_scores_of_a_classifier() -> None:
    """They are scikit-learn's, precision, recall and F1 weighted by class."""
    model = KNeighborsClassifier(50).fit(X, Y)
    chart = charts.plot_summary_metrics(model, X, Y, X, Y)
    told = model.predict(X)
    assert dict(row[:2] for row in chart.table.data) == pytest.approx({
        "accuracy_score": metrics.accuracy_score(Y, told),
        "precision": metrics.precision_score(Y, told, average="weighted"),
        "recall": metrics.recall_score(Y, told, average="weighted"),
        "f1_score": metrics.f1_score(Y, told, average="weighted"),
    })  # fmt: skip
    assert set(chart.table.get_column("model_name")) == {"KNeighborsClassifier"}


def test_scores_of_a_regressor() -> None:
    """MAE, MSE and R²."""
    model = LinearRegression().fit(NUMBERS.data, NUMBERS.target)
    chart = charts.plot_summary_metrics(model, X_test=NUMBERS.data, y_test=NUMBERS.target)
    off = NUMBERS.target - model.predict(NUMBERS.data)
    assert [row[1] for row in chart.table.data] == pytest.approx([
        np.abs(off).mean(), (off**2).mean(), 1 - (off**2).mean() / NUMBERS.target.var(),
    ])  # fmt: skip


def test_scores_of_neither() -> None:
    """A clusterer has no such scores, and the error names it."""
    with pytest.raises(UsageError, match="a classifier or a regressor, not KMeans"):
        charts.plot_summary_metrics(KMeans(2, n_init=1).fit(X), X_test=X, y_test=Y)


def test_importances_of_trees() -> None:
    """The most important feature comes first, under its name, and no more than asked for."""
    model = RandomForestClassifier(10, random_state=0).fit(X, Y)
    chart = charts.plot_feature_importances(model, IRIS.feature_names, max_num_features=2)
    order = np.argsort(model.feature_importances_)[::-1][:2]
    assert chart.table.get_column("feature_names") == [IRIS.feature_names[place] for place in order]
    assert chart.table.get_column("importances") == pytest.approx(model.feature_importances_[order].tolist())


def test_importances_of_coefficients() -> None:
    """Of three classes' coefficients the mean size counts; of one row the signs stay."""
    three = LogisticRegression(max_iter=1000).fit(X, Y)
    values = charts.plot_feature_importances(three).table.get_column("importances")
    assert values == pytest.approx(sorted(np.abs(three.coef_).mean(axis=0), reverse=True))
    two = LogisticRegression(max_iter=1000).fit(X, Y == 0)
    values = charts.plot_feature_importances(two).table.get_column("importances")
    assert values == pytest.approx(two.coef_[0][np.argsort(-np.abs(two.coef_[0]))].tolist())


def test_a_model_without_importances() -> None:
    """The error says what it lacks."""
    with pytest.raises(UsageError, match="a KNeighborsClassifier has none of feature_importances_"):
        charts.plot_feature_importances(KNeighborsClassifier().fit(X, Y))


def test_learning_curve() -> None:
    """At the full size it ends where scikit-learn's cross-validation is."""
    model = LogisticRegression(max_iter=1000)
    chart = charts.plot_learning_curve(model, X, Y, cv=3, train_sizes=[0.5, 1.0], shuffle=True, random_state=0)
    sizes, scores = chart.table.get_column("train_size"), chart.table.get_column("score")
    assert sizes == [50, 50, 100, 100]
    checked = cross_validate(model, X, Y, cv=3)["test_score"].mean()
    assert scores[-1] == pytest.approx(checked)
