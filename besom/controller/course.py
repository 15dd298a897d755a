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

    @cached_property
    def given_numbers(self) -> tuple[int, ...]:
        """Number of each of the config's `points`: the next one that was free when it was given."""
        numbers: list[int] = []
        for index in range(len(self.config.points)):
            since = max((self.point_of(edit.issued) for edit in self.edits if edit.points <= index), default=0)
            numbers.append(max(since, numbers[-1] if numbers else 0) + 1)
        return tuple(numbers)

    def given(self, after: int, most: int) -> list[Params]:
        """The given points that come right after point number `after`, `most` of them at most."""
        found: list[Params] = []
        for index, number in enumerate(self.given_numbers):
            if number == after + 1 + len(found) and len(found) < most:
                found.append(complete(self.config, self.space, index, self.seed))
        return found

    def strategy(self) -> Strategy:
        """A fresh one, which knows of earlier sweeps and of what need not be tried again."""
        goal = self.config.metric.goal if self.config.metric else "minimize"
        skipped = self._skipped() if self.config.method == "grid" else None
        strategy = make_strategy(self.config.method, self.space, seed=self.seed, goal=goal, skipped=skipped)
        if self.past.prior and self.config.method != "grid":
            strategy.update(self.past.prior, ())
        return strategy

    def _skipped(self) -> Skipped:
        start = self.point_of(self.edits[-1].issued) if self.edits else 0
        given = [complete(self.config, self.space, index, self.seed) for index in range(len(self.config.points))]
        known = [*self.past.tried, *(trial.params for trial in self.past.prior), *given]
        return Skipped(start, tuple(n for n in self.given_numbers if n > start), frozenset(_keys(self.space, known)))


def _keys(space: Space, points: Iterable[Params]) -> Iterator[Hashable]:
    for params in points:
        try:
            yield space.key(params)
        except (KeyError, TypeError):
            continue  # of another space
