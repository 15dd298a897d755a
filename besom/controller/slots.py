"""The live slots of each sweep, and the turns that their agents get."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from besom.broker.ledger import Ledger
from besom.broker.turns import Turn, Turns
from besom.errors import BesomError

__all__ = ["Slots"]

_TURN_TRIALS: Final = 1000
_TURN_MS: Final = 600_000
"""Long: an agent that has found work claims the next trial with the report of the last, in one call."""


class Slots:
    """What agents said of themselves at the last look.

    An agent of one sweep names it; one of a project names that, as entity/project (entity '' is any), and its slots
    count for every sweep there.
    """

    def __init__(self, ledger: Ledger, turns: Turns) -> None:
        self._ledger = ledger
        self._turns = turns
        self._agents: dict[str, dict[str, Any]] = {}  # slots, sweep and project of an agent never change
        self._live: dict[str, int] = {}
        self._of_project: dict[str, int] = {}
        self._paths: dict[str, tuple[str, str]] = {}  # sweep: entity and project; read once, they never change

    def look(self) -> None:
        """See who is there."""
        live: dict[str, int] = defaultdict(int)
        of_project: dict[str, int] = defaultdict(int)
        self._agents = self._ledger.agents(self._agents)
        for info in self._agents.values():
            if info.get("project"):
                of_project[info["project"]] += int(info.get("slots", 1))
            else:
                live[info.get("sweep", "")] += int(info.get("slots", 1))
        self._live, self._of_project = live, of_project

    def of(self, sweep: str) -> int:
        """Live slots that may take trials of a sweep."""
        return self._live.get(sweep, 0) + (self._shared(sweep) if self._of_project else 0)

    def give_turns(self, waiting: Iterable[str]) -> None:
        """Top up the turns of sweeps in which trials wait, to min(ready, live slots)."""
        sweeps = [sweep for sweep in waiting if self.of(sweep)]
        for sweep, ready in zip(sweeps, self._ledger.ready_counts(sweeps), strict=True):
            wanted = min(ready, self.of(sweep)) - self._turns.waiting(sweep)
            self._turns.give(Turn(sweep, _TURN_TRIALS, _TURN_MS), wanted)

    def wake(self, sweep: str, *, over: bool) -> None:
        """Idle agents get an empty turn each, see the sweep's state, and end; the queue of one that is over goes.

        Agents of a project look around by themselves.
        """
        self.look()  # some may have come a moment ago
        self._turns.give(Turn(sweep, 0, 0), self._live.get(sweep, 0) + 1)
        if over:
            self._turns.clear(sweep)
            self._paths.pop(sweep, None)

    def _shared(self, sweep: str) -> int:
        """Slots of agents that serve the sweep's whole project."""
        if sweep not in self._paths:
            try:
                spec = self._ledger.spec(sweep)
            except BesomError:
                return 0  # written by another version
            if spec is None:
                return 0
            self._paths[sweep] = (spec.entity, spec.project)
        entity, project = self._paths[sweep]
        return self._of_project.get(f"{entity}/{project}", 0) + self._of_project.get(f"/{project}", 0)
