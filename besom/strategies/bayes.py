"""Bayesian optimization: fit a Gaussian process to what is known, try where it expects the most improvement.

The first trials follow a Latin hypercube. Then each suggest fits once; pending trials, and the batch's own
earlier points, count as if they gave what the fit predicts. No point is ever suggested twice.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence
from functools import cached_property

import numpy as np
from skopt.sampler import Lhs
from threadpoolctl import ThreadpoolController

from besom.errors import ConfigError
from besom.strategies.cube import Array, Cube
from besom.strategies.domains import Constant
from besom.strategies.observations import Observations
from besom.strategies.space import Space
from besom.strategies.strategy import Counting, EndedTrial, Params, RunningTrial
from besom.strategies.surrogate import Surrogate, log_expected_improvement, tame

__all__ = ["Bayes"]

_FULL_SIZE = 2000
"""A finite space up to this size is scored whole."""
_DRAWS, _NEAR, _CENTRES = 1000, 60, 5
_WIDTHS = (0.2, 0.05, 0.01)
_REFINEMENTS = (0.05, 0.015, 0.005, 0.0015)

# BLAS threads fight over the cores that trials need; on matrices this small one thread is also the fastest.
_blas = ThreadpoolController()


class Bayes(Counting):
    """Expected improvement on a Gaussian process, for any mix of domains.

    Raises:
        ConfigError: if there is nothing but constants.
    """

    def __init__(self, space: Space, seed: int, goal: str) -> None:
        super().__init__()
        if all(isinstance(dimension.domain, Constant) for dimension in space.dimensions):
            raise ConfigError("method: bayes has nothing to search, all parameters are constants; give one a range")
        self._space = space
        self._seed = seed
        self._cube = Cube(space)
        self._seen = Observations(self._cube, -1.0 if goal == "maximize" else 1.0)

    def update(self, ended: Sequence[EndedTrial], running: Sequence[RunningTrial]) -> None:
        """Learn values of what ended, and points of what is pending."""
        super().update(ended, running)
        self._seen.add(ended)
        self._seen.set_pending(running)

    def suggest(self, count: int) -> list[Params]:
        """The most promising points that nobody has tried, fewer when all have been."""
        taken = self._seen.tried()
        batch: list[Params] = []
        with _blas.limit(limits=1):
            model = self._fit() if self._issued + count > len(self._design) else None
            for number in range(self._issued + 1, self._issued + 1 + count):
                params = self._choose(number, model, taken)
                if params is None:
                    break
                taken.add(self._space.key(params))
                batch.append(params)
        return batch

    @cached_property
    def _design(self) -> Array:
        """Rows for the first trials, spread over every dimension."""
        searched = self._cube.searched
        rows = np.full((max(4, min(2 * len(searched), 10)), len(self._space.dimensions)), 0.5)
        if searched:
            sampler = Lhs(lhs_type="classic", criterion="maximin", iterations=100)
            seed = random.Random(f"{self._seed}:design").getrandbits(32)
            rows[:, searched] = sampler.generate([(0.0, 1.0)] * len(searched), len(rows), random_state=seed)
        return self._cube.snap(rows)

    def _fit(self) -> Surrogate | None:
        rows, values = self._seen.fit_rows()
        if len(values) < 2 or not self._cube.searched:
            return None
        model = Surrogate(self._cube.features(rows), tame(values))
        pending = self._seen.pending_rows()
        if len(pending):
            model.believe(self._cube.features(pending))
        return model

    def _choose(self, number: int, model: Surrogate | None, taken: set[Hashable]) -> Params | None:
        size = self._space.size
        if size is not None and len(taken) >= size:
            return None
        source = random.Random(f"{self._seed}:{number}")
        rng = np.random.default_rng(source.getrandbits(128))
        if number <= len(self._design):
            rows = np.vstack([self._design[number - 1], self._cube.draw(rng, 20)])
        elif model is None:
            rows = self._cube.draw(rng, 20)
        else:
            rows = self._ranked(model, rng)
        params = self._first_new(rows, taken, source.random())
        if model is not None:
            model.believe(self._cube.features(self._cube.snap(np.array([self._space.coordinates(params)]))))
        return params

    def _first_new(self, rows: Iterable[Array], taken: set[Hashable], start: float) -> Params:
        """The first row that is not taken; in a finite space where all are, the next free point from `start` on."""
        for row in rows:
            params = self._cube.params(row)
            if self._space.key(params) not in taken:
                return params
        return next((params for params in self._cube.walk(start) if self._space.key(params) not in taken), params)

    def _ranked(self, model: Surrogate, rng: np.random.Generator) -> Array:
        """Candidates, the most promising first."""
        best = model.best()

        def score(rows: Array) -> Array:
            return log_expected_improvement(*model.predict(self._cube.features(rows)), best)

        if self._space.size is not None and self._space.size <= _FULL_SIZE:
            rows = self._cube.all_rows()
            return rows[np.argsort(-score(rows), kind="stable")]
        rows = self._candidates(rng)
        scores = score(rows)
        for width in _REFINEMENTS:
            top = rows[np.argsort(-scores, kind="stable")[:_CENTRES]]
            closer = self._cube.neighbours(rng, top, _NEAR, width)
            rows, scores = np.vstack([rows, closer]), np.concatenate([scores, score(closer)])
        return rows[np.argsort(-scores, kind="stable")]

    def _candidates(self, rng: np.random.Generator) -> Array:
        """Points from everywhere, and around the best trials."""
        rows, values = self._seen.fit_rows()
        centres = rows[np.argsort(values, kind="stable")[:_CENTRES]]
        near = [self._cube.neighbours(rng, centres, _NEAR, width) for width in _WIDTHS]
        return np.vstack([self._cube.draw(rng, _DRAWS), *near])
