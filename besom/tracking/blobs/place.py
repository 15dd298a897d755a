"""What a place for blobs is: a folder, object storage, or a way to another machine's.

A blob is named by the sha256 of its bytes, 64 hex digits; nothing else ever becomes part of a path.
Knows nothing of runs, media or artifacts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, Protocol

from besom.errors import BlobRefused, Unreachable

__all__ = [
    "MIN_GRACE_SECONDS",
    "PIECE_BYTES",
    "SIZE_LIMIT",
    "STORES",
    "Checked",
    "Keeping",
    "Place",
    "checked_name",
    "is_name",
    "pieces_of_file",
    "sha256_of",
]

SIZE_LIMIT: Final = 50_000_000_000
"""Bytes of one blob; a model's checkpoint may be large."""
MIN_GRACE_SECONDS: Final = 3600.0
"""`besom gc` spares every blob that was written or renewed so recently: its event may be under way."""
STORES: Final = "stores"
"""Beside the blobs, the ids of the stores that refer to them: nobody sweeps out what another store needs."""
PIECE_BYTES: Final = 1 << 20
"""What is held in memory of a blob that is read or written."""

_NAME: Final = re.compile(r"[0-9a-f]{64}")


class Place(Protocol):
    """Where blobs go and come from."""

    @property
    def shown(self) -> str:
        """The folder or address, without secrets."""

    @property
    def limit(self) -> int:
        """Bytes of the largest blob it takes."""

    def size(self, name: str) -> int | None:
        """Bytes of a blob; None when there is none."""

    def renew(self, name: str, size: int) -> bool:
        """Whether a blob of this size is there. If so it counts as new: `besom gc` spares it for a while.

        False makes the caller write it again, which is always safe.
        """

    def write(self, name: str, size: int, source: IO[bytes]) -> None:
        """Keep the next `size` bytes of `source`, whole or not at all.

        Raises:
            BlobRefused: they are not what the name says, or too many.
            OSError, Unreachable: the place cannot be written now.
        """

    def read(self, name: str) -> IO[bytes]:
        """A blob's bytes, not checked; seekable.

        Raises:
            FileNotFoundError: there is none.
            Unreachable: the place does not answer.
        """


class Keeping(Place, Protocol):
    """A place that blobs rest in."""

    def names(self) -> Iterator[tuple[str, int, float]]:
        """Name, bytes and time (seconds since the epoch) of every blob and of every half-written one."""

    def delete(self, name: str, before: float) -> bool:
        """Delete what `names` gave, unless it was written or renewed at `before` or later; whether it is gone."""

    def claim(self, store: str) -> None:
        """Say that the store with this id refers to blobs here."""

    def claimed_by(self) -> set[str]:
        """Ids of the stores that do."""


class Checked:
    """Reads the next `size` bytes of a source, and says at the end whether they were what their name says.

    Args:
        name: sha256 that they are to have.
        size: How many they are to be.
        source: Where they come from.
    """

    def __init__(self, name: str, size: int, source: IO[bytes]) -> None:
        self._name, self._size, self._source = name, size, source
        self._digest = hashlib.sha256()
        self._left = size

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, in pieces.

        Raises:
            BlobRefused: at the end, when they were others.
        """
        while self._left and (piece := self._source.read(min(self._left, PIECE_BYTES))):
            self._left -= len(piece)
            self._digest.update(piece)
            yield piece
        if self._left:
            raise BlobRefused(f"blob {self._name} ends after {self._size - self._left} of {self._size} bytes")
        if self._digest.hexdigest() != self._name:
            raise BlobRefused(f"what came as blob {self._name} has sha256 {self._digest.hexdigest()}")


def is_name(text: object) -> bool:
    """Whether it is 64 hex digits."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


def checked_name(text: str) -> str:
    """The name itself.

    Raises:
        Unreachable: it is no blob's.
    """
    if not is_name(text):
        raise Unreachable(f"{text!r} is no blob; its name is a sha256 of 64 hex digits")
    return text


def pieces_of_file(file: IO[Any]) -> Iterator[bytes]:
    """What is left of a file."""
    while piece := file.read(PIECE_BYTES):
        yield piece


def sha256_of(path: Path) -> tuple[str, int]:
    """A file's sha256 in hex and its size in bytes."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        for piece in pieces_of_file(file):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size
