"""Rows as they begin: what an event says, and defaults for the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from besom.messages import Batch, RunEnded, RunStarted, SweepSpec, TrialEnded, run_id_of
from besom.tracking.store.rows import Row

__all__ = [
    "edited_run",
    "named_as_before",
    "new_attempt",
    "new_closing",
    "new_run",
    "new_sweep",
    "new_trial",
    "new_writer",
    "started_run",
    "text_rows",
]


def new_sweep(spec: SweepSpec) -> Row:
    """A sweep that was asked for."""
    return {
        "id": spec.id,
        "entity": spec.entity,
        "project": spec.project,
        "name": spec.name,
        "state": "pending",
        "spec": spec.model_dump_json(),
        "created": spec.created,
        "ended": None,
        "reopened": None,
        "issued": 0,
    }


def new_trial(sweep: str, number: int, params: dict[str, Any], issued: float) -> Row:
    """A trial that nobody has claimed."""
    return {
        "sweep": sweep,
        "number": number,
        "params": json.dumps(params),
        "state": "queued",
        "value": None,
        "error": "",
        "attempt": 0,
        "token": "",
        "agent": "",
        "losses": 0,
        "failures": 0,
        "issued": issued,
        "reopened": None,
        "started": None,
        "ended": None,
        "passed": 0,
        "halted": 0,
    }


def new_run(run: str, created: float, sweep: Row | None, number: int) -> Row:
    """A run of which only batches or its end were seen so far."""
    return {
        "id": run,
        "sweep": sweep["id"] if sweep else "",
        "number": number if sweep else 0,
        "entity": sweep["entity"] if sweep else "",
        "project": sweep["project"] if sweep else "",
        "name": run,
        "group_name": "",
        "job_type": "",
        "tags": "[]",
        "notes": "",
        "config": "{}",
        "state": "running",
        "exit_code": None,
        "error": "",
        "created": created,
        "ended": None,
        "started": created,
        "host": "",
        "program": "",
        "attempt": 0,
        "metadata": "{}",
    }


def started_run(event: RunStarted, info: Mapping[str, Any], created: float) -> Row:
    """A run as its `init()` describes it."""
    row = new_run(event.run, created, None, 0)
    names = {"group": "group_name"}
    for name in ("entity", "project", "name", "group", "job_type", "notes", "host", "program"):
        if info.get(name):
            row[names.get(name, name)] = str(info[name]).replace("\0", "")
    row.update(
        sweep=event.sweep,
        number=event.number,
        attempt=event.attempt,
        tags=json.dumps(list(info.get("tags") or [])),
        config=json.dumps(dict(info.get("config") or {})),
        metadata=json.dumps({**(info.get("metadata") or {}), **text_ids(info)}).replace("\\u0000", ""),
    )
    return row


def named_as_before(row: Row, old: Row, info: Mapping[str, Any]) -> Row:
    """The row of a later `init()`, called as before where that `init()` gave nothing: it may have been edited since."""
    unsaid = info.get("unsaid") or ()
    names = {"name": "name", "group": "group_name", "job_type": "job_type", "tags": "tags", "notes": "notes"}
    return {**row, **{key: old[key] for name, key in names.items() if name in unsaid or not info.get(name)}}


def edited_run(row: Row, info: Mapping[str, Any]) -> Row:
    """The run with what an edit changes."""
    names = {"name": "name", "notes": "notes", "group": "group_name", "job_type": "job_type"}
    changed: Row = {names[name]: str(info[name]).replace("\0", "") for name in names.keys() & info.keys()}
    if "tags" in info:
        changed["tags"] = json.dumps([str(tag) for tag in info["tags"]])
    dropped = set(info.get("dropped") or ())
    kept = {name: value for name, value in json.loads(row["config"]).items() if name not in dropped}
    return {**row, **changed, "config": json.dumps(kept | dict(info.get("config") or {}))}


def text_rows(info: Mapping[str, Any]) -> list[Row]:
    """The long texts that `init()` tells, as `texts` keeps them."""
    told = (info.get("texts") or {}).values()
    return [{"id": hashlib.sha256(text).hexdigest(), "text": text} for text in told]


def text_ids(info: Mapping[str, Any]) -> dict[str, str]:
    """Name to id of the long texts that `init()` tells."""
    return {name: hashlib.sha256(text).hexdigest() for name, text in (info.get("texts") or {}).items()}


def new_attempt(run: str, attempt: int, trial: Row | None, started: float) -> Row:
    """An attempt that logs its first line or ends early; agent and token as the trial's claim said."""
    claim = trial if trial and trial["attempt"] == attempt else {}
    return {
        "run": run,
        "attempt": attempt,
        "token": claim.get("token", ""),
        "agent": claim.get("agent", ""),
        "state": "running",
        "started": claim.get("started") or started,
        "ended": None,
        "first_step": None,
        "lines": 0,
    }


def new_writer(event: Batch) -> Row:
    """A writer that is recorded up to this batch."""
    return {"id": event.writer, "run": event.run, "attempt": event.attempt, "seq": event.seq}


def new_closing(event: TrialEnded | RunEnded, ended: float, since: float) -> Row:
    """A run that has ended; it closes when its writers' batches are recorded."""
    if isinstance(event, TrialEnded):
        run, sweep, number, state = run_id_of(event.sweep, event.number), event.sweep, event.number, str(event.state)
    else:
        run, sweep, number, state = event.run, "", 0, "failed" if event.exit_code else "finished"
    return {
        "run": run,
        "sweep": sweep,
        "number": number,
        "state": state,
        "error": event.error.replace("\0", ""),
        "exit_code": event.exit_code,
        "writers": json.dumps(event.writers),
        "ended": ended,
        "since": since,
    }
