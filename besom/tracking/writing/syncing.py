"""Sending what was recorded on disk: offline runs, and spools that processes left behind.

Repeating it is harmless: what was sent is marked, and what comes twice all the same has the same writer, number and
time, by which the recorder knows it.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from besom.broker.journal import Journal
from besom.errors import NotFound, Unreachable
from besom.messages import RunBeat, RunEnded, RunStarted
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.writing.offline import BLOBS, ENDED, EVENTS, STARTED, read_event, read_told
from besom.tracking.writing.spool import send_leftovers, send_spool

__all__ = ["SYNCED", "Synced", "sync"]

log = logging.getLogger("besom")

_FILES_PATIENCE: Final = 60
"""Files may take so many times as long as a batch."""
SYNCED: Final = "synced"
"""In the folder of an offline run that has been sent whole; names the namespace it went to."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of one folder."""

    folder: Path
    run: str
    """The offline run; '' for spools that were left behind."""
    batches: int
    outcome: str
    """'sent', 'sent before', 'running' (still), or 'damaged'."""


def sync(root: Path, journal: Journal, blobs: Blobs, *, patience: float) -> Iterator[Synced]:
    """Send every offline run and every spool in a folder and below it, oldest run first.

    Args:
        root: The folder.
        journal: Where runs go.
        blobs: Where their media and artifacts go.
        patience: Seconds to wait for Redis, for each event.

    Raises:
        NotFound: there is neither.
        Unreachable: Redis did not answer; calling again goes on.
    """
    runs = sorted(path.parent for path in root.rglob(STARTED))
    spools = sorted({path.parent for path in root.rglob("*.spool")} - set(runs))
    if not runs and not spools:
        raise NotFound("offline run or spool", str(root), "this machine")
    for folder in runs:
        yield _sync_run(folder, journal, blobs, patience)
    for folder in spools:
        yield Synced(folder, "", send_leftovers(folder, journal, patience=patience), "sent")


def _sync_run(folder: Path, journal: Journal, blobs: Blobs, patience: float) -> Synced:
    started = read_event(folder / STARTED)
    if not isinstance(started, RunStarted):
        return Synced(folder, folder.name, 0, "damaged")
    if (folder / SYNCED).exists():
        return Synced(folder, started.run, 0, "sent before")
    with _locked(folder / STARTED) as is_ours:
        if not is_ours:
            return Synced(folder, started.run, 0, "running")
        batches = _send_run(folder, started, journal, blobs, patience)
        (folder / SYNCED).write_text(f"{journal.connection.shown} {journal.connection.namespace}\n", encoding="utf-8")
        return Synced(folder, started.run, batches, "sent")


def _send_run(folder: Path, started: RunStarted, journal: Journal, blobs: Blobs, patience: float) -> int:
    journal.append(started, patience=patience)
    spools = sorted(folder.glob("*.spool"))
    batches = sum(send_spool(path, journal, patience=patience, keep=True) for path in spools)
    for path in sorted((folder / BLOBS).glob("??/*")):
        blobs.put(path)
    if left := blobs.settle(_FILES_PATIENCE * patience):
        raise Unreachable(f"{left} files of run {started.run} have not arrived at {blobs.where}; call again")
    for path in sorted(folder.glob(f"*{EVENTS}")):
        for event in read_told(path):
            journal.append(event, patience=patience)
    ended = read_event(folder / ENDED)
    if isinstance(ended, RunEnded):
        journal.append(ended, patience=patience)
    else:  # its process was killed
        last = max(path.stat().st_mtime for path in [folder / STARTED, *spools])
        silent = RunBeat(run=started.run, alive=0, at_ms=max(started.at_ms, int(last * 1000)))
        journal.append(silent, patience=patience)
    return batches


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Whether the file's owner is gone, and nobody else sends it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
