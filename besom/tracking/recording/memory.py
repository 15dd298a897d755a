"""The rows that events touch, held in memory while they are applied: sweeps, trials, runs, attempts, writers, closings.

Reads and writes: those tables, many rows at once.  Knows what an event refers to, not what it does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, delete, select

from besom.messages import (
    Batch,
    Event,
    RunEdited,
    RunEnded,
    RunStarted,
    SweepCreated,
    TrialEnded,
    TrialEvent,
    home_of,
    run_id_of,
)
from besom.tracking.recording.batches import Batches
from besom.tracking.store.rows import Kept, Row, pieces_of, save
from besom.tracking.store.schema import attempts, closings, removed, run_texts, runs, sweeps, texts, trials, writers

__all__ = ["Memory", "editor_of", "run_of"]


@lru_cache(maxsize=20_000)
def editor_of(run: str) -> str:
    """The writer as which edits of a run are counted; no other can have this id."""
    return f"edit {run}"


def run_of(event: Event) -> str:
    """Id of the run that an event is about; "" when it is about a sweep."""
    if isinstance(event, TrialEvent):
        return run_id_of(event.sweep, event.number)
    return str(getattr(event, "run", ""))


class Memory:
    """Rows by table; `fetch` before use, `flush` before the commit, `forget` when that fails."""

    def __init__(self) -> None:
        self.sweeps, self.trials, self.runs = Kept(sweeps), Kept(trials), Kept(runs)
        self.attempts, self.writers, self.removed = Kept(attempts), Kept(writers), Kept(removed)
        self.texts, self.run_texts = Kept(texts, limit=50), Kept(run_texts)
        self.batches = Batches()
        self.closings: dict[str, Row] | None = None
        self._closings_stored: set[str] = set()

    def _kept(self) -> tuple[Kept, ...]:
        return (
            self.sweeps,
            self.trials,
            self.runs,
            self.attempts,
            self.writers,
            self.removed,
            self.texts,
            self.run_texts,
        )

    def forget(self) -> None:
        """Throw everything away."""
        self.__init__()  # type: ignore[misc]

    def open_closings(self, conn: Connection) -> dict[str, Row]:
        """Runs that have ended and wait for batches."""
        if self.closings is None:
            self.closings = {row["run"]: dict(row) for row in conn.execute(select(closings)).mappings()}
            self._closings_stored = set(self.closings)
        return self.closings

    def fetch(self, conn: Connection, events: Iterable[Event]) -> None:
        """Load whatever these events refer to."""
        self.open_closings(conn)
        wanted: dict[str, set[Any]] = defaultdict(set)
        for event in events:
            _refer(event, wanted)
        for table in ("sweeps", "trials", "runs", "attempts", "writers"):
            getattr(self, table).fetch(conn, wanted[table])
        self.removed.fetch(conn, wanted["sweeps"] | wanted["runs"])
        self.batches.series.fetch(conn, wanted["logging"])

    def flush(self, conn: Connection) -> None:
        """Write what changed."""
        for kept in self._kept():
            kept.flush(conn)
        self.batches.flush(conn)
        self._flush_closings(conn)

    def flush_logged(self, conn: Connection) -> None:
        """Write what runs have logged, all that must be there before one is closed."""
        self.attempts.flush(conn)
        self.batches.flush(conn)

    def _flush_closings(self, conn: Connection) -> None:
        open_now = self.open_closings(conn)
        for some in pieces_of(self._closings_stored - open_now.keys()):
            conn.execute(delete(closings).where(closings.c.run.in_(some)))
        save(conn, closings, [row for run, row in open_now.items() if run not in self._closings_stored])
        self._closings_stored = set(open_now)

    def trim(self) -> None:
        """Keep the memory bounded; call it when nothing is left to write."""
        for kept in self._kept():
            kept.trim()
        self.batches.series.trim()

    def keep_texts(self, conn: Connection, run: str, rows: Collection[Row]) -> None:
        """Keep the texts that are not in the store yet, and that this run has them."""
        self.texts.fetch(conn, [row["id"] for row in rows])
        for row in rows:
            if self.texts.get(row["id"]) is None:
                self.texts.put(row)
            self.run_texts.put({"run": run, "text": row["id"]})

    def ended_trials(self, conn: Connection, sweep: str, states: Collection[str]) -> list[Row]:
        """The sweep's trials in these states, loaded; call it after `flush`."""
        query = select(trials.c.number).where(trials.c.sweep == sweep, trials.c.state.in_(states))
        numbers = sorted(conn.scalars(query))
        self.trials.fetch(conn, ((sweep, number) for number in numbers))
        self.runs.fetch(conn, (run_id_of(sweep, number) for number in numbers))
        return [row for number in numbers if (row := self.trials.get((sweep, number))) is not None]

    def newest_attempt(self, run: str) -> int:
        """The newest attempt that was claimed or has called init()."""
        trial, row = self.trials.get(home_of(run)), self.runs.get(run)
        return max(trial["attempt"] if trial else 0, row["attempt"] if row else 0)

    def drop_runs(self, gone: Collection[str], gone_texts: Collection[str]) -> None:
        """Forget runs that were removed from the store, and the texts that went with them."""
        self.texts.drop(gone_texts.__contains__)
        self.run_texts.drop(lambda key: key[0] in gone)
        self.runs.drop(gone.__contains__)
        self.attempts.drop(lambda key: key[0] in gone)
        for writer in self.writers.select(lambda row: row["run"] in gone):
            self.writers.drop(writer["id"].__eq__)
        self.batches.series.drop(gone)
        for run in gone:
            if self.closings:
                self.closings.pop(run, None)
            self._closings_stored.discard(run)

    def drop_sweep(self, sweep: str) -> None:
        """Forget a sweep that was removed from the store."""
        self.sweeps.drop(sweep.__eq__)
        self.trials.drop(lambda key: key[0] == sweep)


def _refer(event: Event, wanted: dict[str, set[Any]]) -> None:
    """Add the keys of the rows that an event is about."""
    if isinstance(event, Batch):
        run, home = event.run, home_of(event.run)
        wanted["logging"].add((run, event.attempt))
        wanted["writers"].add(event.writer)
    elif isinstance(event, TrialEvent):
        run, home = run_id_of(event.sweep, event.number), (event.sweep, event.number)
    elif isinstance(event, SweepCreated):
        wanted["sweeps"].add(event.spec.id)
        return
    else:
        run = run_of(event)
        home = home_of(run)
        if sweep := getattr(event, "sweep", ""):
            wanted["sweeps"].add(sweep)
    if run:
        wanted["runs"].add(run)
        wanted["sweeps"].add(home[0])
        wanted["trials"].add(home)
    if isinstance(event, Batch | RunStarted | TrialEvent):
        wanted["attempts"].add((run, event.attempt))
    if isinstance(event, RunEdited):
        wanted["writers"].add(editor_of(event.run))
    elif isinstance(event, TrialEnded | RunEnded):
        wanted["writers"].update(event.writers)
