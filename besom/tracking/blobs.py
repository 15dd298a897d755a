"""Files by content: what a run keeps beside its numbers, named by the sha256 of its bytes.

Reads and writes: a folder `ab/abcdef…`, or the same layout at an fsspec URL (BESOM_BLOBS). Every blob is written whole
or not at all, and is checked against its name whenever it is read.
Knows nothing of runs, media or artifacts.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Protocol

from besom.disk import private_folder
from besom.errors import ConfigError, Unreachable
from besom.settings import Settings

__all__ = ["Blobs", "sha256_of"]

_NAME: Final = re.compile(r"[0-9a-f]{64}")
_PIECE: Final = 1 << 20


def sha256_of(path: Path) -> tuple[str, int]:
    """A file's sha256 in hex and its size in bytes."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        for piece in _pieces(file):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


class _Place(Protocol):
    """Where blobs lie."""

    shown: str

    def size(self, name: str) -> int | None:
        """Bytes of a blob; None when there is none."""

    def write(self, source: IO[bytes]) -> str:
        """Keep what can be read, whole or not at all; its sha256."""

    def read(self, name: str) -> IO[bytes]:
        """The blob's bytes.

        Raises:
            FileNotFoundError: there is none.
        """


class Blobs:
    """A content-addressed store of files.

    Args:
        place: A folder, or an fsspec URL such as `s3://bucket/besom`.

    Raises:
        ConfigError: a URL, and fsspec is not installed or does not know its kind.
    """

    def __init__(self, place: str | Path) -> None:
        self._place: _Place = _Remote(str(place)) if "://" in str(place) else _Folder(Path(place).expanduser())

    @classmethod
    def of(cls, settings: Settings) -> Blobs:
        """The one that these settings name: BESOM_BLOBS, else the folder `blobs` in BESOM_HOME."""
        return cls(settings.blobs or settings.home / "blobs")

    @property
    def where(self) -> str:
        """The folder or URL."""
        return self._place.shown

    def put(self, content: bytes | str | os.PathLike[str]) -> str:
        """Keep bytes or a file; the sha256 by which it is found. What is there already is not written again.

        Raises:
            OSError: the file cannot be read, or the place not be written.
        """
        if isinstance(content, bytes):
            name = hashlib.sha256(content).hexdigest()
            return name if self._place.size(name) == len(content) else self._place.write(io.BytesIO(content))
        name, size = sha256_of(Path(content))
        if self._place.size(name) == size:
            return name
        with Path(content).open("rb") as file:
            return self._place.write(file)

    def __contains__(self, sha256: str) -> bool:
        return self._place.size(sha256) is not None

    @contextmanager
    def open(self, sha256: str) -> Iterator[IO[bytes]]:
        """A blob's bytes, read through and checked before they are given out.

        Raises:
            Unreachable: it is not there, or is damaged.
        """
        if not _NAME.fullmatch(sha256):
            raise Unreachable(f"{sha256!r} is no blob; its name is a sha256 of 64 hex digits")
        try:
            file = self._place.read(sha256)
        except FileNotFoundError:
            raise Unreachable(
                f"no blob {sha256} at {self.where}; set BESOM_BLOBS to the folder that its writer used"
            ) from None
        with file:
            digest = hashlib.sha256()
            for piece in _pieces(file):
                digest.update(piece)
            if digest.hexdigest() != sha256:
                raise Unreachable(f"the blob {sha256} at {self.where} is damaged; put its file there again")
            file.seek(0)
            yield file

    def bring(self, sha256: str, source: Blobs) -> None:
        """Have a blob that `source` has.

        Raises:
            OSError: it cannot be written.
            Unreachable: it is not there, or is damaged.
        """
        if source.where != self.where and sha256 not in self:
            with source.open(sha256) as file:
                self._place.write(file)

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
                for piece in _pieces(source):
                    file.write(piece)
            scratch.replace(target)
        finally:
            scratch.unlink(missing_ok=True)
        return target


class _Folder:
    """A folder on a disk; made for its owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.shown = str(self.root)

    def size(self, name: str) -> int | None:
        try:
            return self._path(name).stat().st_size
        except OSError:
            return None

    def write(self, source: IO[bytes]) -> str:
        private_folder(self.root)
        scratch = self.root / f".{os.getpid()}.{secrets.token_hex(8)}"
        digest = hashlib.sha256()  # of what is written: the source may change meanwhile
        try:
            with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                for piece in _pieces(source):
                    digest.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            name = digest.hexdigest()
            private_folder(self._path(name).parent)
            scratch.replace(self._path(name))
        finally:
            scratch.unlink(missing_ok=True)
        return name

    def read(self, name: str) -> IO[bytes]:
        return self._path(name).open("rb")

    def _path(self, name: str) -> Path:
        return self.root / name[:2] / name


class _Remote:
    """A place that fsspec reaches."""

    def __init__(self, url: str) -> None:
        self.shown = re.sub(r"//[^/@]*@", "//***@", url)
        try:
            fsspec = importlib.import_module("fsspec")
        except ImportError:
            raise ConfigError(
                f"BESOM_BLOBS={self.shown!r} cannot be: a URL needs fsspec; pip install fsspec, or write a folder"
            ) from None
        try:
            self._system, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"BESOM_BLOBS={self.shown!r} cannot be: {error}") from None

    def size(self, name: str) -> int | None:
        with suppress(FileNotFoundError):
            return int(self._system.size(self._path(name)))
        return None

    def write(self, source: IO[bytes]) -> str:
        digest = hashlib.sha256()
        for piece in _pieces(source):
            digest.update(piece)
        source.seek(0)
        path = self._path(digest.hexdigest())
        self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with self._system.open(path, "wb") as file:
            for piece in _pieces(source):
                file.write(piece)
        return digest.hexdigest()

    def read(self, name: str) -> IO[bytes]:
        opened: IO[bytes] = self._system.open(self._path(name), "rb")
        return opened

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name[:2]}/{name}"


def _pieces(file: IO[Any]) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
