"""The journal as tests look at it: what was appended, and a recorder that reads it when told."""

from __future__ import annotations

from typing import Any, TypeVar

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import Unreachable
from besom.messages import Batch, Claim, Event, read_events
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.history import read_rows
from besom.tracking.store.store import Store

__all__ = ["Desk", "FlakyJournal", "batches", "decoded", "events", "record"]

E = TypeVar("E", bound=Event)


def events(connection: Connection, kind: type[E]) -> list[E]:
    """Every event of one kind that the journal has, in order."""
    entries = Journal(connection).read("0-0", count=100_000)
    found = [event for entry in entries for event in read_events(entry.fields)]
    return [event for event in found if isinstance(event, kind)]


def record(token: str) -> str:
    """A trial's record in Redis, running with this token (lua/common.lua)."""
    return f"running\n1\n{token}\na\n0\n0\n{{}}"


def batches(connection: Connection, run: str = "") -> list[tuple[str, int]]:
    """(writer, number) of each batch in the journal."""
    return [(batch.writer, batch.seq) for batch in events(connection, Batch) if run in ("", batch.run)]


def decoded(connection: Connection, run: str = "") -> dict[str, list[tuple[int, Any]]]:
    """(step, value) of every column in the journal, in order of arrival."""
    found: dict[str, list[tuple[int, Any]]] = {}
    for batch in events(connection, Batch):
        if run in ("", batch.run):
            for key, (kind, steps, values) in batch.columns().history.items():
                points = values if kind == "j" else memoryview(values).cast("B").cast(kind).tolist()
                found.setdefault(key, []).extend(
                    zip(memoryview(steps).cast("B").cast("q").tolist(), points, strict=True)
                )
    return found


class FlakyJournal(Journal):
    """A journal whose Redis can be switched off.

    Args:
        connection: To fakeredis.
        failures: How many of the next appends fail.
    """

    def __init__(self, connection: Connection, failures: float = 0) -> None:
        super().__init__(connection)
        self.failures = failures

    def append_batch(self, *arguments: Any, **named: Any) -> Any:
        """As ever, while Redis is there."""
        if self.failures > 0:
            self.failures -= 1
            raise Unreachable("Redis at redis://fake does not answer: switched off")
        return super().append_batch(*arguments, **named)

    def wanted(self, claim: Claim, run: str, writer: str) -> tuple[str, int]:
        """As ever, while Redis is there."""
        if self.failures > 0:
            raise Unreachable("Redis at redis://fake does not answer: switched off")
        return super().wanted(claim, run, writer)


class Desk:
    """A recorder that works when `record` is called."""

    def __init__(self, connection: Connection, store: Store) -> None:
        self.connection, self.store = connection, store
        self.journal = Journal(connection)
        self.recorder = Recorder()
        self.last = "0-0"

    def record(self, now: float = 0.0) -> None:
        """Bring the store up to the journal's end, and say so in Redis."""
        entries = self.journal.read(self.last, count=100_000)
        if not entries:
            return
        told = [(entry.id, event) for entry in entries for event in read_events(entry.fields)]
        runs = {event.writer: event.run for _, event in told if isinstance(event, Batch)}
        with self.store.begin() as conn:
            self.recorder.apply(conn, told, now)
        self.last = entries[-1].id
        recorded = {(runs[writer], writer): seq for writer, seq in self.recorder.take_recorded().items()}
        self.journal.settle(0, entries[-1], recorded)

    def rows(self, run: str) -> list[dict[str, Any]]:
        """A run's rows in the store, without their time."""
        self.record()
        with self.store.read() as conn:
            found = read_rows(conn, run)
        return [{key: value for key, value in row.items() if key != "_timestamp"} for row in found]
