"""What bayes remembers of the trials: all points, and the few whose values a fit can carry.

Keeps the best and the most recent, so a fit costs the same after a thousand trials as after two hundred.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Hashable, Sequence

import numpy as np

from besom.strategies.cube import Array, Cube
from besom.strategies.strategy import EndedTrial, RunningTrial

__all__ = ["Observations"]

_BEST, _RECENT, _PENDING = 100, 100, 100


class Observations:
    """The history of a sweep as rows and values, lower being better; the same in whatever order trials end."""

    def __init__(self, cube: Cube, sign: float) -> None:
        self._cube = cube
        self._sign = sign
        self._rows: dict[int, Array] = {}
        self._best: list[tuple[float, int]] = []
        self._recent: list[tuple[int, float]] = []
        self._worst = -math.inf
        self._ended_keys: set[Hashable] = set()
        self._pending_keys: set[Hashable] = set()
        self._pending: list[Array] = []

    def add(self, ended: Sequence[EndedTrial]) -> None:
        """Remember trials that ended; a cancelled one says nothing but that its point was tried."""
        for trial in ended:
            row = self._cube.row(trial.params)
            if row is None:
                continue
            self._ended_keys.add(self._cube.space.key(trial.params))
            if trial.state != "cancelled":
                self._observe(trial.number, row, self._valid(trial))
        kept = {number for _, number in self._best} | {number for number, _ in self._recent}
        self._rows = {number: row for number, row in self._rows.items() if number in kept}

    def set_pending(self, running: Sequence[RunningTrial]) -> None:
        """Replace what is known of trials that have not ended."""
        known = [(trial, self._cube.row(trial.params)) for trial in sorted(running, key=lambda trial: trial.number)]
        self._pending_keys = {self._cube.space.key(trial.params) for trial, row in known if row is not None}
        self._pending = [row for _, row in known if row is not None][-_PENDING:]

    def tried(self) -> set[Hashable]:
        """The keys of all points issued so far, in a set of the caller's own."""
        return self._ended_keys | self._pending_keys

    def fit_rows(self) -> tuple[Array, Array]:
        """Rows and values to fit, by trial number; no rows while no trial has given a finite value.

        A trial without one (failed, crashed, NaN) has the worst that any trial gave.
        """
        if not self._best:
            return np.empty((0, len(self._cube.space.dimensions))), np.empty(0)
        values = {number: self._worst if math.isinf(value) else value for number, value in self._recent}
        values.update({number: value for value, number in self._best})
        numbers = sorted(values)
        return np.array([self._rows[number] for number in numbers]), np.array([values[number] for number in numbers])

    def pending_rows(self) -> Array:
        """Rows of the latest pending trials, by number."""
        return np.array(self._pending).reshape(-1, len(self._cube.space.dimensions))

    def _valid(self, trial: EndedTrial) -> float:
        usable = trial.state in ("finished", "stopped") and trial.value is not None and math.isfinite(trial.value)
        return self._sign * float(trial.value) if usable and trial.value is not None else math.inf

    def _observe(self, number: int, row: Array, value: float) -> None:
        self._rows[number] = row
        insort(self._recent, (number, value))
        del self._recent[:-_RECENT]
        if math.isfinite(value):
            self._worst = max(self._worst, value)
            insort(self._best, (value, number))
            del self._best[_BEST:]
