"""What each event of the journal does to the rows in memory.

Every event may come twice, and the whole journal again from 0: a batch by its writer's number, a trial by its
attempt, a run and a sweep by their state tell what was already applied. Events of what was removed do nothing.
Reads and writes: `Memory`.  Knows nothing of transactions.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from besom.messages import (
    ArtifactLogged,
    AttemptLost,
    AttemptReleased,
    Batch,
    BatchBody,
    Event,
    FileSaved,
    RunAlerted,
    RunBeat,
    RunEdited,
    RunEnded,
    RunStarted,
    SweepCreated,
    SweepEdit,
    SweepEdited,
    SweepRemoved,
    SweepSpec,
    SweepState,
    SweepStateSet,
    TrialClaimed,
    TrialEnded,
    TrialEvent,
    TrialRetried,
    TrialsReopened,
    Unreadable,
    home_of,
    run_id_of,
)
from besom.tracking.recording.batches import Damaged, Opened, open_batch
from besom.tracking.recording.memory import Memory, editor_of
from besom.tracking.recording.new_rows import (
    edited_run,
    named_as_before,
    new_attempt,
    new_closing,
    new_run,
    new_sweep,
    new_trial,
    new_writer,
    started_run,
    text_rows,
)
from besom.tracking.recording.outcomes import (
    Outcome,
    RunClosed,
    SweepAppeared,
    SweepChanged,
    SweepGone,
    SweepMoved,
    TrialBack,
    TrialTaken,
)
from besom.tracking.recording.removal import remove_runs, remove_sweep, runs_of_sweep
from besom.tracking.recording.reopening import is_promoted, reopen
from besom.tracking.store.alert_rows import record_alert
from besom.tracking.store.artifact_rows import record_artifact
from besom.tracking.store.rows import Row, save
from besom.tracking.store.schema import files, rejected

__all__ = ["Applying", "Progress", "move_sweep", "reject"]

_SWEEP_OVER = ("finished", "cancelled")
_OPEN = ("queued", "running", "crashed")


@dataclass
class Progress:
    """What the recorder counts while it applies."""

    recorded: dict[str, int] = field(default_factory=dict)
    repeats: int = 0
    gaps: int = 0


def move_sweep(memory: Memory, sweep: str, state: SweepState, at: float) -> bool:
    """Whether the sweep's state changed; finished and cancelled are final."""
    row = memory.sweeps.get(sweep)
    if row is None or row["state"] in (state, *_SWEEP_OVER):
        return False
    memory.sweeps.put({**row, "state": state, "ended": at if state in _SWEEP_OVER else None})
    return True


def reject(conn: Connection, entry: str, reason: str, fields: object) -> None:
    """Set aside a journal entry that cannot be applied."""
    shown = repr(fields)[:10_000]
    save(conn, rejected, [{"id": entry, "reason": reason.replace("\0", ""), "fields": shown.replace("\0", "")}])


class Applying:
    """One call's events, in order."""

    def __init__(self, conn: Connection, memory: Memory, progress: Progress, now: float) -> None:
        self._conn, self._memory, self._progress, self._now = conn, memory, progress, now
        self._entry, self._at = "", 0.0
        self.outcomes: list[Outcome] = []
        self.touched: dict[str, None] = {}
        """Runs that may have become complete."""
        self._handlers: dict[type[Event], Callable[[Any], None]] = {
            SweepCreated: self._sweep_created,
            SweepEdited: self._sweep_edited,
            SweepStateSet: self._sweep_state_set,
            SweepRemoved: self._removed,
            TrialClaimed: self._claimed,
            AttemptReleased: self._given_back,
            AttemptLost: self._given_back,
            TrialEnded: self._trial_ended,
            TrialRetried: self._retried,
            TrialsReopened: self._reopened,
            RunStarted: self._run_started,
            RunEnded: self._run_ended,
            RunBeat: self._run_beat,
            RunEdited: self._run_edited,
            RunAlerted: self._alerted,
            ArtifactLogged: self._artifact_logged,
            FileSaved: self._file_saved,
            Batch: self._batch,
        }

    def apply(self, entry: str, event: Event) -> None:
        """Apply one event; its time is Redis' own, from the event or from the entry's id."""
        self._entry, self._at = entry, event.at_ms / 1000 or _order(entry)[0] / 1000
        self._handlers[type(event)](event)

    # ---- sweeps

    def _sweep_created(self, event: SweepCreated) -> None:
        spec = event.spec
        if self._memory.sweeps.get(spec.id) is None and self._memory.removed.get(spec.id) is None:
            self._memory.sweeps.put(new_sweep(spec))
            self.outcomes.append(SweepAppeared(spec))

    def _sweep_edited(self, event: SweepEdited) -> None:
        row = self._memory.sweeps.get(event.sweep)
        if row is None or row["state"] not in ("pending", "running", "paused"):
            return
        spec = SweepSpec.model_validate_json(row["spec"])
        if event.base != len(spec.edits):
            return  # read again, or somebody else was faster
        config, points = dict(event.config), list(event.config.get("points", ()))
        if rest := points[spec.points_done(row["issued"]) :]:
            config["points"] = rest
        else:
            config.pop("points", None)
        edit = SweepEdit(entry=self._entry, issued=row["issued"])
        changed = spec.model_copy(update={"config": config, "edits": (*spec.edits, edit)})
        name = str(event.config.get("name", row["name"]))
        self._memory.sweeps.put({**row, "name": name, "spec": changed.model_dump_json()})
        self.outcomes.append(SweepChanged(event.sweep))

    def _sweep_state_set(self, event: SweepStateSet) -> None:
        row = self._memory.sweeps.get(event.sweep)
        if row is not None and row["reopened"] is not None and self._at <= row["reopened"]:
            return  # from before `besom retry`, read again
        if move_sweep(self._memory, event.sweep, event.state, self._at):
            self.outcomes.append(SweepMoved(event.sweep, event.state))

    def _removed(self, event: SweepRemoved) -> None:
        name = event.sweep or event.run
        if not self._after_removal(name):
            return
        conn, memory = self._conn, self._memory
        memory.flush(conn)
        gone = runs_of_sweep(conn, event.sweep) if event.sweep else {event.run}
        memory.drop_runs(gone, remove_runs(conn, gone))
        if event.sweep:
            remove_sweep(conn, event.sweep)
            memory.drop_sweep(event.sweep)
            self.outcomes.append(SweepGone(event.sweep))
        memory.removed.put({"id": name, "entry": self._entry})

    def _after_removal(self, name: str) -> bool:
        """Whether this entry is later than the one that removed `name`, if any did."""
        row = self._memory.removed.get(name)
        return row is None or _order(self._entry) > _order(row["entry"])

    def _is_gone(self, run: str) -> bool:
        """Whether the run was removed; only its own init() brings it back, which makes its row."""
        sweep, _ = home_of(run)
        if sweep and self._memory.removed.get(sweep) and not self._memory.sweeps.get(sweep):
            return True
        if self._memory.removed.get(run) is None:
            return False
        return not self._after_removal(run) or self._memory.runs.get(run) is None

    # ---- trials

    def _open_trial(self, event: TrialEvent) -> Row | None:
        """The trial, when its sweep is known and it has not ended."""
        if self._memory.sweeps.get(event.sweep) is None:
            return None
        if run_id_of(event.sweep, event.number) in self._memory.open_closings(self._conn):
            return None
        trial = self._memory.trials.get((event.sweep, event.number))
        if trial is None:
            return new_trial(event.sweep, event.number, {}, self._at)
        if trial["reopened"] is not None and self._at <= trial["reopened"]:
            return None  # from before `besom retry`, read again
        return trial if trial["state"] in ("queued", "running") else None

    def _claimed(self, event: TrialClaimed) -> None:
        trial = self._open_trial(event)
        if trial is None or event.attempt < trial["attempt"]:
            return
        same = event.token == trial["token"]
        before = self._memory.attempts.get((run_id_of(event.sweep, event.number), event.attempt))
        if same and (trial["state"] == "running" or (before and before["state"] == "preempted")):
            return  # claimed before; what was handed back does not return
        changed: Row = {"params": json.dumps(event.params), "agent": event.agent, "token": event.token}
        changed.update(attempt=event.attempt, state="running", started=trial["started"] if same else self._at)
        if same:  # lost, then taken back by the same attempt
            changed["losses"] = max(0, trial["losses"] - 1)
        self._memory.trials.put(trial | changed)
        self._set_attempt(event, "running", None)
        self.outcomes.append(TrialTaken(event.sweep, event.number, event.agent, event.params))

    def _given_back(self, event: AttemptReleased | AttemptLost) -> None:
        trial = self._open_trial(event)
        if trial is None or trial["state"] != "running" or trial["token"] != event.token:
            return
        losses = event.losses if isinstance(event, AttemptLost) else trial["losses"]
        self._memory.trials.put({**trial, "state": "queued", "losses": losses})
        run = run_id_of(event.sweep, event.number)
        if self._memory.attempts.get((run, event.attempt)) is None:
            self._memory.attempts.put(new_attempt(run, event.attempt, trial, self._at))
        self._set_attempt(event, "lost" if isinstance(event, AttemptLost) else "preempted", self._at)
        self.outcomes.append(TrialBack(event.sweep, event.number))

    def _retried(self, event: TrialRetried) -> None:
        trial = self._open_trial(event)
        if trial is None or trial["state"] != "running" or trial["token"] != event.token:
            return
        error = str(event.details.get("error", "")).replace("\0", "")
        self._memory.trials.put({**trial, "state": "queued", "failures": event.failures, "error": error})
        self._set_attempt(event, "failed", self._at)
        self.outcomes.append(TrialBack(event.sweep, event.number))

    def _reopened(self, event: TrialsReopened) -> None:
        """Ended trials wait again; those that ended after this event have run again since."""
        row = self._memory.sweeps.get(event.sweep)
        if row is None or row["state"] in ("cancelled", "stopping"):
            return
        self._memory.flush(self._conn)
        for trial in self._memory.ended_trials(self._conn, event.sweep, event.states):
            if trial["ended"] > self._at or (trial["reopened"] or 0.0) >= self._at:
                continue
            fresh: Row = {"losses": 0, "failures": 0, "halted": 0}
            self.outcomes.append(reopen(self._memory, {**trial, **fresh}, self._at))
            if row["state"] == "finished":
                row = self._memory.sweeps.put({**row, "state": "running", "ended": None, "reopened": self._at})

    def _set_attempt(self, event: TrialEvent, state: str, ended: float | None) -> None:
        row = self._memory.attempts.get((run_id_of(event.sweep, event.number), event.attempt))
        if row is not None:
            self._memory.attempts.put({**row, "state": state, "ended": ended})

    def _trial_ended(self, event: TrialEnded) -> None:
        trial = self._open_trial(event)
        if trial is None:
            return
        if event.state in ("queued", "running"):
            reject(self._conn, self._entry, f"a trial cannot end as {event.state}", event)
            return
        if event.attempt > trial["attempt"]:
            trial = {**trial, "attempt": event.attempt, "token": event.token}
        self._memory.trials.put(trial)
        if event.state == "cancelled" and trial["state"] == "queued" and is_promoted(trial):
            event = event.model_copy(update={"state": "stopped"})  # its turn did not come; it is what it was
        self._end(new_closing(event, self._at, self._now))

    def _end(self, closing: Row) -> None:
        self._memory.open_closings(self._conn)[closing["run"]] = closing
        self.touched[closing["run"]] = None

    # ---- runs

    def _run_started(self, event: RunStarted) -> None:
        old = self._memory.runs.get(event.run)
        sweep = self._memory.removed.get(event.sweep) if event.sweep else None
        if not self._after_removal(event.run) or sweep:
            return
        try:
            info = event.info()
            new, told = started_run(event, info, self._at), text_rows(info)
        except (Unreadable, TypeError, ValueError) as error:
            reject(self._conn, self._entry, str(error), event)
            return
        self._memory.keep_texts(self._conn, event.run, told)
        if old is None:
            self._memory.runs.put(new)
        elif not event.sweep and self._is_resumed(old):
            self._resume(event, old, named_as_before(new, old, info))
        elif old["attempt"] < event.attempt:
            kept = old["config"] if not old["attempt"] else "{}"  # of batches that came before
            new = named_as_before(new, old, info) if old["attempt"] else new
            self._memory.runs.put(
                {**new, "created": old["created"], "state": old["state"], "ended": old["ended"]}
                | {"exit_code": old["exit_code"], "error": old["error"], "config": _merged(new["config"], kept)}
            )

    def _is_resumed(self, old: Row) -> bool:
        closing = self._memory.open_closings(self._conn).get(old["id"])
        ended = closing["ended"] if closing else old["ended"]
        return ended is not None and self._at > ended

    def _resume(self, event: RunStarted, old: Row, new: Row) -> None:
        """`init()` of a run that had ended: config is kept and added to."""
        self._memory.open_closings(self._conn).pop(event.run, None)
        configs = (old["config"], new["config"]) if old["attempt"] else (new["config"], old["config"])
        self._memory.runs.put({**new, "created": old["created"], "config": _merged(*configs)})
        attempt = self._memory.attempts.get((event.run, event.attempt))
        if attempt is not None:
            self._memory.attempts.put({**attempt, "state": "running", "ended": None})

    def _outside(self, run: str) -> Row | None:
        """The row of a run outside a sweep, made if need be; None for a trial's run and for what was removed.

        None as well when the run has been started again since: the event is from before and was applied then.
        """
        if self._memory.trials.get(home_of(run)) is not None or self._is_gone(run):
            return None
        row = self._memory.runs.get(run) or self._memory.runs.put(new_run(run, self._at, None, 0))
        return row if self._at >= row["started"] else None

    def _run_ended(self, event: RunEnded) -> None:
        row = self._outside(event.run)
        if row is None or (row["state"] not in _OPEN and not self._adds_to_end(row, event)):
            return
        closing = new_closing(event, self._at, self._now)
        if row["state"] == "failed":  # a rank of the same run that ended before
            closing = {**closing, "state": "failed", "error": row["error"], "exit_code": row["exit_code"]}
        earlier = self._memory.open_closings(self._conn).get(event.run)
        if earlier is not None:  # another rank of the same run
            sent = json.loads(closing["writers"])
            for writer, count in json.loads(earlier["writers"]).items():
                sent[writer] = max(count, sent.get(writer, 0))
            worse = earlier if earlier["state"] == "failed" else closing
            last = max(earlier["ended"], self._at)
            closing = {**worse, "writers": json.dumps(sent), "since": earlier["since"], "ended": last}
        self._end(closing)

    def _adds_to_end(self, row: Row, event: RunEnded) -> bool:
        """Whether another rank of a run that has ended went on for longer, or failed in the same millisecond."""
        failed_too = event.exit_code != 0 and row["state"] == "finished"
        return bool(self._at > row["ended"] or (self._at == row["ended"] and failed_too))

    def _run_beat(self, event: RunBeat) -> None:
        row = self._outside(event.run)
        if row is None or event.run in self._memory.open_closings(self._conn):
            return
        if row["state"] == "running" and not event.alive:
            self._memory.runs.put({**row, "state": "crashed", "ended": self._at})
            self.outcomes.append(RunClosed(event.run, "crashed"))
        elif row["state"] == "crashed" and event.alive:
            self._memory.runs.put({**row, "state": "running", "ended": None})

    def _run_edited(self, event: RunEdited) -> None:
        """Change what is written about a run that exists; edits are numbered by their entries, as batches are."""
        memory, home = self._memory, home_of(event.run)
        row, trial = memory.runs.get(event.run), memory.trials.get(home)
        known, number = memory.writers.get(editor_of(event.run)), _number(self._entry)
        if (row is None and trial is None) or self._is_gone(event.run) or (known and known["seq"] >= number):
            return
        if row is None and trial is not None:  # it never called init()
            row = new_run(event.run, trial["started"] or self._at, memory.sweeps.get(home[0]), home[1])
            row["config"] = trial["params"]
        assert row is not None
        try:
            info = event.info()
            memory.runs.put(edited_run(row, info))
            values = Opened(BatchBody(summary=info.get("summary") or {}))
        except (Unreadable, TypeError, ValueError, AttributeError) as error:
            reject(self._conn, self._entry, str(error), event)
            return
        memory.batches.add_last(event.run, memory.newest_attempt(event.run), values)
        memory.writers.put({"id": editor_of(event.run), "run": event.run, "attempt": 0, "seq": number})

    def _alerted(self, event: RunAlerted) -> None:
        if not self._is_gone(event.run):
            record_alert(self._conn, event, self._at)

    def _artifact_logged(self, event: ArtifactLogged) -> None:
        if not self._is_gone(event.run):
            record_artifact(self._conn, event, self._entry, self._at)

    def _file_saved(self, event: FileSaved) -> None:
        if not self._is_gone(event.run):
            row = {"run": event.run, "name": event.name.replace("\0", ""), "sha256": event.sha256, "size": event.size}
            save(self._conn, files, [{**row, "updated": self._at}])

    # ---- batches

    def _batch(self, event: Batch) -> None:
        writer = self._memory.writers.get(event.writer)
        known = writer["seq"] if writer else 0
        self._progress.recorded[event.writer] = max(known, event.seq)
        if event.seq <= known:
            self._progress.repeats += 1
            return
        if self._is_gone(event.run):
            return
        self._progress.gaps += event.seq > known + 1
        self._memory.writers.put(new_writer(event))
        self.touched[event.run] = None
        try:
            opened = open_batch(event)
        except Damaged as error:
            reject(self._conn, self._entry, str(error), event)
            return
        self._record(event, opened)

    def _record(self, event: Batch, opened: Opened) -> None:
        memory, home = self._memory, home_of(event.run)
        if memory.runs.get(event.run) is None:
            memory.runs.put(new_run(event.run, self._at, memory.sweeps.get(home[0]), home[1]))
        is_newest = event.attempt >= memory.newest_attempt(event.run)
        self._log_attempt(event, opened)
        memory.batches.series.add(event.run, event.attempt, opened.columns)
        if is_newest:
            memory.batches.add_last(event.run, event.attempt, opened)
            if opened.body.config:
                row = memory.runs.get(event.run)
                assert row is not None
                memory.runs.put({**row, "config": _merged(row["config"], json.dumps(opened.body.config))})

    def _log_attempt(self, event: Batch, opened: Opened) -> None:
        """Keep where the attempt starts and how many lines it has printed."""
        attempts, trial = self._memory.attempts, self._memory.trials.get(home_of(event.run))
        row = attempts.get((event.run, event.attempt))
        row = row or attempts.put(new_attempt(event.run, event.attempt, trial, self._at))
        first, lines = opened.first_step, opened.body.console
        if first is not None and (row["first_step"] is None or first < row["first_step"]):
            row = attempts.put({**row, "first_step": first})
            if event.attempt > 1:
                self._memory.batches.restart(event.run, event.attempt, first)
        if lines:
            self._memory.batches.add_console(event.run, event.attempt, row["lines"], lines)
            attempts.put({**row, "lines": row["lines"] + len(lines)})


def _merged(old: str, new: str) -> str:
    return json.dumps(json.loads(old) | json.loads(new))


def _order(entry: str) -> tuple[int, int]:
    """A journal id as numbers that compare."""
    time, _, count = entry.partition("-")
    return int(time), int(count or 0)


def _number(entry: str) -> int:
    """A journal id as one number; Redis gives fewer than 2**20 ids in a millisecond."""
    time, count = _order(entry)
    return (time << 20) + count
