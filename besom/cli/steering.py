"""What the commands in `sweeps.py` do: create a sweep, move its state, remove it.

Reads and writes: Redis; asks `Api` what is recorded.  State changes need no controller; removal does.
"""

from __future__ import annotations

import shlex
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, cast

from besom.broker.connection import Connection
from besom.broker.find import find_sweep, read_address
from besom.broker.journal import Journal, entry_order
from besom.broker.lead import read_leader
from besom.broker.ledger import Ledger
from besom.cli.options import connection_for
from besom.controller.create import create_sweep, view_of
from besom.controller.sweep_config import load
from besom.errors import NotFound, Unreachable, UsageError
from besom.messages import Event, SweepRemoved, SweepSpec, SweepState, TrialsReopened, TrialState
from besom.settings import Settings
from besom.tracking.reading.api import Api

__all__ = ["Removal", "create", "move", "need_controller", "opened_sweep", "reopen", "until_recorded"]

_OVER: Final = ("finished", "cancelled")
_RECORD_SECONDS: Final = 60.0
_CANNOT: Final = {
    "paused": "cannot be paused; only a running sweep can",
    "running": "cannot be resumed; only a paused sweep can",
    "stopping": "cannot be stopped; it takes no more trials",
    "cancelled": "cannot be cancelled; it is over",
}


def create(settings: Settings, file: str, **overrides: Any) -> SweepSpec:
    """Create a sweep from a file, and print what scripts read of W&B's output.

    Raises:
        ConfigError: what the file says cannot be; nothing is created.
        Unreachable: Redis does not answer, or the service cannot start.
    """
    config = load(file, **overrides)
    print(f"Creating sweep from: {file}", flush=True)
    connection = connection_for(settings, start=True)
    try:
        spec = create_sweep(connection, config, settings)
        view = view_of(spec)
    finally:
        connection.close()
    print(f"Creating sweep with ID: {spec.id}")
    print(f"View sweep at: {view}")
    print(f"Run sweep agent with: besom agent {shlex.quote(spec.path)}")
    if not (spec.program or spec.command):
        hint = f"besom: the sweep names no program; run its trials with: besom.agent({spec.path!r}, function=train)"
        print(hint, file=sys.stderr)
    return spec


def move(settings: Settings, sweep: str, state: str) -> str:
    """Set a sweep's state; a sentence that tells what happens now.

    Raises:
        NotFound: there is no such sweep.
        UsageError: it cannot go there from the state it is in.
        Unreachable: no Redis, and no service that has one.
    """
    with opened_sweep(settings, sweep) as (connection, ledger, spec):
        verdict, before = ledger.set_state(spec.id, cast(SweepState, state))
        if verdict == "unknown":  # removed since
            raise NotFound("sweep", spec.path, connection.shown)
        if verdict == "refused":
            raise UsageError(f"sweep {spec.path} is {before} and {_CANNOT[state]}")
        told = f"{spec.path} {'was' if before == state else 'is'} {state}"
        if before == state:
            told += " already"
        if not read_leader(connection).alive:
            print(f"besom: no controller at {connection.shown} records this; {_START}", file=sys.stderr)
        return f"{told}: {_what_now(ledger, spec, state)}"


_START: Final = "start one with: besom controller"


def _what_now(ledger: Ledger, spec: SweepSpec, state: str) -> str:
    left = ledger.running(spec.id)
    trials = f"{left} trial{'' if left == 1 else 's'}"
    if state == "running":
        projects = (f"{spec.entity}/{spec.project}", f"/{spec.project}")  # of agents that serve all their sweeps
        told = ledger.agents().values()
        agents = sum(info.get("sweep") == spec.id or info.get("project") in projects for info in told)
        if not agents:
            return f"no agent serves it; start one with: besom agent {shlex.quote(spec.path)}"
        return f"{agents} agent{' goes' if agents == 1 else 's go'} on"
    if state == "cancelled":
        return f"{trials} told to end, within a beat of the agents" if left else "no trial was running"
    go_on = f"{trials} still run{'s' if left == 1 else ''}" if left else "no trial is running"
    if state == "paused":
        return f"no new trial starts, {go_on}; go on with: besom resume {spec.id}"
    return f"no new trial starts, {go_on}"


def reopen(settings: Settings, sweep: str, states: Sequence[TrialState]) -> str:
    """Queue a sweep's trials in these states again; a sentence that tells how many.

    Raises:
        NotFound: there is no such sweep.
        UsageError: it has none in these states, or takes no more trials.
        Unreachable: no controller is there to carry it out.
    """
    with opened_sweep(settings, sweep) as (connection, ledger, spec):
        need_controller(connection, "nothing can be run again")
        state, wanted = ledger.state(spec.id), " or ".join(states)
        if state in ("stopping", "cancelled"):
            raise UsageError(f"sweep {spec.path} is {state} and takes no more trials; make a new sweep of its config")
        api = Api(settings=settings)
        try:
            counts = api.sweep(spec.id).counts
        finally:
            api.close()
        count = sum(counts.get(one, 0) for one in states)
        if not count:
            raise UsageError(f"sweep {spec.path} has no {wanted} trials; `besom show {spec.id}` shows those it has")
        until_recorded(connection, [TrialsReopened(sweep=spec.id, states=tuple(states))], f"retry {spec.path}")
        told = f"{spec.path}: {count} {wanted} trial{'' if count == 1 else 's'} wait{'s' if count == 1 else ''} again"
        return f"{told}; {_what_now(ledger, spec, 'running')}"


@contextmanager
def opened_sweep(settings: Settings, sweep: str) -> Iterator[tuple[Connection, Ledger, SweepSpec]]:
    """A sweep by its id or path, and the Redis it is in.

    Raises:
        NotFound: there is no such sweep.
        Unreachable: no Redis, and no service that has one.
    """
    read_address(sweep)  # before anything is opened
    connection = connection_for(settings)
    try:
        ledger = Ledger(connection)
        yield connection, ledger, find_sweep(ledger, sweep)
    finally:
        connection.close()


def need_controller(connection: Connection, so: str) -> None:
    """Raises Unreachable, which says what cannot be done, when no controller is there."""
    if not read_leader(connection).alive:
        raise Unreachable(f"no controller at {connection.shown}, so {so}; {_START}")


def until_recorded(connection: Connection, events: Sequence[Event], what: str) -> None:
    """Append events, and wait until the store has them.

    Raises:
        Unreachable: the controller does not come to it.
    """
    journal, pause = Journal(connection), threading.Event()
    last, deadline = entry_order([journal.append(event) for event in events][-1]), time.monotonic() + _RECORD_SECONDS
    while entry_order(journal.recorded_id()) < last:
        if time.monotonic() > deadline:
            raise Unreachable(
                f"the controller at {connection.shown} did not {what} within {_RECORD_SECONDS:.0f} s; "
                "it will when it comes to it, `besom status` shows how far it is"
            )
        pause.wait(0.02)


class Removal:
    """What a user wants deleted, found and checked; a context that holds its connections.

    Raises:
        NotFound: one of the names is neither a sweep's nor a run's.
        UsageError: one of them is not over.
        Unreachable: no controller is there to carry it out.
    """

    def __init__(self, settings: Settings, names: Sequence[str]) -> None:
        for name in names:
            read_address(name, "sweep or run")
        self._connection: Connection = connection_for(settings)
        self._found: dict[str, SweepRemoved] = {}
        try:
            need_controller(self._connection, "nothing can be deleted from its store")
            api = Api(settings=settings)
            try:
                for name in names:
                    self._find(api, name)
            finally:
                api.close()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Removal:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def words(self) -> str:
        """What is deleted, such as "sweep me/digits/k3x9a2bq (24 trials)"."""
        return ", ".join(self._found)

    def carry_out(self) -> None:
        """Delete it, and wait until the store has.

        Raises:
            Unreachable: the controller does not come to it.
        """
        until_recorded(self._connection, list(self._found.values()), f"delete {self.words}")

    def _find(self, api: Api, name: str) -> None:
        address = read_address(name, "sweep or run")
        row = api.ask("sweep", sweep_id=address.id)
        if row is not None and address.fits(row["entity"], row["project"]):
            words = self._check_sweep(api, row)
            self._found[words] = SweepRemoved(sweep=address.id)
            return
        row = api.ask("run", run_id=address.id)
        if row is None or not address.fits(row["entity"], row["project"]):
            raise NotFound("sweep or run", str(address), api.where)
        self._found[_check_run(row)] = SweepRemoved(run=address.id)

    def _check_sweep(self, api: Api, row: dict[str, Any]) -> str:
        path = f"{row['entity']}/{row['project']}/{row['id']}"
        state = Ledger(self._connection).state(row["id"])
        if row["state"] not in _OVER and state not in _OVER:
            raise UsageError(
                f"sweep {path} is {state or row['state']}, and only one that is over can be deleted; "
                f"end it with: besom cancel {row['id']}"
            )
        count = sum(api.ask("sweep_counts", sweep_id=row["id"]).values())
        return f"sweep {path} ({count} trial{'' if count == 1 else 's'})"


def _check_run(row: dict[str, Any]) -> str:
    path = f"{row['entity']}/{row['project']}/{row['id']}"
    if row["state"] in ("queued", "running"):
        raise UsageError(f"run {path} is {row['state']}, and only one that is over can be deleted")
    return f"run {path}" + (" (its trial stays counted in the sweep)" if row["sweep"] else "")
