"""Means of the trials of one point, and how exact they are.

Pure; on plain numbers, for whatever reads a store.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["mean", "standard_error"]


def mean(values: Sequence[float]) -> float:
    """The mean of at least one finite value."""
    count = len(values)
    try:
        return math.fsum(values) / count
    except OverflowError:
        return math.fsum(value / count for value in values)


def standard_error(values: Sequence[float]) -> float | None:
    """The standard error of their mean, by the scatter of the values; None for a single one."""
    count = len(values)
    if count < 2:
        return None
    centre = mean(values)
    return math.hypot(*(value - centre for value in values)) / math.sqrt(count * (count - 1))
