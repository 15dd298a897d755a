"""Charts of regressors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

import besom
from besom.integration import sklearn as charts
from tests.tracking.desk import Desk

RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(60, 3))
Y = X @ [1.0, -2.0, 0.5] + RANDOM.normal(scale=0.1, size=60)


def test_the_bundle(run: besom.Run, desk: Desk) -> None:
    """Every chart that fits a regressor is logged."""
    model = LinearRegression().fit(X[:40], Y[:40])
    charts.plot_regressor(model, X[:40], X[40:], Y[:40], Y[40:])
    run.finish()
    logged = [key for row in desk.rows(run.id) for key in row if key != "_step"]
    assert logged == ["summary_metrics", "learning_curve", "outlier_candidates", "residuals"]


@pytest.mark.usefixtures("run")
def test_residuals() -> None:
    """Each sample once, 48 to fit and 12 to judge; the model that was given stays as it was."""
    model = LinearRegression()
    chart = charts.plot_residuals(model, X, Y)
    datasets = chart.table.get_column("dataset")
    assert (datasets.count("train"), datasets.count("test")) == (48, 12)
    truth = np.subtract(chart.table.get_column("y_pred"), chart.table.get_column("residuals"))
    np.testing.assert_allclose(np.sort(truth), np.sort(Y))
    assert not hasattr(model, "coef_")


@pytest.mark.usefixtures("run")
def test_cooks_distance_is_leaving_one_out() -> None:
    """The distance of a sample is how far all predictions move when the model is fitted without it."""
    moved = Y.copy()
    moved[7] += 5
    model = LinearRegression(fit_intercept=False)
    chart = charts.plot_outlier_candidates(model, X, moved)
    whole = LinearRegression(fit_intercept=False).fit(X, moved).predict(X)
    variance = ((moved - whole) ** 2).sum() / (60 - 3)
    for place in (0, 7, 31):
        rest = np.delete(np.arange(60), place)
        without = LinearRegression(fit_intercept=False).fit(X[rest], moved[rest]).predict(X)
        wanted = ((whole - without) ** 2).sum() / (3 * variance)
        assert chart.table.data[place][0] == pytest.approx(wanted)
    distances = chart.table.get_column("distance")
    assert distances.index(max(distances)) == 7
    assert chart.table.data[0][2] == pytest.approx(100 * np.mean(np.array(distances) >= 4 / 60))
