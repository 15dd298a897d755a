"""Bayesian optimization: fit what is known, try where the fit expects the most improvement.

The first trials follow a design. Then each suggestion looks through one of a few models in turn; pending trials, and
the batch's own earlier points, count as if they gave what the model predicts. No point is ever suggested twice.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from threadpoolctl import ThreadpoolController

from besom.errors import ConfigError
from besom.strategies.acquisition import log_expected_improvement
from besom.strategies.candidates import climb, pool
from besom.strategies.cube import Array, Cube
from besom.strategies.design import design, design_size
from besom.strategies.domains import Constant
from besom.strategies.feasibility import Feasibility
from besom.strategies.gaussian_process import Posterior, Prior, most_plausible
from besom.strategies.observations import History, Observations
from besom.strategies.output_warp import standardised, warp
from besom.strategies.parzen import parzen_candidates
from besom.strategies.space import Space
from besom.strategies.strategy import Counting, EndedTrial, Params, RunningTrial

__all__ = ["Bayes", "Parts"]

_FULL_SIZE = 2000
"""A finite space up to this size is scored whole."""
_ENOUGH = 3
"""Values that a model needs."""
_SETTLED = 0.7
"""Parameters are fitted to the settled trials alone when they are this share: their fit serves many suggestions."""
_FIRST_FIT = 12
"""Parameters are fitted to so many trials first, then to twice as many, and so on."""

# BLAS threads fight over the cores that trials need; on matrices this small one thread is also the fastest.
_blas = ThreadpoolController()


@dataclass(frozen=True)
class Parts:
    """What the search is made of; benchmarks/ablation.py takes one out at a time."""

    models: tuple[Prior | None, ...] = (
        Prior(input_warp=False),
        Prior(input_warp=False, length=-0.2, noise=-3.5, noise_width=1.0),
        Prior(input_warp=True),
        Prior(input_warp=False),
        Prior(input_warp=False, length=-0.2, noise=-3.5, noise_width=1.0),
        None,
    )
    """The models that suggestions take turns with; None is a Parzen step."""
    warp_outputs: bool = True
    worthwhile: tuple[float, ...] = (0.0, 0.01, 0.03)
    feasibility: bool = True
    redraw: bool = False
    fitted: int = 150
    """Observations that the parameters are fitted to."""
    conditioned: int = 300
    """Observations that predictions rest on."""
    refit: int = 12
    """Parameters are fitted anew when the history has grown by one part in so many."""


class Bayes(Counting):
    """Expected improvement on Gaussian processes, for any mix of domains.

    Raises:
        ConfigError: if there is nothing but constants.
    """

    def __init__(self, space: Space, seed: int, goal: str, parts: Parts = Parts()) -> None:
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

    def suggest(self, count: int) -> list[Params]:
        """The most promising points that nobody has tried, fewer when all have been."""
        taken = self._seen.tried()
        batch: list[Params] = []
        with _blas.limit(limits=1):
            knowledge = _Knowledge(self._cube, self._seen.history(), self._seen.pending_rows(), self._parts)
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

    def _choose(self, number: int, knowledge: _Knowledge, taken: set[Hashable]) -> Params | None:
        size = self._space.size
        if size is not None and len(taken) >= size:
            return None
        source = random.Random(f"{self._seed}:{number}")
        rng = np.random.default_rng(source.getrandbits(128))
        if number <= design_size(self._cube) or not knowledge.enough:
            rows = np.vstack([self._design[number - 1 : number], self._cube.draw(rng, 20)])
        else:
            rows = np.vstack([knowledge.ranked(number, rng, self._all_rows), self._cube.draw(rng, 20)])
        params = self._first_new(rows, taken, source.random())
        row = self._cube.row(params)
        assert row is not None
        knowledge.pend(row)
        return params

    @cached_property
    def _all_rows(self) -> Array | None:
        """Every row of a space small enough to score whole."""
        size = self._space.size
        return self._cube.all_rows() if size is not None and size <= _FULL_SIZE else None

    def _first_new(self, rows: Iterable[Array], taken: set[Hashable], start: float) -> Params:
        """The first row that is not taken; in a finite space where all are, the next free point from `start` on."""
        for row in rows:
            params = self._cube.params(row)
            if self._space.key(params) not in taken:
                return params
        return next((params for params in self._cube.walk(start) if self._space.key(params) not in taken), params)


class _Knowledge:
    """What one call to suggest knows: the history, and models of it made when they are asked for."""

    def __init__(self, cube: Cube, history: History, pending: Array, parts: Parts) -> None:
        self._cube, self._history, self._parts = cube, history, parts
        self._pending = [*pending]
        self._models: dict[Prior, tuple[Posterior, int]] = {}
        self.enough = int((~history.failed).sum()) >= _ENOUGH

    def pend(self, row: Array) -> None:
        """One more point is pending."""
        self._pending.append(row)

    def ranked(self, number: int, rng: np.random.Generator, all_rows: Array | None) -> Array:
        """Rows to try as trial `number`, the most promising first."""
        prior = self._parts.models[number % len(self._parts.models)]
        rows, values, _ = self._known
        if prior is None:
            pending = np.array(self._pending).reshape(-1, rows.shape[1])
            return parzen_candidates(self._cube, rng, rows, values, pending)
        posterior = self._posterior(prior)
        means = posterior.mean(rows[:, self._searched])
        best = float(means.min())
        if self._pending:
            best = min(best, float(posterior.mean(np.array(self._pending)[:, self._searched]).min()))

        best -= self._parts.worthwhile[number % len(self._parts.worthwhile)] * self._scale

        def score(candidates: Array) -> Array:
            candidates = candidates[:, self._searched]
            scores = log_expected_improvement(*posterior.predict(candidates), best)
            if self._feasibility is not None:
                scores += self._feasibility.log_probability(candidates)
            return scores

        if all_rows is not None:
            return all_rows[np.argsort(-score(all_rows), kind="stable")]
        centres = rows[np.argsort(means, kind="stable")[:8]]
        return climb(self._cube, rng, pool(self._cube, rng, np.vstack([centres, rows[np.argsort(means, kind='stable')[8:8+len(rows)//5]]]) if self._parts.redraw else centres, self._parts.redraw), score)

    @cached_property
    def _searched(self) -> Array:
        return self._cube.searched

    @cached_property
    def _known(self) -> History:
        """What predictions rest on, values warped."""
        history = self._valued.essence(self._parts.conditioned)
        return history._replace(values=warp(history.values, 10)[0])

    @cached_property
    def _scale(self) -> float:
        return warp(self._valued.essence(self._parts.conditioned).values, 10)[1]

    def _warped(self, history: History) -> History:
        if self._parts.warp_outputs:
            return history._replace(values=warp(history.values, 10)[0])
        return history._replace(values=standardised(history.values))

    @cached_property
    def _valued(self) -> History:
        return self._history.valued()

    def _theta(self, prior: Prior, n: int) -> Array:
        """Parameters fitted to the first `n` trials, beginning where the fit to about half of them ended.

        So a fit is a function of the history, and most of its work is remembered from earlier calls.
        """
        half = _FIRST_FIT << max(0, (n - 1) // _FIRST_FIT).bit_length() - 1 if n > _FIRST_FIT else 0
        start = self._theta(prior, half) if half else None
        fitted = self._warped(self._valued.first(n).essence(self._parts.fitted))
        rows = np.ascontiguousarray(fitted.rows[:, self._searched])
        unordered = self._cube.unordered[self._searched]
        return most_plausible(prior, rows, fitted.values, unordered, start, 30 if start is None else 10)

    def _posterior(self, prior: Prior) -> Posterior:
        unordered = self._cube.unordered[self._searched]
        if prior not in self._models:
            n, settled = len(self._valued.values), self._valued.settled
            n = settled if settled >= _SETTLED * n else n
            theta = self._theta(prior, n - n % max(1, n // self._parts.refit))
            rows, values, _ = self._known
            self._models[prior] = (Posterior(prior, theta, rows[:, self._searched], values, unordered), 0)
        posterior, believed = self._models[prior]
        if believed < len(self._pending):
            posterior.believe(np.array(self._pending[believed:])[:, self._searched])
            self._models[prior] = (posterior, len(self._pending))
        return posterior

    @cached_property
    def _feasibility(self) -> Feasibility | None:
        if not self._parts.feasibility or not self._history.failed.any():
            return None
        tried = self._history.essence(self._parts.conditioned)
        return Feasibility(np.ascontiguousarray(tried.rows[:, self._searched]), tried.failed, self._cube.unordered[self._searched])
