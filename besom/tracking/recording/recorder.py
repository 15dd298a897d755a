"""Records what happened: applies the journal's events to the store, inside the caller's transaction.

Reads: events in journal order, and a clock passed in.  Gives: outcomes, and how far each writer is recorded.
What each event does is in `applying.py`. Knows nothing of Redis.
After a failed commit call `forget`; everything in memory can be read back from the store.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from besom.messages import Event, SweepState, TrialsReopened, run_id_of
from besom.tracking.recording.applying import Applying, Progress, move_sweep, reject
from besom.tracking.recording.closing import close
from besom.tracking.recording.memory import Memory, run_of
from besom.tracking.recording.new_rows import new_trial
from besom.tracking.recording.outcomes import Outcome
from besom.tracking.recording.reopening import reopen
from besom.tracking.store.rows import Row
from besom.tracking.store.store import set_meta

__all__ = ["GRACE_SECONDS", "Recorder"]

GRACE_SECONDS = 60.0
"""How long a run that has ended waits for batches still under way."""


class Recorder:
    """The one that writes runs and trials; not for several threads."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._progress = Progress()

    @property
    def recorded(self) -> dict[str, int]:
        """Writer to number of its last recorded batch, where that changed since `take_recorded`."""
        return self._progress.recorded

    @property
    def repeats(self) -> int:
        """Batches dropped because they were recorded before."""
        return self._progress.repeats

    @property
    def gaps(self) -> int:
        """Batches that came without the one before."""
        return self._progress.gaps

    def apply(self, conn: Connection, entries: Sequence[tuple[str, Event]], now: float) -> list[Outcome]:
        """Apply events in order; `now` is the controller's clock, for the grace of ended runs.

        Returns:
            What changed, in order; trials and runs close at the end, or before an event that comes after theirs.

        Raises:
            StoreError: through `Store.begin`, when the database refuses; then call `forget`.
        """
        if not entries:
            return []
        memory = self._memory
        memory.fetch(conn, [event for _, event in entries])
        applying = Applying(conn, memory, self._progress, now)
        for entry, event in entries:
            # What comes after a run's end does not change its value, and only what is closed is reopened.
            if isinstance(event, TrialsReopened) or run_of(event) in memory.open_closings(conn):
                self._close_complete(conn, applying)
            applying.apply(entry, event)
        self._close_complete(conn, applying)
        set_meta(conn, "last_id", entries[-1][0])
        memory.trim()
        return applying.outcomes

    def _close_complete(self, conn: Connection, applying: Applying) -> None:
        """Close the runs that got their last batch or their end, once what they logged is written; write the rest."""
        self._memory.flush_logged(conn)
        closings = self._memory.open_closings(conn)
        ready = [closings[run] for run in applying.touched if run in closings and self._complete(conn, closings[run])]
        applying.touched.clear()
        if ready:
            applying.outcomes += close(conn, self._memory, ready)
        else:
            self._memory.flush(conn)

    def due(self, conn: Connection, now: float) -> list[Outcome]:
        """Close the runs whose missing batches did not come within `GRACE_SECONDS`."""
        closings = self._memory.open_closings(conn)
        late = [row for row in closings.values() if row["since"] + GRACE_SECONDS <= now]
        return close(conn, self._memory, late) if late else []

    def take_recorded(self) -> dict[str, int]:
        """`recorded`, which starts anew; call it after the commit."""
        taken, self._progress.recorded = self._progress.recorded, {}
        return taken

    def forget(self) -> None:
        """Throw away what is in memory, after a commit that failed."""
        self._memory.forget()
        self._progress.recorded = {}

    def _complete(self, conn: Connection, closing: Row) -> bool:
        """Whether every batch that the run's writers sent is recorded."""
        wanted: dict[str, int] = json.loads(closing["writers"])
        if not wanted:
            return True
        self._memory.writers.fetch(conn, wanted)
        held = {writer: self._memory.writers.get(writer) for writer in wanted}
        return all((row["seq"] if row else 0) >= wanted[writer] for writer, row in held.items())

    # ---- what the controller writes itself

    def issue(self, conn: Connection, sweep: str, suggested: Iterable[tuple[int, dict[str, Any]]], now: float) -> None:
        """Insert queued trials; a number that was issued before stays as it is."""
        memory, chosen = self._memory, dict(suggested)
        memory.sweeps.fetch(conn, [sweep])
        row = memory.sweeps.get(sweep)
        if row is None:
            return
        memory.trials.fetch(conn, ((sweep, number) for number in chosen if number <= row["issued"]))
        new = {number: params for number, params in chosen.items() if memory.trials.get((sweep, number)) is None}
        for number, params in new.items():
            memory.trials.put(new_trial(sweep, number, params, now))
        memory.sweeps.put({**row, "issued": row["issued"] + len(new)})
        memory.trials.flush(conn)
        memory.sweeps.flush(conn)

    def replan(self, conn: Connection, sweep: str, suggested: Iterable[tuple[int, dict[str, Any]]]) -> None:
        """Give trials that were never claimed other params."""
        memory, chosen = self._memory, dict(suggested)
        memory.trials.fetch(conn, ((sweep, number) for number in chosen))
        for number, params in chosen.items():
            trial = memory.trials.get((sweep, number))
            if trial and trial["state"] == "queued" and not trial["attempt"]:
                memory.trials.put({**trial, "params": json.dumps(params)})
        memory.trials.flush(conn)

    def judge(self, conn: Connection, sweep: str, stops: Mapping[int, int], passes: Mapping[int, int]) -> None:
        """Keep at which iteration a stopping rule ended trials, and up to which it let others go on."""
        trials = self._memory.trials
        trials.fetch(conn, ((sweep, number) for number in (*stops, *passes)))
        for column, judged in (("halted", stops), ("passed", passes)):
            for number, iteration in judged.items():
                trial = trials.get((sweep, number))
                if trial is not None:
                    trials.put({**trial, column: iteration})
        trials.flush(conn)

    def promote(self, conn: Connection, sweep: str, promotions: Mapping[int, int]) -> list[Outcome]:
        """Let trials that a stopping rule ended wait again; they may go on up to these iterations and further."""
        memory, outcomes = self._memory, list[Outcome]()
        memory.trials.fetch(conn, ((sweep, number) for number in promotions))
        memory.runs.fetch(conn, (run_id_of(sweep, number) for number in promotions))
        for number, iteration in promotions.items():
            trial = memory.trials.get((sweep, number))
            if trial is not None and trial["state"] == "stopped":
                # Not the controller's clock: what Redis tells of the next attempt must be later.
                outcomes.append(reopen(memory, {**trial, "passed": iteration}, trial["ended"]))
        memory.trials.flush(conn)
        memory.runs.flush(conn)
        return outcomes

    def set_sweep_state(self, conn: Connection, sweep: str, state: SweepState, now: float) -> None:
        """Move a sweep; finished and cancelled are final."""
        self._memory.sweeps.fetch(conn, [sweep])
        move_sweep(self._memory, sweep, state, now)
        self._memory.sweeps.flush(conn)

    def reject(self, conn: Connection, entry: str, reason: str, fields: object) -> None:
        """Set aside a journal entry that cannot be applied."""
        reject(conn, entry, reason, fields)
