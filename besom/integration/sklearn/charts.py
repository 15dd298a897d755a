"""How a chart of a model is made and logged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from besom.tracking.media.plot import Chart, thinned
from besom.tracking.media.table import Table
from besom.tracking.run.active import needed_run

__all__ = ["chart_of", "class_names", "log_chart"]


def chart_of(spec: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str) -> Chart:
    """A chart whose columns each play the part of their name; at most 10 000 rows, evenly chosen."""
    plain = [[cell.item() if isinstance(cell, np.generic) else cell for cell in row] for row in rows]
    table = Table(columns=list(columns), data=thinned(plain), allow_mixed_types=True)
    return Chart(spec, table, {name: name for name in columns}, {"title": title})


def log_chart(key: str, chart: Chart) -> Chart:
    """Log it to the active run.

    Raises:
        UsageError: there is none.
    """
    needed_run(f"sklearn.plot_{key}()").log({key: chart})
    return chart


def class_names(classes: Iterable[Any], labels: Sequence[Any] | None) -> list[str]:
    """Names of classes: `labels` by the class' number, or by its place among sorted classes that are no numbers.

    Raises:
        ValueError: a class has no label.
    """
    if labels is None:
        return [str(one) for one in classes]
    given = list(classes)
    numbers = [int(one) if isinstance(one, int | np.integer) else place for place, one in enumerate(given)]
    if numbers and max(numbers) >= len(labels):
        raise ValueError(f"labels has {len(labels)} names, and class {given[numbers.index(max(numbers))]} none")
    return [str(labels[number]) for number in numbers]
