"""The live slots of each sweep, and the turns that their agents get."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from besom.broker.ledger import Ledger
from besom.broker.turns import Turn, Turns

__all__ = ["Slots"]

_TURN_TRIALS: Final = 1000
_TURN_MS: Final = 2000


class Slots:
    """What agents said of themselves at the last look."""

    def __init__(self, ledger: Ledger, turns: Turns) -> None:
        self._ledger = ledger
        self._turns = turns
        self._live: dict[str, int] = {}

    def look(self) -> None:
        """See who is there."""
        live: dict[str, int] = defaultdict(int)
        for info in self._ledger.agents().values():
            live[info.get("sweep", "")] += int(info.get("slots", 1))
        self._live = live

    def of(self, sweep: str) -> int:
        """Live slots of a sweep."""
        return self._live.get(sweep, 0)

    def give_turns(self, waiting: Iterable[str]) -> None:
        """Top up the turns of sweeps in which trials wait, to min(ready, live slots)."""
        sweeps = [sweep for sweep in waiting if self.of(sweep)]
        for sweep, ready in zip(sweeps, self._ledger.ready_counts(sweeps), strict=True):
            wanted = min(ready, self.of(sweep)) - self._turns.waiting(sweep)
            self._turns.give(Turn(sweep, _TURN_TRIALS, _TURN_MS), wanted)

    def wake(self, sweep: str, *, over: bool) -> None:
        """Idle agents get an empty turn each, see the sweep's state, and end; the queue of one that is over goes."""
        self._turns.give(Turn(sweep, 0, 0), self.of(sweep) + 1)
        if over:
            self._turns.clear(sweep)
