"""Grid search: every point once, in order, found by its index and never listed."""

from __future__ import annotations

from besom.errors import ConfigError
from besom.strategies.space import Space
from besom.strategies.strategy import Counting, Params

__all__ = ["Grid"]


class Grid(Counting):
    """Trial number n tries point n - 1; the last parameter by name turns fastest.

    Raises:
        ConfigError: if a parameter is continuous.
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self._space = space
        self._size = _size(space)

    def suggest(self, count: int) -> list[Params]:
        """The next `count` points, or what is left."""
        last = min(self._issued + count, self._size)
        return [self._space.point(index) for index in range(self._issued, last)]


def _size(space: Space) -> int:
    for dimension in space.dimensions:
        if dimension.domain.size is None:
            raise ConfigError(
                f"parameter {dimension.name}: a grid cannot try every value of {dimension.domain}; "
                "list values, give a step with distribution: q_uniform and q, or use method: random"
            )
    return space.size or 0
