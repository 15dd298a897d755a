"""A Redis and a store that outlive controllers, an agent that runs trials by hand, and what holds at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fakeredis
import sqlalchemy

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.broker.ledger import Ending, Ledger
from besom.controller.create import create_sweep
from besom.controller.loop import Controller
from besom.controller.sweep_config import parse
from besom.messages import Batch, BatchBody, Claim, SweepSpec
from besom.settings import read_settings
from besom.tracking.store import reader
from besom.tracking.store.store import Store
from tests.tracking.stories import column

__all__ = ["Crash", "Effects", "World", "grid_of"]

GRID = [1, 2, 3]


class Crash(BaseException):
    """kill -9, as far as the controller can tell."""


class Effects:
    """Counts what a controller does to the outside, a script in Redis or a commit, and raises after one of these.

    What it was about to do next is then undone: between two effects nothing outside changes.
    """

    def __init__(self, last: int | None = None, error: BaseException | None = None) -> None:
        self.count = 0
        self._last = last
        self._error = error or Crash()

    def happened(self) -> None:
        """One more."""
        self.count += 1
        if self.count == self._last:
            raise self._error


class _Watched(Connection):
    """A connection whose scripts are effects."""

    effects: Effects

    def script(self, name: str, *arguments: Any, patience: float | None = None) -> Any:
        if name == "lead":  # the lease is taken and left outside the work
            return super().script(name, *arguments, patience=patience)
        result = super().script(name, *arguments, patience=patience)
        self.effects.happened()
        return result


class _WatchedStore:
    """A store whose commits are effects."""

    def __init__(self, store: Store, effects: Effects) -> None:
        self._store = store
        self._effects = effects

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def begin(self, epoch: int | None = None) -> Iterator[sqlalchemy.Connection]:
        with self._store.begin(epoch) as conn:
            yield conn
        self._effects.happened()


class World:
    """What is outside controllers and agents."""

    def __init__(self, folder: Path) -> None:
        self.server = fakeredis.FakeServer()
        self.store = Store.open(f"sqlite:///{folder}/store.db")
        self.connection = self.connect()
        self.ledger = Ledger(self.connection)
        self.journal = Journal(self.connection)
        self.now = 1000.0
        self.ran: list[tuple[str, int]] = []
        self._controllers: list[Controller] = []
        self._nonce = 0

    def connect(self) -> Connection:
        """A client of its own."""
        return Connection("redis://fake", client=fakeredis.FakeRedis(server=self.server), patience=0)

    def controller(self, effects: Effects | None = None, store: Store | None = None, **settings: Any) -> Controller:
        """One that has done nothing yet; `effects` may end it."""
        wanted: Any = store or self.store
        connection = self.connect()
        if effects is not None:
            connection = _Watched("redis://fake", client=connection.redis, patience=0)
            connection.effects = effects
            wanted = _WatchedStore(self.store, effects)
        made = Controller(connection, wanted, read_settings(**settings), clock=lambda: self.now)
        self._controllers.append(made)
        return made

    def close(self) -> None:
        for controller in self._controllers:
            controller.close()
        self.connection.redis.close()
        self.store.close()

    def expire_lease(self) -> None:
        """As if the controller that leads had slept past its lease, or had died a while ago."""
        self.connection.redis.hset(self.connection.keys.controller(), "until", 1)

    # ---- users

    def sweep(self, method: str = "grid", values: Sequence[Any] = GRID, **keys: Any) -> str:
        """Create one with a single parameter x."""
        config = {"method": method, "metric": {"name": "loss", "goal": "minimize"}, "seed": 1}
        config |= {"parameters": {"x": {"values": list(values)}}, **keys}
        return create_sweep(self.connection, parse(config), read_settings()).id

    def spec(self, sweep: str) -> SweepSpec:
        found = self.ledger.spec(sweep)
        assert found is not None
        return found

    # ---- an agent

    def claim(self, sweep: str, count: int = 1, agent: str = "hand") -> list[Claim]:
        """Take trials."""
        self._nonce += 1
        return self.ledger.claim(sweep, agent, count, f"nonce{self._nonce}")[1]

    def log(
        self, claim: Claim, seq: int = 1, loss: float | None = None, writer: str = "w", step: int | None = None
    ) -> None:
        """Append one batch with a loss: x unless given."""
        value = float(claim.params["x"]) if loss is None else loss
        body = BatchBody(history={"loss": column([seq - 1 if step is None else step], [value])}).pack()
        batch = Batch(run=claim.run_id, attempt=claim.attempt, writer=f"{writer}-{claim.token}", seq=seq, body=body)
        status = self.journal.append_batch(batch, first=False, limit=10**9, claim=claim).status
        assert status == "ok"

    def end(self, claim: Claim, batches: int = 0, state: str = "finished", writer: str = "w") -> str:
        """Report the end; Redis' reply."""
        details = {"writers": json.dumps({f"{writer}-{claim.token}": batches})} if batches else {}
        ending = Ending(claim, state, details)  # type: ignore[arg-type]
        return self.ledger.complete([ending])[0][0][0]

    def run_trial(self, claim: Claim) -> None:
        """Run it as an agent would."""
        self.ran.append((claim.sweep, claim.number))
        self.log(claim)
        assert self.end(claim, 1) == "ok"

    def work(self, sweep: str, count: int = 1) -> int:
        """Claim and run at most `count` trials; how many there were."""
        claims = self.claim(sweep, count)
        for claim in claims:
            self.run_trial(claim)
        return len(claims)

    # ---- what is known

    def rows(self, sweep: str) -> list[dict[str, Any]]:
        with self.store.read() as conn:
            return [dict(row) for row in reader.trials(conn, sweep)]

    def state(self, sweep: str) -> str | None:
        with self.store.read() as conn:
            found = reader.sweep(conn, sweep)
            return found["state"] if found else None

    def rejected(self) -> list[dict[str, Any]]:
        with self.store.read() as conn:
            return [dict(row) for row in reader.rejected(conn)]

    def drive(self, controller: Controller, sweep: str, rounds: int = 60) -> None:
        """Controller and agent by turns, until the sweep is finished in the store."""
        for _ in range(rounds):
            controller.step(block_ms=0)
            if self.state(sweep) == "finished":
                return
            self.work(sweep)
        raise AssertionError(f"the sweep is not over: {self.state(sweep)}, {self.rows(sweep)}")

    def check(self, sweep: str, values: Sequence[Any] = GRID) -> None:
        """Each point once, run once, its value recorded, nothing left in Redis."""
        rows = self.rows(sweep)
        assert grid_of(rows) == Counter(values)
        assert [row["number"] for row in rows] == list(range(1, len(values) + 1))
        assert {row["state"] for row in rows} == {"finished"}
        assert all(row["value"] == row["params"]["x"] for row in rows)
        assert Counter(self.ran) == Counter((sweep, row["number"]) for row in rows)
        assert self.ledger.alive(sweep) == set()
        assert self.ledger.ready_counts([sweep]) == [0]
        assert self.ledger.state(sweep) == "finished"
        assert self.rejected() == []


def grid_of(rows: Sequence[dict[str, Any]]) -> Counter[Any]:
    """How often each x was tried."""
    return Counter(row["params"]["x"] for row in rows)
