"""Grid search: every point once, in order, found by its index and never listed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from besom.errors import ConfigError
from besom.strategies.space import Space
from besom.strategies.strategy import Counting, Params

__all__ = ["Grid", "Skipped"]


@dataclass(frozen=True)
class Skipped:
    """What a grid leaves to others: points that were tried before, and trials that are not its own."""

    start: int = 0
    """The grid's own trials have numbers above this."""
    numbers: tuple[int, ...] = ()
    """Of these above `start`, trials whose points came from elsewhere; in order."""
    keys: frozenset[Hashable] = frozenset()
    """Of points that need no trial of the grid's own."""


class Grid(Counting):
    """The grid's n-th own trial tries its n-th point that is allowed and not skipped; the last name turns fastest.

    Raises:
        ConfigError: if a parameter is continuous.
    """

    def __init__(self, space: Space, skipped: Skipped | None = None) -> None:
        super().__init__()
        self._space = space
        self._size = _size(space)
        self._skipped = skipped or Skipped()
        self._found = (0, 0)  # own trials, and the index of the point after theirs

    def suggest(self, count: int) -> list[Params]:
        """The next `count` points, or what is left."""
        left = self._left()
        return [params for _, params in zip(range(count), left, strict=False)]

    def _left(self) -> Iterator[Params]:
        """The points that no own trial has, in order; what is known stays as it is."""
        skipped = self._skipped
        others = bisect_right(skipped.numbers, self._issued)
        own = max(0, self._issued - skipped.start - others)
        if not skipped.keys and not self._space.constraints:
            return (self._space.point(index) for index in range(own, self._size))
        done, index = self._found
        # From where the last call ended: finding the n-th of a million points costs one step, not n.
        while done < own and index < self._size:
            done += self._is_mine(self._space.point(index))
            index += 1
        self._found = (done, index)
        points = (self._space.point(later) for later in range(index, self._size))
        return (params for params in points if self._is_mine(params))

    def _is_mine(self, params: Params) -> bool:
        return self._space.allows(params) and self._space.key(params) not in self._skipped.keys


def _size(space: Space) -> int:
    for dimension in space.dimensions:
        if dimension.domain.size is None:
            raise ConfigError(
                f"parameter {dimension.name}: a grid cannot try every value of {dimension.domain}; "
                "list values, give a step with distribution: q_uniform and q, or use method: random"
            )
    return space.size or 0
