"""What bayes remembers of the trials: their rows, what they gave, and which points are taken.

A trial that was stopped counts as what it would have given at its end (`early_ends.py`).
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from besom.strategies.cube import Array, Cube, Flags, Positions
from besom.strategies.early_ends import final_values
from besom.strategies.repeats import Repeats
from besom.strategies.strategy import EndedTrial, RunningTrial, as_float

__all__ = ["History", "Observations"]


class _Told(NamedTuple):
    """One trial that ended; lower is better."""

    row: Array
    value: float
    curve: tuple[float, ...]
    stopped: bool
    spread: float
    """Standard error; nan when nothing tells it."""
    trials: int


class History(NamedTuple):
    """Ended trials by number: rows, shape (n, dimensions), and values, shape (n,); lower is better, inf is failed."""

    rows: Array
    values: Array
    settled: int
    """How many of them have lower numbers than any trial that still runs, so no later result comes between them."""
    repeats: Repeats | None = None
    """What is known of the noise in the values; None where no point was tried more than once."""

    @property
    def failed(self) -> Flags:
        """Which trials gave no value."""
        return np.isinf(self.values)

    def valued(self) -> History:
        """The trials that gave a value."""
        return self.at(np.flatnonzero(~self.failed))

    def first(self, count: int) -> History:
        """The first so many trials."""
        return self.at(np.arange(count))

    def at(self, positions: Positions) -> History:
        """Some of the trials, given in order."""
        settled = int(np.searchsorted(positions, self.settled))
        repeats = self.repeats and self.repeats.at(positions)
        return History(self.rows[positions], self.values[positions], settled, repeats)

    def essence(self, limit: int) -> History:
        """At most `limit` trials that tell the most: the best half, the latest quarter, the rest evenly."""
        n = len(self.values)
        if n <= limit:
            return self
        kept = np.zeros(n, dtype=bool)
        kept[np.argsort(self.values, kind="stable")[: limit // 2]] = True
        kept[n - limit // 4 :] = True
        rest = np.flatnonzero(~kept)
        kept[rest[np.linspace(0, len(rest) - 1, limit - int(kept.sum())).astype(int)]] = True
        return self.at(np.flatnonzero(kept))


class Observations:
    """The history of a sweep; the same in whatever order trials end."""

    def __init__(self, cube: Cube, sign: float) -> None:
        self._cube = cube
        self._sign = sign
        self._ended: dict[int, _Told] = {}
        self._ended_keys: set[Hashable] = set()
        self._pending_keys: set[Hashable] = set()
        self._pending: list[Array] = []
        self._oldest: float = math.inf

    def add(self, ended: Sequence[EndedTrial]) -> None:
        """Remember trials that ended; a cancelled one says nothing but that its point was tried."""
        rows = self._cube.rows([trial.params for trial in ended])
        for trial, row in zip(ended, rows, strict=True):
            if row is None:
                continue
            self._ended_keys.add(self._cube.space.key(trial.params))
            if trial.state == "cancelled":
                self._ended.pop(trial.number, None)
            else:
                self._ended[trial.number] = self._told(row, trial)

    def set_pending(self, running: Sequence[RunningTrial]) -> None:
        """Replace what is known of trials that have not ended; one that had ended runs again."""
        for trial in running:
            self._ended.pop(trial.number, None)
        self._oldest = min((trial.number for trial in running), default=math.inf)
        ordered = [trial.params for trial in sorted(running, key=lambda trial: trial.number)]
        rows = self._cube.rows(ordered)
        known = [(params, row) for params, row in zip(ordered, rows, strict=True) if row is not None]
        self._pending_keys = {self._cube.space.key(params) for params, _ in known}
        self._pending = [row for _, row in known]

    def revalued(self, worth: Mapping[int, tuple[float, float]]) -> Observations:
        """The same trials with other values and standard errors, by number; lower is better, nan is none."""
        made = copy.copy(self)
        made._ended = {
            number: told._replace(value=value if math.isfinite(value) else math.inf, curve=(), spread=error)
            for number, told in self._ended.items()
            for value, error in (worth[number],)
        }
        return made

    def tried(self) -> set[Hashable]:
        """The keys of all points issued so far, in a set of the caller's own."""
        return self._ended_keys | self._pending_keys

    def history(self) -> History:
        """All that ended."""
        numbers = sorted(self._ended)
        ended = [self._ended[number] for number in numbers]
        rows = np.array([one.row for one in ended]).reshape(-1, len(self._cube.unordered))
        values = np.array([one.value for one in ended])
        if any(one.stopped for one in ended):
            values = final_values(values, [one.curve for one in ended], np.array([one.stopped for one in ended]))
        return History(rows, values, bisect_left(numbers, self._oldest), _repeats(ended))

    def pending_rows(self) -> Array:
        """Rows of the pending trials, by number."""
        return np.array(self._pending).reshape(-1, len(self._cube.space.dimensions))

    def _told(self, row: Array, trial: EndedTrial) -> _Told:
        value = as_float(trial.value) if trial.state in ("finished", "stopped") else math.nan
        curve = tuple(self._sign * as_float(one) for one in trial.curve)
        signed, spread = self._sign * value if math.isfinite(value) else math.inf, as_float(trial.spread)
        return _Told(row, signed, curve, trial.state == "stopped", spread, trial.trials)


def _repeats(ended: Sequence[_Told]) -> Repeats | None:
    spreads, trials = np.array([one.spread for one in ended]), np.array([one.trials for one in ended])
    return None if np.isnan(spreads).all() else Repeats(spreads, trials)
