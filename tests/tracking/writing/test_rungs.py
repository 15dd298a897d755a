"""Where a trial stands still for its stopping rule."""

from __future__ import annotations

import math
from typing import Any

from besom.messages import Judged
from besom.tracking.writing.rungs import Rungs


def test_a_rung_is_reached_by_values_of_the_metric() -> None:
    """The n-th finite number counts, whatever else is logged between; only at a rung does the trial stand still."""
    rungs, reached = Rungs(Judged(metric="loss", rungs=(1, 3))), []
    rows: list[dict[str, Any]] = [
        {"lr": 1}, {"loss": math.nan}, {"loss": 2}, {"loss": True}, {"loss": 1.5, "lr": 1}, {"loss": "-1"}, {"loss": 1}
    ]  # fmt: skip
    for row in rows:
        rungs.count(row)
        reached.append(rungs.reached)
        rungs.reached = False
    assert reached == [False, False, True, False, False, False, True]
