"""Histograms agree with numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from besom.tracking.media.histogram import Histogram

from .conftest import Shelf

VALUES = np.random.default_rng(0).standard_normal(1000)


@pytest.mark.parametrize("values", [VALUES, VALUES.tolist(), VALUES.reshape(10, 100), set(VALUES.tolist())])
@pytest.mark.parametrize("bins", [1, 64, 512])
def test_counts_are_numpys(values: Any, bins: int, shelf: Shelf) -> None:
    """W&B's JSON holds numpy's counts and edges."""
    counts, edges = np.histogram(VALUES, bins=bins)
    told = Histogram(values, num_bins=bins).to_logged(shelf, "k", 0)
    assert told == {"_type": "histogram", "values": counts.tolist(), "bins": edges.tolist()}


def test_a_histogram_that_was_made_elsewhere() -> None:
    """`np_histogram` is taken as it is."""
    made = Histogram(np_histogram=np.histogram(VALUES, bins=7))
    assert sum(made.histogram) == 1000
    assert len(made.bins) == 8


def test_only_finite_values_count() -> None:
    """NaN and infinities are left out; booleans count as 0 and 1."""
    assert sum(Histogram([1.0, np.nan, np.inf, 2.0]).histogram) == 2
    assert Histogram([True, False, True], num_bins=2).histogram == [1, 2]


@pytest.mark.parametrize(
    "options",
    [
        {"sequence": [1], "num_bins": 513},
        {"sequence": [1], "num_bins": 0},
        {"sequence": []},
        {"sequence": [np.nan]},
        {},
        {"np_histogram": ([1, 2], [0, 1])},
        {"np_histogram": [1, 2, 3]},
        {"np_histogram": (np.ones(513), np.arange(514))},
    ],
)
def test_misuse(options: dict[str, Any]) -> None:
    """Too many bins, no values, and edges that do not fit are ValueErrors."""
    with pytest.raises(ValueError, match=r"histogram|bins|edges|Histogram"):
        Histogram(**options)
