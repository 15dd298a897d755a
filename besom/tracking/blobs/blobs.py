"""Files by content: what a run keeps beside its numbers, named by the sha256 of its bytes.

Public behaviour once, over any `Place`: every blob is checked against its name whenever it is read.
Knows nothing of runs, media or artifacts.
"""

from __future__ import annotations

import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from besom.errors import BlobRefused, Unreachable
from besom.tracking.blobs.outbox import Outbox
from besom.tracking.blobs.place import Place, checked_name, pieces_of_file

__all__ = ["Blobs"]

_TRIES: Final = 3
"""For a file that is written to while it is read."""


class Blobs:
    """A content-addressed store of files.

    Args:
        place: Where they go and come from.
    """

    def __init__(self, place: Place) -> None:
        self.place = place

    @property
    def where(self) -> str:
        """The folder or address."""
        return self.place.shown

    def put(self, content: bytes | str | os.PathLike[str]) -> str:
        """Keep bytes or a file; the sha256 by which it is found. What is there already is not written again.

        A file that grows meanwhile is kept as it was at the beginning.

        Raises:
            OSError: the file cannot be read, or the place not be written.
            Unreachable: the place does not answer.
            BlobRefused: it is too large, or the file was changed again and again.
        """
        tries = 1 if isinstance(content, bytes) else _TRIES
        while True:
            tries -= 1
            with io.BytesIO(content) if isinstance(content, bytes) else Path(content).open("rb") as source:
                name, size = _digest(source)
                if self.place.renew(name, size):
                    return name
                source.seek(0)
                try:
                    self.place.write(name, size, source)
                except BlobRefused:
                    if not tries or size > self.place.limit:
                        raise
                else:
                    return name

    def bring(self, sha256: str, source: Blobs) -> None:
        """Have a blob that `source` has.

        Raises:
            OSError: it cannot be written.
            Unreachable: it is not there, or is damaged.
        """
        if source.where == self.where:
            return
        with source.open(sha256) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if not self.place.renew(sha256, size):
                self.place.write(sha256, size, file)

    def settle(self, patience: float) -> int:
        """Wait up to `patience` seconds until what was put is where all can read it; how many blobs are not."""
        return self.place.drain(patience) if isinstance(self.place, Outbox) else 0

    def send_leftovers(self) -> bool:
        """Have what processes that are gone have put here sent to where all can read it.

        Returns:
            At once, and whether there may be something.
        """
        return isinstance(self.place, Outbox) and self.place.adopt()

    def size(self, sha256: str) -> int | None:
        """Bytes of a blob; None when there is none."""
        return self.place.size(checked_name(sha256))

    def __contains__(self, sha256: str) -> bool:
        return self.size(sha256) is not None

    @contextmanager
    def open(self, sha256: str) -> Iterator[IO[bytes]]:
        """A blob's bytes, read through and checked before they are given out.

        Raises:
            Unreachable: it is not there, or is damaged.
        """
        try:
            file = self.place.read(checked_name(sha256))
        except FileNotFoundError:
            raise Unreachable(
                f"no blob {sha256} at {self.where}; its writer may not have sent it yet, or used another BESOM_BLOBS"
            ) from None
        with file:
            digest = hashlib.sha256()
            for piece in pieces_of_file(file):
                digest.update(piece)
            if digest.hexdigest() != sha256:
                raise Unreachable(f"the blob {sha256} at {self.where} is damaged; put its file there again")
            file.seek(0)
            yield file

    def read(self, sha256: str) -> bytes:
        """A blob's bytes, checked."""
        with self.open(sha256) as file:
            return file.read()

    def copy(self, sha256: str, target: Path) -> Path:
        """Write a blob to a file, whole or not at all.

        Raises:
            Unreachable: it is not there, or is damaged.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}")
        try:
            with self.open(sha256) as source, scratch.open("wb") as file:
                file.writelines(pieces_of_file(source))
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)
        return target


def _digest(source: IO[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for piece in pieces_of_file(source):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size
