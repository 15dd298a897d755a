"""Where a trial stands still for its stopping rule."""

from __future__ import annotations

import math
from typing import Any

import pytest

from besom.tracking.run.rungs import Rungs
from tests.tracking.stories import spec


def test_a_rung_is_reached_by_values_of_the_metric() -> None:
    """The n-th finite number counts, whatever else is logged between; only at a rung does the trial stand still."""
    rungs, reached = Rungs("loss", [1, 3]), []
    rows: list[dict[str, Any]] = [
        {"lr": 1}, {"loss": math.nan}, {"loss": 2}, {"loss": True}, {"loss": 1.5, "lr": 1}, {"loss": "-1"}, {"loss": 1.0}
    ]  # fmt: skip
    for row in rows:
        rungs.count(row)
        reached.append(rungs.reached)
        rungs.reached = False
    assert reached == [False, False, True, False, False, False, True]


@pytest.mark.parametrize(
    ("metric", "rungs", "stands_still"), [("loss", (1, 3), True), ("loss", (), False), (None, (1, 3), False)]
)
def test_without_rungs_nobody_waits(metric: str | None, rungs: tuple[int, ...], stands_still: bool) -> None:
    """A sweep without a rule, with one that judges at every value, or without a metric has none."""
    sweep = spec(metric=metric).model_copy(update={"rungs": rungs})
    assert (Rungs.of(sweep) is not None) == stands_still
