"""What one call to suggest knows: the history, the points that are pending, and models of both.

Models are made when they are first asked for, and serve the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from besom.strategies.acquisition import log_expected_improvement
from besom.strategies.candidates import POOL, candidates
from besom.strategies.cube import Array, Cube, Flags
from besom.strategies.feasibility import Feasibility
from besom.strategies.gaussian_process import Posterior, Prior, most_plausible
from besom.strategies.observations import History
from besom.strategies.output_warp import standardised, warp
from besom.strategies.parzen import parzen_candidates

if TYPE_CHECKING:
    from besom.strategies.forest import Forest, ForestKind

__all__ = ["PLAIN", "Knowledge", "Parts", "Turn", "forest_parts"]

_ENOUGH = 3
"""Values that a model needs."""
_CENTRES = 8
"""The search for candidates begins around so many of the best trials."""
_BELIEVED = 300
"""Pending points that a model takes in, at least, if there are more; at most twice as many."""
_UNWANTED = 100
"""Of the failed trials, so many of the latest count as bad for a Parzen step."""
_WORK, _FEWEST = 60_000, 150
"""Likenesses to trials that half a pool of candidates costs at most, so that many trials do not make it slow; and the
least candidates in it."""
_FIRST_FIT = 12
"""Parameters are fitted to so many trials first, then to twice as many, and so on."""
_FIRST_STEPS, _MORE_STEPS = 30, 10
"""Steps of the first fit, and of each that begins where another ended."""
_SETTLED = 0.7
"""Parameters are fitted to the settled trials alone when they are this share: their fit serves many suggestions."""

PLAIN = Prior(input_warp=False)
ROUGH = Prior(input_warp=False, length=-0.2, rough=-2.5, rough_width=1.0)
BENT = Prior(input_warp=True)


@dataclass(frozen=True)
class Turn:
    """How one suggestion looks at the history."""

    model: Prior | ForestKind | None
    """What is fitted; None for a Parzen step."""
    gain: float = 0.0
    """The improvement that is worth a trial; 1 is from the best trial to the median of the first. Above 0, it sends
    the search elsewhere where there is only polish left to gain."""
    climb: bool = True
    """Whether candidates are refined; without, the search looks within the space and not in its corners."""


@dataclass(frozen=True)
class Parts:
    """What the search is made of; `benchmarks/ablation.py` takes out one at a time."""

    turns: tuple[Turn, ...] = (
        Turn(PLAIN),
        Turn(ROUGH, gain=0.01),
        Turn(BENT, gain=0.03, climb=False),
        Turn(PLAIN),
        Turn(ROUGH, gain=0.01),
        Turn(None),
    )
    """Suggestions take turns, so that one model's error does not lead them all."""
    output_warp: bool = True
    feasibility: bool = True
    fitted: int = 150
    """Observations that parameters are fitted to, at most."""
    conditioned: int = 300
    """Observations that predictions rest on, at most."""
    refit: int = 12
    """Parameters are fitted anew when the history has grown by one part in so many."""


def forest_parts(kind: ForestKind) -> Parts:
    """The search with a forest in the place of the processes."""
    return Parts(turns=(Turn(kind), Turn(kind, gain=0.03, climb=False), Turn(None)))


class Knowledge:
    """The history with its models.

    Args:
        cube: The space.
        history: The trials that ended.
        pending: Rows of those that have not, shape (n, dimensions).
        parts: What the search is made of.
    """

    def __init__(self, cube: Cube, history: History, pending: Array, parts: Parts) -> None:
        self._cube, self._history, self._parts = cube, history, parts
        self._pending = [*pending]
        self._models: dict[Prior | ForestKind, tuple[Posterior | Forest, int, int]] = {}
        self.is_enough = int((~history.failed).sum()) >= _ENOUGH
        """Whether a model can be made."""

    def pend(self, row: Array) -> None:
        """One more point is pending."""
        self._pending.append(row)

    def ranked(self, number: int, rng: np.random.Generator, rows: Array | None = None) -> Array:
        """Rows to try as trial `number`, the most promising first: of `rows`, or else of what the search comes to."""
        turn = self._parts.turns[number % len(self._parts.turns)]
        if turn.model is None:
            return parzen_candidates(self._cube, rng, self._known.rows, self._known.values, self._unwanted)
        model = self._model(turn.model)
        means = model.mean(self._columns(self._known.rows))
        goal = float(means.min())
        if self._pending:
            goal = min(goal, float(model.mean(self._columns(np.array(self._pending))).min()))
        goal -= turn.gain * self._scale

        def score(rows: Array) -> Array:
            return self._score(model, goal, rows)

        if rows is not None:
            return rows[np.argsort(-score(rows), kind="stable")]
        centres = self._known.rows[np.argsort(means, kind="stable")[:_CENTRES]]
        count = min(POOL, max(_FEWEST, _WORK // (len(self._known.rows) + len(self._pending))))
        return candidates(self._cube, rng, centres, score, count, climb=turn.climb)

    def _score(self, model: Posterior | Forest, goal: float, rows: Array) -> Array:
        scores = log_expected_improvement(*model.predict(self._columns(rows)), goal)
        if self._feasibility is not None:
            scores += self._feasibility.log_probability(self._columns(rows))
        scores[~self._cube.allowed(rows)] = -np.inf
        return scores

    def _columns(self, rows: Array) -> Array:
        """The coordinates that have a choice."""
        return np.ascontiguousarray(rows[:, self._cube.searched])

    @cached_property
    def _unordered(self) -> Flags:
        flags: Flags = self._cube.unordered[self._cube.searched]
        return flags

    @cached_property
    def _valued(self) -> History:
        return self._history.valued()

    @cached_property
    def _known(self) -> History:
        """What predictions rest on, values warped."""
        return self._warped(self._valued.essence(self._parts.conditioned))

    @property
    def _unwanted(self) -> Array:
        """Rows where there is nothing to gain: of failed trials, and of pending ones."""
        pending = np.array(self._pending).reshape(-1, len(self._cube.unordered))
        return np.vstack([self._history.rows[self._history.failed][-_UNWANTED:], pending])

    @cached_property
    def _scale(self) -> float:
        """From the best value to the median of the first, as models see it."""
        return warp(self._valued.essence(self._parts.conditioned).values)[1]

    def _warped(self, history: History) -> History:
        values = warp(history.values)[0] if self._parts.output_warp else standardised(history.values)
        return history._replace(values=values)

    def _model(self, kind: Prior | ForestKind) -> Posterior | Forest:
        """The model, with what is pending believed: all of it, or the latest of more than one process can carry."""
        first = max(0, len(self._pending) // _BELIEVED - 1) * _BELIEVED
        model, begun, believed = self._models.get(kind) or (None, first, first)
        if model is None or begun != first:
            model, believed = self._made(kind), first
        if believed < len(self._pending):
            model.believe(self._columns(np.array(self._pending[believed:])))
        self._models[kind] = (model, first, len(self._pending))
        return model

    def _made(self, kind: Prior | ForestKind) -> Posterior | Forest:
        rows, values = self._columns(self._known.rows), self._known.values
        if not isinstance(kind, Prior):
            # Here and not above: it brings scikit-optimize along, a second that processes need not wait.
            from besom.strategies.forest import Forest

            return Forest(kind, rows, values, self._unordered)
        n, settled = len(self._valued.values), self._valued.settled
        n = settled if settled >= _SETTLED * n else n
        theta = self._theta(kind, n - n % max(1, n // self._parts.refit))
        noise = _noise(self._valued.essence(self._parts.conditioned), values)
        return Posterior(kind, theta, rows, values, self._unordered, 0.0 if noise is None else noise)

    def _theta(self, prior: Prior, n: int) -> Array:
        """Parameters fitted to the first `n` trials, beginning where the fit to about half of them ended.

        So a fit is a function of the history, and most of its work is remembered from earlier calls.
        """
        start = None
        if n > _FIRST_FIT:
            start = self._theta(prior, _FIRST_FIT << (((n - 1) // _FIRST_FIT).bit_length() - 1))
        known = self._valued.first(n).essence(self._parts.fitted)
        fitted = self._warped(known)
        rows, noise = self._columns(fitted.rows), _noise(known, fitted.values)
        steps = _FIRST_STEPS if start is None else _MORE_STEPS
        return most_plausible(prior, rows, fitted.values, self._unordered, start, steps, noise)

    @cached_property
    def _feasibility(self) -> Feasibility | None:
        if not self._parts.feasibility or not self._history.failed.any():
            return None
        tried = self._history.essence(self._parts.conditioned)
        return Feasibility(self._columns(tried.rows), tried.failed, self._unordered)


def _noise(history: History, warped: Array) -> Array | None:
    """The variance that the warped values are known to have; None where nothing was tried twice."""
    return None if history.repeats is None else history.repeats.noise(history.values, warped)
