"""Where a trial's code stands still for its stopping rule, so that nothing is trained which the verdict throws away.

Reads: rows as they are logged.  Gives: whether one has brought the trial to a rung.
Knows nothing of verdicts; those come with the writer's answers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from besom.messages import SweepSpec

__all__ = ["Rungs"]


class Rungs:
    """Counts the values by which one attempt is judged.

    An attempt that goes on from a checkpoint counts from its own first value, and so stands still at other iterations
    than the rule's: that costs a moment and changes nothing.

    Args:
        metric: The sweep's.
        rungs: Iterations at which a trial is judged.
    """

    def __init__(self, metric: str, rungs: Collection[int]) -> None:
        self.reached = False
        """Whether it stands at a rung; whoever waits there takes it back."""
        self._metric = metric
        self._rungs = frozenset(rungs)
        self._count = 0

    @classmethod
    def of(cls, spec: SweepSpec) -> Rungs | None:
        """Those of a sweep; None where no rule judges at certain iterations."""
        return cls(spec.metric.name, spec.rungs) if spec.metric and spec.rungs else None

    def count(self, row: Mapping[str, Any]) -> None:
        """A row was logged."""
        value = row.get(self._metric)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            self._count += 1
            self.reached = self.reached or self._count in self._rungs
