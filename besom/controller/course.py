"""What a sweep tries, in order: the points that its user gave, then a strategy's, each as often as `repeats` says.

Reads: a config, the edits it went through, what was tried before.  Gives: a strategy, the given points by number.
Knows nothing of what is due, nor of stores. Numbers here count points; trial n belongs to point (n - 1) // repeats + 1.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from besom.controller.points import complete
from besom.controller.sweep_config import SweepConfig
from besom.messages import SweepEdit, SweepSpec
from besom.strategies import EndedTrial, Params, Skipped, Space, Strategy, make_strategy

__all__ = ["Course", "Past"]


@dataclass(frozen=True)
class Past:
    """What was tried before a sweep's config had its present form."""

    prior: tuple[EndedTrial, ...] = ()
    """Trials of earlier sweeps and runs, numbered from 0 downwards."""
    tried: tuple[Params, ...] = ()
    """Params of this sweep's trials up to its last edit; a grid alone needs to know."""


@dataclass(frozen=True)
class Course:
    """The order of a sweep's points, the same whenever it is made."""

    config: SweepConfig
    seed: int
    edits: tuple[SweepEdit, ...] = ()
    past: Past = field(default_factory=Past)

    @classmethod
    def of(cls, spec: SweepSpec, config: SweepConfig, past: Past) -> Course:
        """The course of a sweep as it stands in the store."""
        return cls(config, int(spec.config.get("seed", 0)), spec.edits, past)

    @cached_property
    def space(self) -> Space:
        """What is searched."""
        return self.config.space()

    @property
    def repeats(self) -> int:
        """Trials of each point."""
        return self.config.repeats

    def point_of(self, trial: int) -> int:
        """The number of the point that a trial belongs to."""
        return -(-trial // self.repeats)

    @property
    def start(self) -> int:
        """The number of the last point before the config had its present form."""
        return self.point_of(self.edits[-1].issued) if self.edits else 0

    @property
    def given_numbers(self) -> range:
        """Numbers of the config's `points`: they come first."""
        return range(self.start + 1, self.start + 1 + len(self.config.points))

    def given(self, after: int, most: int) -> list[Params]:
        """The given points that come right after point number `after`, `most` of them at most."""
        first = max(0, after - self.start)
        return [self._given(index) for index in range(first, min(first + most, len(self.config.points)))]

    def _given(self, index: int) -> Params:
        return complete(self.config.points[index], self.config, self.space, f"{self.seed}:{self.start + 1 + index}")

    def strategy(self) -> Strategy:
        """A fresh one, which knows of earlier sweeps and of what need not be tried again."""
        goal = self.config.metric.goal if self.config.metric else "minimize"
        skipped = self._skipped() if self.config.method == "grid" else None
        strategy = make_strategy(
            self.config.method,
            self.space,
            seed=self.seed,
            goal=goal,
            goals=[metric.goal for metric in self.config.metrics or ()],
            thresholds=[metric.threshold for metric in self.config.metrics or ()],
            judged=self.config.judged_index,
            surrogate=self.config.surrogate,
            skipped=skipped,
        )
        if self.past.prior and self.config.method != "grid":
            strategy.update(self.past.prior, ())
        return strategy

    def _skipped(self) -> Skipped:
        given = (self._given(index) for index in range(len(self.config.points)))
        known = [*self.past.tried, *(trial.params for trial in self.past.prior), *given]
        return Skipped(self.start, tuple(self.given_numbers), frozenset(_keys(self.space, known)))


def _keys(space: Space, points: Iterable[Params]) -> Iterator[Hashable]:
    for params in points:
        try:
            yield space.key(params)
        except (KeyError, TypeError):
            continue  # of another space
