"""Applies the journal's events to the store, inside the caller's transaction.

Reads: events in journal order, and a clock passed in.  Gives: outcomes, and how far each writer is recorded.
Every event may come twice, and the whole journal again from 0: a batch by its writer's number, a trial by its
attempt, a run and a sweep by their state tell what was already applied. Knows nothing of Redis.
After a failed commit call `forget`; everything in memory can be read back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, update

from besom.messages import (
    AttemptLost,
    AttemptReleased,
    Batch,
    Event,
    RunBeat,
    RunEnded,
    RunStarted,
    SweepCreated,
    SweepRemoved,
    SweepState,
    SweepStateSet,
    TrialClaimed,
    TrialEnded,
    Unreadable,
    run_id_of,
)
from besom.tracking.batches import Damaged, open_batch
from besom.tracking.closing import close
from besom.tracking.memory import Memory, home_of
from besom.tracking.new_rows import new_attempt, new_closing, new_run, new_sweep, new_trial, new_writer, started_run
from besom.tracking.outcomes import Outcome, SweepAppeared, SweepGone, SweepMoved, TrialBack, TrialTaken
from besom.tracking.removal import remove_runs, remove_sweep, runs_of_sweep
from besom.tracking.rows import Row, save
from besom.tracking.schema import rejected, trials
from besom.tracking.store import set_meta

__all__ = ["GRACE_SECONDS", "Recorder"]

GRACE_SECONDS = 60.0
"""How long a run that has ended waits for batches still under way."""

_SWEEP_OVER = ("finished", "cancelled")
_TRIAL_OPEN = ("queued", "running")
_RUN_OPEN = ("running", "crashed")


class Recorder:
    """The one that writes runs and trials; not for several threads."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._outcomes: list[Outcome] = []
        self._touched: set[str] = set()
        self._conn: Connection
        self._entry, self._now, self._at = "", 0.0, 0.0
        self.recorded: dict[str, int] = {}
        """Writer to number of its last recorded batch, where that changed since `take_recorded`."""
        self.repeats = 0
        """Batches dropped because they were recorded before."""
        self.gaps = 0
        """Batches that came without the one before."""
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            SweepCreated: self._sweep_created,
            SweepStateSet: self._sweep_state_set,
            SweepRemoved: self._removed,
            TrialClaimed: self._claimed,
            AttemptReleased: self._given_back,
            AttemptLost: self._given_back,
            TrialEnded: self._trial_ended,
            RunStarted: self._run_started,
            RunEnded: self._run_ended,
            RunBeat: self._run_beat,
            Batch: self._batch,
        }

    # ---- what the controller calls

    def apply(self, conn: Connection, entries: Sequence[tuple[str, Event]], now: float) -> list[Outcome]:
        """Apply events in order; `now` is the controller's clock, for the grace of ended runs.

        Returns:
            What changed, in order; trials and runs that could be closed come last.

        Raises:
            StoreError: through `Store.begin`, when the database refuses; then call `forget`.
        """
        if not entries:
            return []
        self._conn, self._now = conn, now
        self._memory.fetch(conn, (event for _, event in entries))
        for self._entry, event in entries:
            self._at = event.at_ms / 1000 or _seconds(self._entry)
            self._handlers[type(event)](event)
        self._memory.flush(conn)
        set_meta(conn, "last_id", entries[-1][0])
        closings = self._memory.open_closings(conn)
        touched = [closings[run] for run in sorted(self._touched) if run in closings]
        ready = [row for row in touched if self._complete(row)]
        outcomes = self._outcomes + (close(conn, self._memory, ready) if ready else [])
        self._outcomes, self._touched = [], set()
        self._memory.trim()
        return outcomes

    def due(self, conn: Connection, now: float) -> list[Outcome]:
        """Close the runs whose missing batches did not come within `GRACE_SECONDS`."""
        closings = self._memory.open_closings(conn)
        late = [row for row in closings.values() if row["since"] + GRACE_SECONDS <= now]
        return close(conn, self._memory, late) if late else []

    def take_recorded(self) -> dict[str, int]:
        """`recorded`, which starts anew; call it after the commit."""
        taken, self.recorded = self.recorded, {}
        return taken

    def forget(self) -> None:
        """Throw away what is in memory, after a commit that failed."""
        self._memory.forget()
        self._outcomes, self._touched, self.recorded = [], set(), {}

    def issue(
        self, conn: Connection, sweep: str, suggested: Iterable[tuple[int, dict[str, Any]]], now: float
    ) -> None:
        """Insert queued trials; a number that was issued before stays as it is."""
        memory, chosen = self._memory, dict(suggested)
        memory.sweeps.fetch(conn, [sweep])
        memory.trials.fetch(conn, ((sweep, number) for number in chosen))
        new = {number: params for number, params in chosen.items() if memory.trials.get((sweep, number)) is None}
        for number, params in new.items():
            memory.trials.put(new_trial(sweep, number, params, now))
        if (row := memory.sweeps.get(sweep)) and new:
            row["issued"] += len(new)
            memory.sweeps.put(row)
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

    def set_sweep_state(self, conn: Connection, sweep: str, state: SweepState, now: float) -> None:
        """Move a sweep; finished and cancelled are final."""
        self._memory.sweeps.fetch(conn, [sweep])
        self._move_sweep(sweep, state, now)
        self._memory.sweeps.flush(conn)

    def reject(self, conn: Connection, entry: str, reason: str, fields: object) -> None:
        """Set aside a journal entry that cannot be applied."""
        row = {"id": entry, "reason": reason.replace("\0", ""), "fields": repr(fields)[:10_000].replace("\0", "")}
        save(conn, rejected, [row])

    # ---- sweeps

    def _sweep_created(self, event: SweepCreated) -> None:
        spec = event.spec
        if self._memory.sweeps.get(spec.id) is None and not self._gone(spec.id):
            self._memory.sweeps.put(new_sweep(spec))
            self._outcomes.append(SweepAppeared(spec))

    def _sweep_state_set(self, event: SweepStateSet) -> None:
        if self._move_sweep(event.sweep, event.state, self._at):
            self._outcomes.append(SweepMoved(event.sweep, event.state))

    def _move_sweep(self, sweep: str, state: SweepState, at: float) -> bool:
        row = self._memory.sweeps.get(sweep)
        if row is None or row["state"] in (state, *_SWEEP_OVER):
            return False
        self._memory.sweeps.put({**row, "state": state, "ended": at if state in _SWEEP_OVER else None})
        return True

    def _removed(self, event: SweepRemoved) -> None:
        name = event.sweep or event.run
        if self._gone(name) and not self._later_than_removal(name):
            return
        conn, memory = self._conn, self._memory
        memory.flush(conn)
        runs = runs_of_sweep(conn, event.sweep) if event.sweep else {event.run}
        remove_runs(conn, runs)
        memory.drop_runs(runs)
        if event.sweep:
            remove_sweep(conn, event.sweep)
            memory.drop_sweep(event.sweep)
            self._outcomes.append(SweepGone(event.sweep))
        memory.removed.put({"id": name, "entry": self._entry})
        memory.batches.series.fetch(conn, self._logging)

    def _gone(self, name: str) -> bool:
        return self._memory.removed.get(name) is not None

    def _later_than_removal(self, name: str) -> bool:
        row = self._memory.removed.get(name)
        return row is None or _order(self._entry) > _order(row["entry"])
