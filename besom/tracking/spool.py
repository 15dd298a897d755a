"""Batches on disk, for when Redis is away or full, and for what a process could not send before its end.

A spool is one file for each writer: a header, then (number, body) records in order. Its owner holds a lock on it; a
file without owner is sent by whoever finds it.
"""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgpack

from besom.broker.journal import Journal
from besom.disk import private_folder
from besom.messages import Batch, Claim

__all__ = ["Spool", "WriterName", "send_leftovers"]

_RECORD: Final = struct.Struct("<QI")


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
    """A writer's file; made at its first record, gone when it is empty at the end."""

    def __init__(self, folder: Path, name: WriterName) -> None:
        self.path = folder / f"{name.run}.{name.attempt}.{name.writer}.spool"
        self._name = name
        self._file: BinaryIO | None = None
        self._read_at = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, seq: int, body: bytes) -> None:
        """Add a record.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        file = self._file or self._open()
        file.seek(0, 2)
        file.write(_RECORD.pack(seq, len(body)) + body)
        file.flush()
        self._count += 1

    def take(self, size: int) -> list[tuple[int, bytes]]:
        """The next records in order, about `size` bytes of them."""
        taken: list[tuple[int, bytes]] = []
        if self._file is None:
            return taken
        self._file.seek(self._read_at)
        while size > 0 and (record := _read(self._file)) is not None:
            taken.append(record)
            size -= len(record[1])
        self._read_at = self._file.tell()
        self._count -= len(taken)
        return taken

    def close(self, *, keep: bool) -> None:
        """Let go of the file; unless kept for a later sender, delete it."""
        if self._file is not None:
            if not keep:
                self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _open(self) -> BinaryIO:
        private_folder(self.path.parent)
        file = self._file = self.path.open("w+b")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        claim = self._name.claim.model_dump(mode="json") if self._name.claim else None
        header = msgpack.packb([self._name.run, self._name.attempt, self._name.writer, claim])
        file.write(_RECORD.pack(0, len(header)) + header)
        self._read_at = file.tell()
        return file


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
        with path.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # its writer lives
            records = list(_records(file))
            if records:
                run_id, attempt, writer, claim = msgpack.unpackb(records[0][1])
                name = WriterName(run_id, attempt, writer, Claim.model_validate(claim) if claim else None)
                for seq, body in records[1:]:
                    journal.append_batch(
                        name.batch(seq, body), first=True, limit=0, claim=name.claim, patience=patience
                    )
                    sent += 1
            path.unlink(missing_ok=True)
    return sent


def _records(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    while (record := _read(file)) is not None:
        yield record


def _read(file: BinaryIO) -> tuple[int, bytes] | None:
    head = file.read(_RECORD.size)
    if len(head) < _RECORD.size:
        return None
    seq, size = _RECORD.unpack(head)
    body = file.read(size)
    return (seq, body) if len(body) == size else None  # a torn last record was never acknowledged
