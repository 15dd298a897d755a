"""Charts of clusterings."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import silhouette_samples
from sklearn.utils.parallel import Parallel, delayed

from besom.integration.sklearn.charts import chart_of, class_names, log_chart
from besom.tracking.media.plot import Chart

__all__ = ["plot_clusterer", "plot_elbow_curve", "plot_silhouette"]


def plot_clusterer(
    model: Any,
    X_train: Any,  # noqa: N803
    cluster_labels: Any,
    labels: Sequence[Any] | None = None,
    model_name: str = "Clusterer",
) -> None:
    """Every chart that fits a fitted clusterer; `model_name` is taken and changes nothing.

    Args:
        model: The clusterer.
        X_train: Features of shape (samples, features).
        cluster_labels: Number of each sample's cluster.
        labels: Names of the clusters.
        model_name: As said.
    """
    if hasattr(model, "n_clusters") and hasattr(model, "score"):
        plot_elbow_curve(model, X_train)
    plot_silhouette(model, X_train, cluster_labels, labels, kmeans=hasattr(model, "cluster_centers_"))


def plot_elbow_curve(
    clusterer: Any,
    X: Any,  # noqa: N803
    cluster_ranges: Iterable[int] | None = None,
    n_jobs: int = 1,
    show_cluster_time: bool = True,
) -> Chart:
    """Error and seconds of clones with 1, 3, 5, 7 and 9 clusters; `show_cluster_time` changes nothing.

    Args:
        clusterer: Has `n_clusters` and `score`, as KMeans.
        X: Features.
        cluster_ranges: Other numbers of clusters.
        n_jobs: How many are fitted at once.
        show_cluster_time: As said.
    """
    numbers = sorted(cluster_ranges) if cluster_ranges is not None else list(range(1, 10, 2))
    results = Parallel(n_jobs=n_jobs)(delayed(_scored)(clusterer, X, number) for number in numbers)
    rows = [[number, *result] for number, result in zip(numbers, results, strict=True)]
    chart = chart_of("wandb/elbow/v1", ["cluster_ranges", "errors", "clustering_time"], rows, "Elbow Curve")
    return log_chart("elbow_curve", chart)


def plot_silhouette(
    clusterer: Any,
    X: Any,  # noqa: N803
    cluster_labels: Any,
    labels: Sequence[Any] | None = None,
    metric: str = "euclidean",
    kmeans: bool = True,
) -> Chart:
    """How well each sample lies in its cluster (-1 to 1), cluster by cluster, beside the first two features.

    Args:
        clusterer: With `kmeans`, its `cluster_centers_` are shown.
        X: Features.
        cluster_labels: Number of each sample's cluster.
        labels: Names of the clusters.
        metric: The distance, as scikit-learn's `silhouette_samples` takes it.
        kmeans: Whether there are centers.
    """
    samples, members = np.asarray(X, float), np.asarray(cluster_labels)
    values = silhouette_samples(samples, members, metric=metric)
    order = np.lexsort((values, members))
    clusters = np.unique(members)
    names = dict(zip(clusters.tolist(), class_names(clusters, labels), strict=True))
    centers = np.asarray(clusterer.cluster_centers_)[:, :2].tolist() if kmeans else []
    rows = []
    for height, place in enumerate(order):
        cluster = members[place].item()
        center = centers[cluster] if kmeans else [None, None]
        name = names[cluster]
        rows.append([*samples[place, :2], name, *center, height, 0, values[place], name, values.mean()])
    columns = ["x", "y", "colors", "centerx", "centery", "y_sil", "x1", "x2", "color_sil", "silhouette_avg"]
    return log_chart("silhouette_plot", chart_of("wandb/silhouette_/v1", columns, rows, "Silhouette"))


def _scored(clusterer: Any, samples: Any, number: int) -> tuple[float, float]:
    began = time.perf_counter()
    fitted = clone(clusterer).set_params(n_clusters=number).fit(samples)
    return abs(float(fitted.score(samples))), time.perf_counter() - began
