"""Where a trial's code stands still for its stopping rule, so that nothing is trained which the verdict throws away.

Reads: rows as they are logged.  Gives: whether one has brought the trial to a rung.
Knows nothing of verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from besom.messages import Judged

__all__ = ["Rungs"]


class Rungs:
    """Counts the values by which one attempt is judged.

    An attempt that goes on from a checkpoint counts from its own first value, and so stands still at other iterations
    than the rule's: that costs a moment and changes nothing.

    Args:
        judged: The metric, and at which of its values.
    """

    def __init__(self, judged: Judged) -> None:
        self.reached = False
        """Whether it stands at a rung; whoever waits there takes it back."""
        self._metric = judged.metric
        self._rungs = frozenset(judged.rungs)
        self._count = 0

    def count(self, row: Mapping[str, Any]) -> None:
        """A row was logged."""
        value = row.get(self._metric)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            self._count += 1
            self.reached = self.reached or self._count in self._rungs
