"""Random search: independent draws, each from its trial's own random numbers."""

from __future__ import annotations

import random

from besom.strategies.space import Space
from besom.strategies.strategy import Counting, Params

__all__ = ["RandomSearch"]


class RandomSearch(Counting):
    """Trial number n is drawn from (seed, n) alone; points may repeat, and there is always another."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__()
        self._space = space
        self._seed = seed

    def suggest(self, count: int) -> list[Params]:
        """The draws of the next `count` trials."""
        return [self._draw(number) for number in range(self._issued + 1, self._issued + 1 + count)]

    def _draw(self, number: int) -> Params:
        # A string seed goes through SHA-512, so neighbouring numbers share nothing, on every Python and machine.
        source = random.Random(f"{self._seed}:{number}")
        return self._space.params([source.random() for _ in self._space.dimensions])
