"""The strategies that the planner's process keeps from one question to the next, so that each is told only what is new.

A strategy that is kept answers as a fresh one would (`Strategy`), so nothing is lost with the process, or when one is
dropped: who asks hears of it, and tells everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from besom.controller.course import Course
from besom.strategies import EndedTrial, Params, RunningTrial, Strategy

__all__ = ["Keeper", "News"]

_MOST: Final = 300_000
"""Results that all strategies together may know, some 200 MB; the one that was asked least recently goes first."""


@dataclass(frozen=True)
class News:
    """What has changed in a sweep since its last question, and how many points it wants."""

    sweep: str
    course: Course | None
    """Where a fresh strategy begins; None for the one that is kept."""
    known: int
    """How many results that one has been told."""
    ended: Sequence[EndedTrial]
    """The results since."""
    guessed: Sequence[EndedTrial]
    running: Sequence[RunningTrial]
    wanted: int


@dataclass
class _Kept:
    strategy: Strategy
    known: int = 0


class Keeper:
    """A strategy for each sweep."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def answer(self, news: News) -> list[Params] | None:
        """The points wanted; None when the strategy that is meant is not here, and everything must be told."""
        kept = self._kept.pop(news.sweep, None)  # one that raises is not kept
        if news.course is not None:
            kept = _Kept(news.course.strategy())
        if kept is None or kept.known != news.known:
            return None
        kept.strategy.update([*news.ended, *news.guessed], news.running)
        kept.known += len(news.ended)
        points = kept.strategy.suggest(news.wanted)
        self._kept[news.sweep] = kept
        self._make_room()
        return points

    def drop(self, sweep: str) -> None:
        """Forget it: the sweep is over."""
        self._kept.pop(sweep, None)

    def _make_room(self) -> None:
        known = sum(kept.known for kept in self._kept.values())
        while known > _MOST and len(self._kept) > 1:
            known -= self._kept.pop(next(iter(self._kept))).known
