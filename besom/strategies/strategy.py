"""What a strategy is told, and what it must answer.

Gives: `EndedTrial`, `RunningTrial`, the `Strategy` protocol, and `Counting` for strategies that need
no more of the history than how many trials were issued.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Counting", "EndedTrial", "Params", "RunningTrial", "Strategy", "as_float", "highest_number"]

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EndedTrial:
    """A trial that will not run again."""

    number: int
    """Counted from 1 within the sweep, in the order of issue."""
    params: Params
    state: str
    """finished, failed, crashed, stopped or cancelled."""
    value: float | None = None
    """The sweep's metric; None when the trial gave none."""
    curve: tuple[float, ...] = ()
    """The metric at each step."""
    spread: float | None = None
    """Standard error of `value`, where it is the mean of several trials."""
    trials: int = 1
    """How many trials `value` is the mean of."""
    values: tuple[float | None, ...] = ()
    """Of a sweep with several metrics: each one's, in their order, in place of `value`; None where it gave none."""
    spreads: tuple[float, ...] = ()
    """Of a sweep with several metrics: the standard errors of `values`, where they are means."""


@dataclass(frozen=True, slots=True)
class RunningTrial:
    """A trial that is issued and has not ended, queued ones included."""

    number: int
    params: Params


class Strategy(Protocol):
    """Where to look next. The same seed and history give the same answer, however the history was cut into calls."""

    def update(self, ended: Sequence[EndedTrial], running: Sequence[RunningTrial]) -> None:
        """Learn what ended since the last call, in any order, and all that is issued and has not ended.

        Of two results of one trial the later counts, and none of a trial that is among `running` now.
        """
        ...

    def suggest(self, count: int) -> list[Params]:
        """New points, `count` of them, or fewer when the space is exhausted; changes nothing that is known.

        Point i is for the trial numbered i + 1 after the highest number known.
        """
        ...


def highest_number(trials: Sequence[EndedTrial] | Sequence[RunningTrial]) -> int:
    """The highest number among the trials, 0 when there is none."""
    return max((trial.number for trial in trials), default=0)


def as_float(value: float | None) -> float:
    """The value as a float: nan when there is none, inf for an integer beyond all floats."""
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.inf


class Counting:
    """Remembers the highest number known, and nothing else, so a long history costs nothing."""

    def __init__(self) -> None:
        self._ended = 0
        self._issued = 0

    def update(self, ended: Sequence[EndedTrial], running: Sequence[RunningTrial]) -> None:
        """Count on from these trials."""
        self._ended = max(self._ended, highest_number(ended))
        self._issued = max(self._ended, highest_number(running))
