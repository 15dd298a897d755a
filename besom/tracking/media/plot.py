"""Charts of a table: `besom.plot.line(...)` and its like; what W&B calls custom charts.

Each is a table, the name of a chart specification as W&B names it, and which column plays which part. What is drawn is
computed here, by numpy; how it is drawn is the reader's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from besom.tracking.media.arrays import as_array
from besom.tracking.media.media import Keeper, Media
from besom.tracking.media.table import Table

__all__ = [
    "Chart",
    "bar",
    "confusion_matrix",
    "histogram",
    "line",
    "line_series",
    "plot_table",
    "pr_curve",
    "roc_curve",
    "scatter",
    "thinned",
]

_POINTS: Final = 10_000
"""Rows of a chart's table that is computed here."""

_Array = np.ndarray[Any, Any]


class Chart(Media):
    """A table and how to draw it.

    Args:
        spec: Name of the specification, such as "wandb/line/v0".
        table: What is drawn.
        fields: Part in the specification to column of the table.
        strings: Titles and the like.

    Raises:
        ValueError: a field names no column.
    """

    def __init__(self, spec: str, table: Table, fields: Mapping[str, str], strings: Mapping[str, Any]) -> None:
        if not isinstance(table, Table):
            raise TypeError(f"a chart is made of a Table, not {type(table).__name__}")
        for part, column in fields.items():
            if column not in table.columns:
                raise ValueError(f"the table has no column {column!r} for {part!r}; there are {table.columns}")
        self.spec, self.table = spec, table
        self.fields = dict(fields)
        self.strings = {name: str(text) for name, text in strings.items() if text is not None}

    def to_logged(self, run: Keeper, key: str, step: int) -> dict[str, Any]:
        """Keep the table; the chart's JSON."""
        table = self.table.to_logged(run, f"{key}_table", step)
        told = {"fields": self.fields, "strings": self.strings, "table": table}
        return {"_type": "custom-chart", "spec": self.spec, **told}


def plot_table(
    vega_spec_name: str,
    data_table: Table,
    fields: Mapping[str, str],
    string_fields: Mapping[str, Any] | None = None,
    split_table: bool = False,
) -> Chart:
    """A chart by the name of its specification; `split_table` is taken and changes nothing."""
    return Chart(vega_spec_name, data_table, fields, string_fields or {})


def line(table: Table, x: str, y: str, stroke: str | None = None, title: str = "", split_table: bool = False) -> Chart:
    """Column `y` over column `x`, a line for each value of column `stroke`."""
    return Chart("wandb/line/v0", table, _given(x=x, y=y, stroke=stroke), {"title": title})


def scatter(table: Table, x: str, y: str, title: str = "", split_table: bool = False) -> Chart:
    """A point for each row."""
    return Chart("wandb/scatter/v0", table, _given(x=x, y=y), {"title": title})


def bar(table: Table, label: str, value: str, title: str = "", split_table: bool = False) -> Chart:
    """A bar for each row."""
    return Chart("wandb/bar/v0", table, _given(label=label, value=value), {"title": title})


def histogram(table: Table, value: str, title: str = "", split_table: bool = False) -> Chart:
    """How a column's values are spread."""
    return Chart("wandb/histogram/v0", table, _given(value=value), {"title": title})


def line_series(
    xs: Iterable[Any],
    ys: Iterable[Iterable[Any]],
    keys: Iterable[str] | None = None,
    title: str = "",
    xname: str = "x",
    split_table: bool = False,
) -> Chart:
    """Several lines.

    Args:
        xs: Places that all lines share, or a list of them for each line.
        ys: Values of each line.
        keys: Names of the lines; the default is line_0, line_1 …
        title: Above it.
        xname: Name of the x axis.
        split_table: Taken, and changes nothing.

    Raises:
        TypeError: `xs` or `ys` is no sequence.
        ValueError: lengths that do not fit.
    """
    if not isinstance(xs, Iterable) or not isinstance(ys, Iterable):
        raise TypeError("xs and ys are sequences of numbers, ys one for each line")
    lines = [list(one) for one in ys]
    places = list(xs)
    shared = not (places and isinstance(places[0], Iterable) and not isinstance(places[0], str))
    all_places = [places] * len(lines) if shared else [list(one) for one in places]
    names = [f"line_{place}" for place in range(len(lines))] if keys is None else list(keys)
    if len(all_places) != len(lines) or len(names) != len(lines):
        raise ValueError(f"{len(lines)} lines have {len(all_places)} lists of places and {len(names)} names")
    for name, one, other in zip(names, all_places, lines, strict=True):
        if len(one) != len(other):
            raise ValueError(f"line {name!r} has {len(one)} places and {len(other)} values")
    rows = [
        [place, name, value]
        for name, one, other in zip(names, all_places, lines, strict=True)
        for place, value in zip(one, other, strict=True)
    ]
    table = Table(columns=["step", "lineKey", "lineVal"], data=rows)
    fields = {"step": "step", "lineKey": "lineKey", "lineVal": "lineVal"}
    return Chart("wandb/lineseries/v0", table, fields, {"title": title, "xname": xname})


def confusion_matrix(
    probs: Any = None,
    y_true: Any = None,
    preds: Any = None,
    class_names: Sequence[str] | None = None,
    title: str = "",
    split_table: bool = False,
) -> Chart:
    """How often each class was taken for each other.

    Args:
        probs: Scores of shape (samples, classes); the largest is the prediction.
        y_true: Number of each sample's class, or its name when `class_names` is given.
        preds: The same of the predictions, instead of `probs`.
        class_names: Names by number; the default is Class_1, Class_2 …
        title: Above it; the default is "Confusion Matrix".
        split_table: Taken, and changes nothing.

    Raises:
        ValueError: both or none of `probs` and `preds`, other lengths, or a class that has no name.
    """
    if (probs is None) == (preds is None):
        raise ValueError("confusion_matrix takes probs or preds, one of them")
    if y_true is None:
        raise ValueError("confusion_matrix needs y_true")
    guesses = _scores(probs).argmax(axis=1) if preds is None else as_array(preds).ravel()
    truth = as_array(y_true).ravel()
    if len(truth) != len(guesses):
        raise ValueError(f"{len(truth)} samples in y_true have {len(guesses)} predictions")
    names = None if class_names is None else [str(name) for name in class_names]
    actual, predicted = _numbered(truth, names), _numbered(guesses, names)
    if names is None:
        count = max(int(max(actual.max(initial=-1), predicted.max(initial=-1))) + 1, _width(probs))
        names = [f"Class_{number + 1}" for number in range(count)]
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (actual, predicted), 1)
    rows = [[names[i], names[j], int(counts[i, j])] for i in range(len(names)) for j in range(len(names))]
    columns = ["Actual", "Predicted", "nPredictions"]
    fields = {name: name for name in columns}
    return Chart("wandb/confusion_matrix/v1", Table(columns, rows), fields, {"title": title or "Confusion Matrix"})


def roc_curve(
    y_true: Any,
    y_probas: Any,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    title: str | None = None,
    split_table: bool = False,
) -> Chart:
    """True positives over false positives, each class against the rest.

    Args:
        y_true: Class of each sample.
        y_probas: Scores of shape (samples, classes), in the order of the sorted classes.
        labels: Names of the classes in that order.
        classes_to_plot: Only these.
        title: The default is "ROC Curve".
        split_table: Taken, and changes nothing.

    Raises:
        ValueError: shapes that do not fit.
    """
    rows: list[list[Any]] = []
    for name, positive, scores in _one_against_rest(y_true, y_probas, labels, classes_to_plot):
        true, false = _sweep_threshold(positive, scores)
        hits = np.append(0, true) / max(1, int(positive.sum()))
        alarms = np.append(0, false) / max(1, int((~positive).sum()))
        rows += [[name, alarm, hit] for alarm, hit in zip(alarms.tolist(), hits.tolist(), strict=True)]
    table = Table(["class", "fpr", "tpr"], thinned(rows))
    strings = {
        "title": title or "ROC Curve", "x-axis-title": "False positive rate", "y-axis-title": "True positive rate",
    }  # fmt: skip
    return Chart("wandb/area-under-curve/v0", table, {"x": "fpr", "y": "tpr", "class": "class"}, strings)


def pr_curve(
    y_true: Any,
    y_probas: Any,
    labels: Sequence[str] | None = None,
    classes_to_plot: Sequence[Any] | None = None,
    interp_size: int = 21,
    title: str | None = None,
    split_table: bool = False,
) -> Chart:
    """Precision over recall, each class against the rest, at `interp_size` even recalls.

    Precision at a recall is the best at that recall or above (Manning, Raghavan and Schütze 2008, section 8.4).

    Args:
        y_true: Class of each sample.
        y_probas: Scores of shape (samples, classes), in the order of the sorted classes.
        labels: Names of the classes in that order.
        classes_to_plot: Only these.
        interp_size: How many recalls from 0 to 1.
        title: The default is "Precision-Recall Curve".
        split_table: Taken, and changes nothing.

    Raises:
        ValueError: shapes that do not fit.
    """
    grid = np.linspace(0, 1, interp_size)
    rows: list[list[Any]] = []
    for name, positive, scores in _one_against_rest(y_true, y_probas, labels, classes_to_plot):
        true, false = _sweep_threshold(positive, scores)
        precision = true / np.maximum(1, true + false)
        recall = true / max(1, int(positive.sum()))
        best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
        at = best[np.searchsorted(recall, grid - 1e-12)]
        rows += [[name, one, other] for one, other in zip(at.tolist(), grid.tolist(), strict=True)]
    table = Table(["class", "precision", "recall"], thinned(rows))
    strings = {
        "title": title or "Precision-Recall Curve", "x-axis-title": "Recall", "y-axis-title": "Precision",
    }  # fmt: skip
    return Chart("wandb/area-under-curve/v0", table, {"x": "recall", "y": "precision", "class": "class"}, strings)


# ---- inside


def _given(**columns: str | None) -> dict[str, str]:
    return {part: column for part, column in columns.items() if column is not None}


def _scores(said: Any) -> _Array:
    scores = as_array(said)
    if scores.ndim != 2:
        raise ValueError(f"scores have shape (samples, classes), not {list(scores.shape)}")
    return scores


def _width(probs: Any) -> int:
    return 0 if probs is None else _scores(probs).shape[1]


def _numbered(classes: _Array, names: list[str] | None) -> _Array:
    """Class numbers of numbers or names."""
    if names is not None and classes.dtype.kind in "UO":
        unknown = sorted({str(name) for name in classes} - set(names))
        if unknown:
            raise ValueError(f"class_names has no {unknown[0]!r}; there are {names}")
        return np.array([names.index(str(name)) for name in classes], np.int64)
    if classes.dtype.kind not in "iub" or (classes.size and classes.min() < 0):
        raise ValueError("classes are whole numbers from 0, or names that class_names has")
    if names is not None and classes.size and classes.max() >= len(names):
        raise ValueError(f"class {classes.max()} has no name; class_names has {len(names)}")
    return classes.astype(np.int64)


def _one_against_rest(
    y_true: Any, y_probas: Any, labels: Sequence[str] | None, chosen: Sequence[Any] | None
) -> list[tuple[str, _Array, _Array]]:
    """Name, which samples are of it, and their scores, for each class."""
    truth, scores = as_array(y_true).ravel(), _scores(y_probas)
    classes = np.unique(truth)
    if len(truth) != len(scores):
        raise ValueError(f"{len(truth)} samples in y_true have {len(scores)} rows in y_probas")
    if len(classes) > scores.shape[1]:
        raise ValueError(f"y_true has {len(classes)} classes, y_probas {scores.shape[1]} columns")
    wanted = [place for place, one in enumerate(classes) if chosen is None or one in list(chosen)]
    names = [str(one) for one in classes.tolist()] if labels is None else [str(label) for label in labels]
    if len(names) < len(classes):
        raise ValueError(f"labels has {len(names)} names for {len(classes)} classes")
    return [(names[place], truth == classes[place], scores[:, place]) for place in wanted]


def _sweep_threshold(positive: _Array, scores: _Array) -> tuple[_Array, _Array]:
    """True and false positives at each score from the highest down."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_equals = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1) if len(ranked) else np.array([], int)
    true = np.cumsum(positive[order])[last_of_equals]
    return true, last_of_equals + 1 - true


def thinned(rows: list[list[Any]]) -> list[list[Any]]:
    """At most `_POINTS` of them, evenly chosen, first and last among them."""
    if len(rows) <= _POINTS:
        return rows
    return [rows[place] for place in np.linspace(0, len(rows) - 1, _POINTS).round().astype(int)]
