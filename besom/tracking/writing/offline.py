"""A run that is recorded in a folder only: mode="offline", for machines that reach no Redis.

The folder holds the run's start, its writers' spools and its end, as they would have gone to the journal, with the
times of this machine. `besom sync` sends them (`syncing.py`).  Knows nothing of Redis.
"""

from __future__ import annotations

import fcntl
import logging
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Final

import msgpack

from besom.disk import private_folder
from besom.errors import Unreachable
from besom.messages import Event, RunEnded, RunStarted, encode, read_events
from besom.tracking.writing.backlog import Backlog
from besom.tracking.writing.spool import WriterName
from besom.tracking.writing.writer import Writer

__all__ = ["BLOBS", "ENDED", "EVENTS", "STARTED", "OfflineRecord", "OfflineWriter", "read_event", "read_told"]

log = logging.getLogger("besom")

STARTED: Final = "run.started"
"""Locked by the run's process for its life."""
EVENTS: Final = ".events"
"""Of the file where a writer has what it told besides its batches."""
BLOBS: Final = "blobs"
"""The folder of a run's media and artifacts."""
ENDED: Final = "run.ended"


class OfflineRecord:
    """Start and end of one offline run.

    Args:
        root: Where this machine's runs have their folders.
        run: Its id.
    """

    def __init__(self, root: Path, run: str) -> None:
        self.folder = (root / f"offline-run-{time.strftime('%Y%m%d_%H%M%S')}-{run}").absolute()
        self._run = run
        self._file: FileIO | None = None

    def start(self, body: bytes) -> None:
        """`init()` was called.

        Raises:
            Unreachable: the folder cannot be written.
        """
        private_folder(self.folder)
        try:
            self._file = (self.folder / STARTED).open("wb", buffering=0)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.write(_packed(RunStarted(run=self._run, body=body, at_ms=_now_ms())))
        except OSError as error:
            raise Unreachable(f"{self.folder} cannot be written ({error}); set BESOM_DIR to another folder") from None

    def end(self, exit_code: int, error: str, writers: dict[str, int]) -> None:
        """`finish()` was called."""
        event = RunEnded(run=self._run, exit_code=exit_code, error=error, writers=writers, at_ms=_now_ms())
        try:
            (self.folder / ENDED).write_bytes(_packed(event))
        except OSError as problem:
            log.warning("run %s: its end could not be recorded in %s: %s", self._run, self.folder, problem)
        if self._file is not None:
            self._file.close()
            self._file = None


class OfflineWriter(Writer):
    """A writer whose batches go to its spool file and stay there.

    Args:
        name: Whose they are.
        folder: The run's.
        memory: Bytes kept while the disk is full.
    """

    def __init__(self, name: WriterName, folder: Path, memory: int) -> None:
        super().__init__(None, name, folder, 0, memory=memory)

    def in_child(self) -> Writer:
        """A file of its own for a forked child, beside this one."""
        self._spool.let_go()
        return OfflineWriter(self._childs_name(), self._spool.path.parent, self._memory)

    def close(self, patience: float) -> int:
        """Write everything; how many batches there were."""
        with self._telling:
            self._tell_rest(0.0)
        with self._sending:
            self._cut()
            if not self._send(0.0):
                log.error("run %s: %d batches are lost: the disk is full", self.name.run, self._backlog.late)
            self._spool.close(keep=True)
            return self._backlog.count

    def _tell_one(self, event: Event, patience: float) -> None:
        try:
            with self._spool.path.with_suffix(EVENTS).open("ab") as file:
                file.write(_packed(event.model_copy(update={"at_ms": _now_ms()})))
        except OSError as error:
            raise Unreachable(f"{self._spool.path.parent} cannot be written ({error})") from None

    def _make_backlog(self) -> Backlog:
        return Backlog(self._spool, 0, self._memory // 2, self._complain_of_run)

    def _unsent(self) -> bool:
        return self._backlog.late > 0

    def _send(self, patience: float) -> bool:
        """Write what memory holds, once the disk takes it."""
        return self._backlog.to_disk()


def read_event(path: Path) -> Event | None:
    """The event in a file of an offline run; None when there is none, or only half of one.

    Raises:
        Unreadable: another version wrote it.
    """
    events = list(read_told(path)) if path.exists() else []
    return events[0] if len(events) == 1 else None


def read_told(path: Path) -> Iterator[Event]:
    """The events of a file, in order; a torn last one is left out.

    Raises:
        Unreadable: another version wrote it.
    """
    with path.open("rb") as file:
        packed = msgpack.Unpacker(file)
        while True:
            try:
                held = packed.unpack()
                fields = {
                    str(name).encode(): value if isinstance(value, bytes) else str(value).encode()
                    for name, value in held.items()
                }
            except (ValueError, AttributeError, msgpack.UnpackException):
                return
            yield from read_events(fields)


def _packed(event: Event) -> bytes:
    return bytes(msgpack.packb(encode(event)))


def _now_ms() -> int:
    return int(time.time() * 1000)
