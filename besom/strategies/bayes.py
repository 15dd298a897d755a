"""Bayesian optimization: fit what is known, try where the fit expects the most improvement.

The first trials follow a design. Then each suggestion looks through one of a few models in turn; pending trials, and
the batch's own earlier points, count as if they gave what the model predicts. No point is ever suggested twice.
"""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cache, cached_property

import numpy as np
from threadpoolctl import ThreadpoolController

from besom.errors import ConfigError
from besom.strategies.cube import Array, Cube
from besom.strategies.design import design, design_size
from besom.strategies.domains import Constant
from besom.strategies.knowledge import Knowledge, Parts, forest_parts
from besom.strategies.observations import Observations
from besom.strategies.random_search import draw
from besom.strategies.space import Space
from besom.strategies.strategy import Counting, EndedTrial, Params, RunningTrial

__all__ = ["Bayes", "parts_of"]

_FULL_SIZE = 2000
"""A finite space up to this size is scored whole."""
_WALKED = 200_000
"""A finite space up to this size is searched for its last free points; in a larger one, draws find some."""
_SPARE = 20
"""Random points behind the model's own, should all of those be taken."""

log = logging.getLogger("besom")

# BLAS threads fight over the cores that trials need; on matrices this small one thread is also the fastest.
_blas = ThreadpoolController()

_DEFAULT = Parts()


class Bayes(Counting):
    """Expected improvement on Gaussian processes, for any mix of domains.

    Args:
        space: What to search.
        seed: Source of all randomness.
        goal: "minimize" or "maximize".
        parts: What the search is made of.

    Raises:
        ConfigError: if there is nothing but constants.
    """

    def __init__(self, space: Space, seed: int, goal: str, parts: Parts = _DEFAULT) -> None:
        super().__init__()
        if all(isinstance(dimension.domain, Constant) for dimension in space.dimensions):
            raise ConfigError("method: bayes has nothing to search, all parameters are constants; give one a range")
        self._space = space
        self._seed = seed
        self._parts = parts
        self._cube = Cube(space)
        self._seen = Observations(self._cube, -1.0 if goal == "maximize" else 1.0)

    def update(self, ended: Sequence[EndedTrial], running: Sequence[RunningTrial]) -> None:
        """Learn values of what ended, and points of what is pending."""
        super().update(ended, running)
        self._seen.add(ended)
        self._seen.set_pending(running)

    def revalued(self, worth: Mapping[int, tuple[float, float]]) -> Bayes:
        """The same search, knowing other values and standard errors of the same trials, by number; lower is better."""
        made = copy.copy(self)
        made._seen = self._seen.revalued(worth)
        return made

    def suggest(self, count: int) -> list[Params]:
        """The most promising points that nobody has tried, fewer when all have been.

        Raises:
            ConfigError: so few points satisfy the constraints that none was drawn.
        """
        taken = self._seen.tried()
        batch: list[Params] = []
        with _blas.limit(limits=1):
            knowledge = Knowledge(self._cube, self._seen.history(), self._seen.pending_rows(), self._parts)
            for number in range(self._issued + 1, self._issued + 1 + count):
                params = self._choose(number, knowledge, taken)
                if params is None:
                    break
                taken.add(self._space.key(params))
                batch.append(params)
        return batch

    @cached_property
    def _design(self) -> Array:
        return design(self._cube, self._seed)

    @cached_property
    def _all_rows(self) -> Array | None:
        """Every row of a space small enough to score whole."""
        size = self._space.size
        return self._cube.all_rows() if size is not None and size <= _FULL_SIZE else None

    def _choose(self, number: int, knowledge: Knowledge, taken: set[Hashable]) -> Params | None:
        size = self._space.size
        if size is not None and len(taken) >= size:
            return None
        source = random.Random(f"{self._seed}:{number}")
        rng = np.random.default_rng(source.getrandbits(128))
        rows = np.vstack([self._promising(number, knowledge, rng), self._cube.draw(rng, _SPARE)])
        params = self._first_new(rows, taken) or self._any_new(number, source.random(), taken)
        for row in self._cube.rows([] if params is None else [params]):
            if row is not None:
                knowledge.pend(row)
        return params

    def _promising(self, number: int, knowledge: Knowledge, rng: np.random.Generator) -> Array:
        """Rows to try as trial `number`, best first: of the design while there is no model."""
        if number > design_size(self._cube) and knowledge.is_enough:
            try:
                return knowledge.ranked(number, rng, self._all_rows)
            except (ArithmeticError, ValueError, MemoryError) as error:  # numpy's LinAlgError is a ValueError
                _say_once(f"bayes: the model failed ({error!r}); trials without one are drawn at random")
        return self._design[number - 1 : number]

    def _first_new(self, rows: Iterable[Array], taken: set[Hashable]) -> Params | None:
        for row in rows:
            params = self._cube.params(row)
            if self._space.key(params) not in taken and self._space.allows(params):
                return params
        return None

    def _any_new(self, number: int, start: float, taken: set[Hashable]) -> Params | None:
        """A free point wherever it is: in a finite space the next one from the fraction `start` on, by index."""
        size = self._space.size
        if size is not None and size <= _WALKED:
            first = int(start * size)
            points = (self._space.point((first + step) % size) for step in range(size))
            free = (one for one in points if self._space.key(one) not in taken and self._space.allows(one))
            return next(free, None)
        for attempt in range(_SPARE):
            params = draw(self._space, self._seed, f"{number}:{attempt}")
            if self._space.key(params) not in taken:
                return params
        return None


def parts_of(surrogate: str) -> Parts:
    """The search with Gaussian processes ("gp"), a random forest ("rf") or extremely randomised trees ("et").

    Raises:
        ConfigError: if it is none of these.
    """
    if surrogate == "gp":
        return _DEFAULT
    if surrogate == "rf":
        return forest_parts("rf")
    if surrogate == "et":
        return forest_parts("et")
    raise ConfigError(f"surrogate is {surrogate!r}; write gp, rf or et")


@cache
def _say_once(text: str) -> None:
    log.warning(text)
