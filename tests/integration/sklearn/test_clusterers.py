"""Charts of clusterings."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import silhouette_score

import besom
from besom.integration import sklearn as charts
from tests.tracking.desk import Desk

X, _ = make_blobs(90, centers=[[0, 0], [5, 5], [0, 8]], cluster_std=0.4, random_state=0)


def test_the_bundle_of_k_means(run: besom.Run, desk: Desk) -> None:
    """Elbow curve and silhouette, with the centers."""
    model = KMeans(3, n_init=1, random_state=0).fit(X)
    charts.plot_clusterer(model, X, model.labels_, ["a", "b", "c"])
    run.finish()
    assert [key for row in desk.rows(run.id) for key in row if key != "_step"] == ["elbow_curve", "silhouette_plot"]


@pytest.mark.usefixtures("run")
def test_the_error_falls_with_more_clusters() -> None:
    """KMeans' inertia, most of it gone with three clusters where there are three."""
    chart = charts.plot_elbow_curve(KMeans(2, n_init=3, random_state=0), X, cluster_ranges=[4, 1, 3])
    assert chart.table.get_column("cluster_ranges") == [1, 3, 4]
    errors = chart.table.get_column("errors")
    assert errors[0] == pytest.approx(((X - X.mean(axis=0)) ** 2).sum())
    assert errors[1] < 0.05 * errors[0]
    assert min(chart.table.get_column("clustering_time")) > 0


@pytest.mark.usefixtures("run")
def test_silhouette_is_scikit_learns() -> None:
    """Each sample once, cluster by cluster and rising; the mean is scikit-learn's score."""
    members = DBSCAN(eps=1.0).fit_predict(X)
    chart = charts.plot_silhouette(None, X, members, kmeans=False)
    assert len(chart.table.data) == 90
    assert chart.table.data[0][-1] == pytest.approx(silhouette_score(X, members))
    values, clusters = chart.table.get_column("x2"), chart.table.get_column("color_sil")
    assert clusters == sorted(clusters)
    pairs = [place for place in range(89) if clusters[place] == clusters[place + 1]]
    assert all(values[place + 1] >= values[place] for place in pairs)
    assert np.mean(values) == pytest.approx(chart.table.data[0][-1])
    assert set(chart.table.get_column("centerx")) == {None}
