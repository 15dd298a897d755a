"""Where an agent's turns come from when it serves all sweeps of a project: one queue at a time, the neediest first."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from redis.exceptions import RedisError

from besom.broker.connection import BLOCK_SECONDS, Connection
from besom.broker.ledger import Ledger
from besom.broker.turns import Turn, Turns, TurnWorker
from besom.errors import BesomError
from besom.messages import SweepSpec

__all__ = ["ProjectSweeps", "neediest"]

log = logging.getLogger("besom")

_BLOCK_SECONDS: Final = 1.0
"""On one queue, while others may get turns."""
_LOOK_SECONDS: Final = 1.0
"""Between two looks at which sweeps there are."""
_TURN_MS: Final = 2000
"""How long the only sweep is served before others are looked for."""
_WORTH_TURNS: Final = ("pending", "running")


def neediest(running: Mapping[str, int], weights: Mapping[str, float]) -> list[str]:
    """Sweeps in the order in which they should get the next trial.

    Args:
        running: How many trials of each run now, anywhere.
        weights: The sweeps, and the share that each is to have; above 0.
    """
    return sorted(weights, key=lambda sweep: (running.get(sweep, 0) / weights[sweep], -weights[sweep], sweep))


class ProjectSweeps:
    """Turns of all sweeps of one project, for as long as the agent lives.

    Args:
        connection: Redis.
        entity: User or team; '' for any.
        project: Its name.
        allowed: Raises BesomError for a sweep whose command this agent may not execute.
        say: Prints a line for the user.
    """

    def __init__(
        self,
        connection: Connection,
        entity: str,
        project: str,
        allowed: Callable[[SweepSpec], None],
        say: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._entity, self._project = entity, project
        self._allowed = allowed
        self._say = say
        self._ledger = Ledger(connection)
        self._turns = Turns(connection)
        # One private connection for all queues: only one of them is waited for at a time.
        client = connection.blocking()
        self._blocking = Connection(connection.url, connection.namespace, client=client)
        self._specs: dict[str, SweepSpec | None] = {}  # None: not of this project, or not for this agent
        self._workers: dict[str, TurnWorker] = {}
        self._current: dict[str, float] = {}  # sweep: weight
        self._next_look = 0.0
        self._rounds = 0

    def next_turn(self, seconds: float = BLOCK_SECONDS) -> Turn | None:
        """Wait for a turn of the sweep that has the fewest running trials for its weight, among those with turns."""
        try:
            self._look()
            sweep, has_turns = self._chosen()
            if sweep is None:
                threading.Event().wait(min(_LOOK_SECONDS, seconds))
                return None
            alone = len(self._current) == 1
            block = _BLOCK_SECONDS if has_turns or not alone else 2 * _BLOCK_SECONDS
            turn = self._worker(sweep).take(min(seconds, block))
            if turn is None:
                return None
            # One trial, then it is seen anew whose turn it is. The sweep is the queue's, whatever the job says.
            trials = turn.trials if alone else min(turn.trials, 1)
            return replace(turn, sweep=sweep, trials=trials, milliseconds=min(turn.milliseconds, _TURN_MS))
        except (RedisError, OSError):
            self._connection.call(self._connection.redis.ping)  # waits until it answers
            return None

    def noted(self, sweep: str, state: str) -> None:
        """A sweep whose state is told to be none that has work is looked at no more for now."""
        if state and state not in _WORTH_TURNS:
            self._current.pop(sweep, None)

    def over(self) -> bool:
        """Never: other sweeps may come."""
        return False

    def spec_of(self, sweep: str) -> SweepSpec:
        """A sweep that a turn was for."""
        spec = self._specs[sweep]
        assert spec is not None
        return spec

    def close(self) -> None:
        """Give the private connection back."""
        self._blocking.redis.close()

    # ---- inside

    def _look(self) -> None:
        """Which sweeps of the project may have work."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_SECONDS
        names = self._names()
        for sweep in names:
            if sweep not in self._specs:
                self._specs[sweep] = self._met(sweep)
        for gone in self._specs.keys() - names:
            del self._specs[gone]
            self._workers.pop(gone, None)
        ours = {sweep: spec for sweep, spec in self._specs.items() if spec is not None}
        self._current = {
            sweep: max(1e-9, spec.weight) for sweep, spec in ours.items() if self._ledger.state(sweep) in _WORTH_TURNS
        }

    def _names(self) -> set[str]:
        key, client = self._connection.keys.sweeps(), self._connection.redis
        return {name.decode() for name in self._connection.call(lambda: client.zrange(key, 0, -1))}

    def _met(self, sweep: str) -> SweepSpec | None:
        try:
            spec = self._ledger.spec(sweep)
            if spec is None or spec.project != self._project or self._entity not in ("", spec.entity):
                return None
            self._allowed(spec)
        except BesomError as error:
            self._say(f"sweep {sweep} is left to other agents: {error}")
            return None
        self._say(f"takes trials of {spec.path}")
        return spec

    def _chosen(self) -> tuple[str | None, bool]:
        """The neediest sweep that has turns; when none has, each in its turn."""
        if not self._current:
            return None, False
        order = neediest(self._running(), self._current) if len(self._current) > 1 else list(self._current)
        for sweep in order:
            if self._turns.waiting(sweep):
                return sweep, True
        self._rounds += 1
        return order[self._rounds % len(order)], False

    def _running(self) -> Counter[str]:
        """Trials of each sweep that are with an agent now."""
        key, client = self._connection.keys.leases(), self._connection.redis
        members = self._connection.call(lambda: client.zrange(key, 0, -1))
        return Counter(member.decode().rpartition(":")[0] for member in members)

    def _worker(self, sweep: str) -> TurnWorker:
        if sweep not in self._workers:
            self._workers[sweep] = TurnWorker(self._blocking, sweep)
        return self._workers[sweep]
