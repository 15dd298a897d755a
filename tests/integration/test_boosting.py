"""Which end of a metric is the good one."""

from __future__ import annotations

import pytest

from besom.integration.boosting import better


@pytest.mark.parametrize(
    ("metric", "end"),
    [
        ("rmse", "min"), ("mlogloss", "min"), ("error@0.7", "min"), ("gamma-nloglik", "min"), ("l2", "min"),
        ("AUC", "max"), ("ndcg@5", "max"), ("average_precision", "max"), ("map@3-", "max"), ("mine", None),
    ],
)  # fmt: skip
def test_better(metric: str, end: str | None) -> None:
    """Losses and errors are better low, areas and precisions high; of other names nothing is known."""
    assert better(metric) == end
