"""Charts: their tables agree with scikit-learn, their JSON names columns that exist."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.folder import Folder
from besom.tracking.media import plot
from besom.tracking.media.plot import Chart
from besom.tracking.media.recognise import as_media
from besom.tracking.media.table import Table

RANDOM = np.random.default_rng(1)
TRUTH = RANDOM.integers(0, 3, 300)
PROBS = RANDOM.dirichlet([1, 1, 1], 300)
PROBS[np.arange(300), TRUTH] += 0.3
TIED = PROBS.round(1)
TABLE = Table(columns=["a", "b", "c"], data=[[1, 2.0, "x"], [3, 4.0, "y"]])


def of_class(chart: Chart, name: str) -> np.ndarray[Any, Any]:
    return np.array([row[1:] for row in chart.table.data if row[0] == name], float)


@pytest.mark.parametrize("scores", [PROBS, TIED], ids=["distinct", "ties"])
def test_roc_is_scikit_learns(scores: np.ndarray[Any, Any]) -> None:
    """Each point of the curve, and so the area, is scikit-learn's, also where scores are equal."""
    chart = plot.roc_curve(TRUTH, scores)
    for number in range(3):
        alarms, hits, _ = metrics.roc_curve(number == TRUTH, scores[:, number], drop_intermediate=False)
        np.testing.assert_allclose(of_class(chart, str(number)), np.column_stack([alarms, hits]))


@pytest.mark.parametrize("scores", [PROBS, TIED], ids=["distinct", "ties"])
def test_pr_is_scikit_learns(scores: np.ndarray[Any, Any]) -> None:
    """Precision at each of the recalls is the best that scikit-learn's curve has there or above."""
    chart = plot.pr_curve(TRUTH, scores, labels=["a", "b", "c"], interp_size=11)
    for number, name in enumerate("abc"):
        precision, recall, _ = metrics.precision_recall_curve(number == TRUTH, scores[:, number])
        wanted = [precision[:-1][recall[:-1] >= level - 1e-12].max() for level in np.linspace(0, 1, 11)]
        np.testing.assert_allclose(of_class(chart, name)[:, 0], wanted)


@pytest.mark.parametrize("how", ["probs", "preds", "names"])
def test_confusion_is_scikit_learns(how: str) -> None:
    """From scores, from predictions and from names the counts are scikit-learn's."""
    guesses, names = PROBS.argmax(axis=1), ["cat", "dog", "owl"]
    options: dict[str, Any] = {
        "probs": {"probs": PROBS, "y_true": TRUTH},
        "preds": {"preds": guesses.tolist(), "y_true": TRUTH.tolist()},
        "names": {"preds": np.array(names)[guesses], "y_true": np.array(names)[TRUTH], "class_names": names},
    }[how]
    chart = plot.confusion_matrix(**options)
    counts = np.array([row[2] for row in chart.table.data]).reshape(3, 3)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(TRUTH, guesses))
    shown = names if how == "names" else ["Class_1", "Class_2", "Class_3"]
    assert [row[0] for row in chart.table.data][::3] == shown


def test_classes_can_be_chosen() -> None:
    """Only the classes asked for are drawn."""
    assert {row[0] for row in plot.roc_curve(TRUTH, PROBS, classes_to_plot=[1]).table.data} == {"1"}


def test_a_class_that_is_never_true() -> None:
    """Binary scores with one class present do not divide by zero."""
    chart = plot.roc_curve([0, 0], [[0.1, 0.9], [0.2, 0.8]])
    assert of_class(chart, "0").tolist() == [[0, 0], [0, 0.5], [0, 1]]


def test_long_curves_are_thinned() -> None:
    """At most 10 000 rows, from corner to corner."""
    truth = np.arange(30_000) % 2
    scores = np.random.default_rng(0).random(30_000)
    rows = plot.roc_curve(truth, np.column_stack([1 - scores, scores])).table.data
    assert len(rows) == 10_000
    assert (rows[0][1:], rows[-1][1:]) == ([0, 0], [1, 1])


@pytest.mark.parametrize("xs", [[0, 1], [[0, 1], [0, 1]]])
def test_line_series(xs: Any) -> None:
    """A row for each point, with shared places or those of each line."""
    chart = plot.line_series(xs, [[1, 2], [3, 4]], keys=["u", "v"], title="t", xname="epoch")
    assert chart.table.data == [[0, "u", 1], [1, "u", 2], [0, "v", 3], [1, "v", 4]]
    assert chart.strings == {"title": "t", "xname": "epoch"}


@pytest.mark.parametrize(
    ("chart", "spec", "fields"),
    [
        (plot.line(TABLE, "a", "b", title="t"), "wandb/line/v0", {"x": "a", "y": "b"}),
        (plot.line(TABLE, "a", "b", stroke="c", title="t"), "wandb/line/v0", {"x": "a", "y": "b", "stroke": "c"}),
        (plot.scatter(TABLE, "a", "b", title="t"), "wandb/scatter/v0", {"x": "a", "y": "b"}),
        (plot.bar(TABLE, "c", "b", title="t"), "wandb/bar/v0", {"label": "c", "value": "b"}),
        (plot.histogram(TABLE, "a", title="t"), "wandb/histogram/v0", {"value": "a"}),
        (plot.plot_table("me/mine", TABLE, {"q": "a"}, {"title": "t"}), "me/mine", {"q": "a"}),
    ],
)
def test_their_json(chart: Chart, spec: str, fields: dict[str, str], tmp_path: Path) -> None:
    """A logged chart names its specification, fields and texts, and its table is kept as a table is."""

    class Shelf:
        blobs = Blobs(Folder(tmp_path))

    assert as_media(chart) is chart
    told = chart.to_logged(Shelf(), "k", 2)
    table = told.pop("table")
    assert told == {"_type": "custom-chart", "spec": spec, "fields": fields, "strings": {"title": "t"}}
    assert table["path"].startswith("media/table/k_table_2_")
    assert json.loads(Shelf.blobs.read(table["sha256"])) == {"columns": TABLE.columns, "data": TABLE.data}


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: plot.line(TABLE, "nope", "b"), ValueError),
        (lambda: plot.line([[1, 2]], "a", "b"), TypeError),  # type: ignore[arg-type]
        (lambda: plot.confusion_matrix(y_true=[1]), ValueError),
        (lambda: plot.confusion_matrix(probs=PROBS, preds=[1], y_true=[1]), ValueError),
        (lambda: plot.confusion_matrix(preds=[1]), ValueError),
        (lambda: plot.confusion_matrix(preds=[1, 2], y_true=[1]), ValueError),
        (lambda: plot.confusion_matrix(preds=[5], y_true=[1], class_names=["a", "b"]), ValueError),
        (lambda: plot.confusion_matrix(preds=["x"], y_true=["a"], class_names=["a", "b"]), ValueError),
        (lambda: plot.confusion_matrix(preds=[0.5], y_true=[1]), ValueError),
        (lambda: plot.roc_curve([0, 1], [0.5, 0.5]), ValueError),
        (lambda: plot.roc_curve([0, 1, 0], [[0.5, 0.5]]), ValueError),
        (lambda: plot.roc_curve([0, 1, 2], [[0.5, 0.5]] * 3), ValueError),
        (lambda: plot.pr_curve([0, 1], [[0.5, 0.5]] * 2, labels=["a"]), ValueError),
        (lambda: plot.line_series(5, [[1]]), TypeError),  # type: ignore[arg-type]
        (lambda: plot.line_series([1, 2], [[1]]), ValueError),
        (lambda: plot.line_series([1], [[1]], keys=["a", "b"]), ValueError),
    ],
)
def test_misuse(make: Callable[[], Chart], error: type[Exception]) -> None:
    """Columns that are not there and shapes that do not fit are refused where they are written."""
    with pytest.raises(error):
        make()
