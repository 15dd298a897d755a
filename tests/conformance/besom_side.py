"""What besom does with each case: offline, then sent to a store, and read from there."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fakeredis

import besom
from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import NotFound
from besom.settings import read_settings
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.ways import blobs_of
from besom.tracking.metrics import METRICS_KEY, NO_SUMMARY
from besom.tracking.recording.removal import remove_runs
from besom.tracking.run.active import active_run
from besom.tracking.store import reader
from besom.tracking.store.history import read_rows
from besom.tracking.store.store import Store
from besom.tracking.writing.syncing import sync
from tests.conformance.bench import Bench, Case, plain_json
from tests.conformance.files import decoded, shown_files
from tests.tracking.desk import Desk


def play(case: Case, folder: Path, store: Store) -> dict[str, Any]:
    """What one case does and leaves, in the shape of the record.

    Args:
        case: Which.
        folder: Empty.
        store: Where its runs go, and from where they are removed again.
    """
    with _inside(folder):
        bench = Bench(besom, folder)
        try:
            seen, error = plain_json(case(bench)), ""
        except Exception as problem:
            seen, error = None, type(problem).__name__
        bench.finish()
        while (run := active_run()) is not None:
            run.finish()
        return {"seen": seen, "error": error, "runs": _sent(folder, [run.id for run in bench.runs], store)}


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    logging.getLogger("besom").disabled = True
    try:
        yield
    finally:
        logging.getLogger("besom").disabled = False
        os.chdir(before)


def _sent(folder: Path, ids: list[str], store: Store) -> list[dict[str, Any]]:
    """The runs as the store has them once they are sent."""
    connection = Connection("redis://fake", client=fakeredis.FakeRedis())
    blobs = blobs_of(read_settings())
    try:
        for _ in sync(folder, Journal(connection), blobs, patience=0):
            pass
        Desk(connection, store).record()
        return [_read(store, blobs, run) for run in dict.fromkeys(ids)]
    except NotFound:
        return []
    finally:
        with store.begin() as conn:
            remove_runs(conn, set(ids))


def _read(store: Store, blobs: Blobs, run: str) -> dict[str, Any]:
    with store.read() as conn:
        row, history, summary = reader.run(conn, run), read_rows(conn, run), reader.summary(conn, run)
    assert row is not None
    metrics = row["config"].pop(METRICS_KEY, {})
    files = shown_files(history, lambda told: decoded(Path(told["path"]), blobs.read(told["sha256"])))
    for part in (summary, *history):
        part.pop("_timestamp", None)
    return {name: plain_json(value) for name, value in {
        "history": history,
        "summary": {name: value for name, value in summary.items() if value != NO_SUMMARY},
        "config": row["config"],
        "metrics": list(metrics.values()),
        "about": {
            "id": run, "name": row["name"], "project": row["project"], "entity": row["entity"],
            "group": row["group_name"], "job_type": row["job_type"], "tags": sorted(row["tags"]), "notes": row["notes"],
        },
        "exit_code": row["exit_code"],
        "files": files,
    }.items()}  # fmt: skip
