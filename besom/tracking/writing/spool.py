"""Batches on disk, for when Redis is away or full, and for what a process could not send before its end.

A spool is one file for each writer: a header, then (number, body) records in order. Its owner holds a lock on it; a
file without owner is sent by whoever finds it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

import msgpack

from besom.broker.journal import Journal
from besom.disk import private_folder
from besom.messages import Batch, Claim

__all__ = ["Record", "Spool", "WriterName", "send_leftovers", "send_spool"]

log = logging.getLogger("besom")

_RECORD: Final = struct.Struct("<QI")

Record = tuple[int, bytes]
"""Number and body of a batch."""


@dataclass(frozen=True, slots=True)
class WriterName:
    """Whose batches these are."""

    run: str
    attempt: int
    writer: str
    claim: Claim | None = None

    def batch(self, seq: int, body: bytes) -> Batch:
        """The journal event of one batch."""
        return Batch(run=self.run, attempt=self.attempt, writer=self.writer, seq=seq, body=body)


class Spool:
    """A writer's file; made at its first record, gone when it is not needed at the end."""

    def __init__(self, folder: Path, name: WriterName) -> None:
        self.path = folder / f"{name.run}.{name.attempt}.{name.writer}.spool"
        self.first = self.last = 0
        """Numbers of the first and the last record; 0 when there is none."""
        self._name = name
        self._file: FileIO | None = None
        self._begin = self._read_at = 0

    def append(self, seq: int, body: bytes) -> None:
        """Add a record.

        Raises:
            OSError: the disk is full or the folder cannot be written.
            Unreachable: the folder cannot be made.
        """
        file = self._file or self._open()
        end = file.seek(0, 2)
        try:
            _write(file, seq, body)
        except OSError:
            file.truncate(end)  # half a record would hide what comes after it
            raise
        self.first, self.last = self.first or seq, seq

    def take(self, size: int) -> list[Record]:
        """The next records in order, about `size` bytes of them; they stay in the file."""
        taken: list[Record] = []
        if self._file is None:
            return taken
        self._file.seek(self._read_at)
        while size > 0 and (record := _read(self._file)) is not None:
            taken.append(record)
            size -= len(record[1])
        self._read_at = self._file.tell()
        return taken

    def rewind(self) -> None:
        """`take` begins with the first record again."""
        self._read_at = self._begin

    def clear(self) -> None:
        """Nothing of it is needed any more."""
        if self._file is not None:
            self._file.truncate(self._begin)
        self.first = self.last = 0
        self.rewind()

    def put_first(self, records: Sequence[Record]) -> None:
        """Put records in front of those that are there, in a new file that takes the old one's place.

        Raises:
            OSError: the disk is full or the folder cannot be written; the old file stays.
            Unreachable: the folder cannot be made.
        """
        if not records:
            return
        old, begin = self._file, self._begin
        file = self._create()
        try:
            for seq, body in records:
                _write(file, seq, body)
            if old is not None:
                old.seek(begin)
                while piece := old.read(1_000_000):
                    _write_all(file, piece)
        except OSError:
            self._scratch.unlink(missing_ok=True)
            file.close()
            raise
        self._replace(file)
        self.first, self.last = records[0][0], max(self.last, records[-1][0])

    def close(self, *, keep: bool) -> None:
        """Let go of the file; unless kept for a later sender, delete it."""
        if self._file is not None:
            if not keep:
                self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None
            self.first = self.last = 0

    def let_go(self) -> None:
        """In a forked child: the file is the parent's, whose lock holds on."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _scratch(self) -> Path:
        return self.path.with_suffix(".new")

    def _open(self) -> FileIO:
        file = self._create()
        self._replace(file)
        return file

    def _create(self) -> FileIO:
        """A new file with its header, which nobody finds before it is locked."""
        private_folder(self.path.parent)
        file = self._scratch.open("w+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            claim = self._name.claim.model_dump(mode="json") if self._name.claim else None
            _write(file, 0, msgpack.packb([self._name.run, self._name.attempt, self._name.writer, claim]))
        except OSError:
            file.close()
            raise
        self._begin = file.tell()
        return file

    def _replace(self, file: FileIO) -> None:
        self._scratch.replace(self.path)
        if self._file is not None:
            self._file.close()
        self._file = file
        self.rewind()


def send_leftovers(folder: Path, journal: Journal, *, patience: float, run: str | None = None) -> int:
    """Send what processes that are gone left in `folder`; how many batches.

    Args:
        folder: Where spools are.
        journal: Where they go.
        patience: Seconds to wait for Redis, for each batch.
        run: Only this run's.

    Raises:
        Unreachable: Redis did not answer; the files stay.
    """
    sent = 0
    for path in sorted(folder.glob(f"{run or '*'}.*.spool")):
        try:
            file = path.open("r+b")
        except FileNotFoundError:
            continue  # another process was faster
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # its writer lives
            sent += send_spool(path, journal, patience=patience)
    return sent


def send_spool(path: Path, journal: Journal, *, patience: float, keep: bool = False) -> int:
    """Send one file whose writer is gone; how many batches. Unless kept, it is deleted.

    Raises:
        Unreachable: Redis did not answer; the file stays.
    """
    sent = 0
    with path.open("rb") as file:
        records = _records(file)
        try:
            header = next(records, None)
            name = _name_in(header[1]) if header else None
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            aside = path.rename(path.with_suffix(".damaged"))
            log.error("the spool %s cannot be read (%s) and is set aside", aside, str(error).split("\n")[0])
            return 0
        if name is not None:
            for seq, body in records:
                journal.append_batch(name.batch(seq, body), first=True, limit=0, claim=name.claim, patience=patience)
                sent += 1
    if not keep:
        path.unlink(missing_ok=True)
    return sent


def _name_in(header: bytes) -> WriterName:
    run, attempt, writer, claim = msgpack.unpackb(header)
    return WriterName(run, attempt, writer, Claim.model_validate(claim) if claim else None)


def _write(file: FileIO, seq: int, body: bytes) -> None:
    _write_all(file, _RECORD.pack(seq, len(body)) + body)


def _write_all(file: FileIO, content: bytes) -> None:
    if file.write(content) != len(content):
        raise OSError(errno.ENOSPC, "No space left on device")


def _records(file: BinaryIO) -> Iterator[Record]:
    while (record := _read(file)) is not None:
        yield record


def _read(file: BinaryIO) -> Record | None:
    head = file.read(_RECORD.size)
    if len(head) < _RECORD.size:
        return None
    seq, size = _RECORD.unpack(head)
    body = file.read(size)
    return (seq, body) if len(body) == size else None  # a torn last record was never acknowledged
