"""Random search: independent draws, each from its trial's own random numbers."""

from __future__ import annotations

import random

from besom.errors import ConfigError
from besom.strategies.space import Space
from besom.strategies.strategy import Counting, Params

__all__ = ["RandomSearch", "draw"]

MAX_DRAWS = 200_000
"""Draws for one trial before its constraints are given up on."""


class RandomSearch(Counting):
    """Trial number n is drawn from (seed, n) alone; points may repeat, and there is always another.

    What the constraints rule out is drawn again.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__()
        self._space = space
        self._seed = seed

    def suggest(self, count: int) -> list[Params]:
        """The draws of the next `count` trials.

        Raises:
            ConfigError: so few points satisfy the constraints that none was drawn.
        """
        first = self._issued + 1
        return [draw(self._space, self._seed, number) for number in range(first, first + count)]


def draw(space: Space, seed: int, number: int | str) -> Params:
    """The point that random search tries as trial `number`.

    Raises:
        ConfigError: so few points satisfy the constraints that none was drawn.
    """
    # A string seed goes through SHA-512, so neighbouring numbers share nothing, on every Python and machine.
    source = random.Random(f"{seed}:{number}")
    for _ in range(MAX_DRAWS):
        params = space.draw([source.random() for _ in space.dimensions])
        if space.allows(params):
            return params
    raise ConfigError(f"constraints: none of {MAX_DRAWS} points drawn for trial {number} satisfies them; loosen them")
