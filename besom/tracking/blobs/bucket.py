"""Blobs at an fsspec URL: object storage, mostly.

An object that is there already is written again once it is older than half an hour, since object storage has no way
to touch one; so `besom gc` never takes what somebody has just put.
"""

from __future__ import annotations

import importlib
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any, Final

from besom.errors import BlobRefused, ConfigError, Unreachable
from besom.tracking.blobs.place import SIZE_LIMIT, STORES, Checked, is_name

__all__ = ["Bucket"]

_FRESH_SECONDS: Final = 1800.0


class Bucket:
    """A place that fsspec reaches.

    Args:
        url: Such as `s3://bucket/besom`.
        limit: Bytes of the largest blob.
        clock: Seconds since the epoch.

    Raises:
        ConfigError: fsspec is not installed or does not know its kind.
    """

    def __init__(self, url: str, limit: int = SIZE_LIMIT, clock: Callable[[], float] = time.time) -> None:
        self.shown = re.sub(r"//[^/@]*@", "//***@", url)
        self.limit = limit
        self._clock = clock
        try:
            fsspec = importlib.import_module("fsspec")
        except ImportError:
            raise ConfigError(
                f"BESOM_BLOBS={self.shown!r} cannot be: a URL needs fsspec; pip install fsspec, or write a folder"
            ) from None
        try:
            self._system, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
            self._root = root.rstrip("/")
        except (ImportError, ValueError) as error:
            raise ConfigError(f"BESOM_BLOBS={self.shown!r} cannot be: {error}") from None

    def size(self, name: str) -> int | None:
        """Bytes of a blob; None when there is none."""
        held = self._info(name)
        return None if held is None else int(held["size"])

    def renew(self, name: str, size: int) -> bool:
        """Whether it is there, whole, and young enough."""
        held = self._info(name)
        return held is not None and held["size"] == size and self._clock() - _time_of(held) < _FRESH_SECONDS

    def write(self, name: str, size: int, source: IO[bytes]) -> None:
        """Keep the next `size` bytes of `source`: checked here first, since an object cannot be taken back."""
        if size > self.limit:
            raise BlobRefused(f"blob {name} has {size} bytes; {self.shown} takes at most {self.limit}")
        with tempfile.NamedTemporaryFile(prefix="besom-") as file, self._asked():
            file.writelines(Checked(name, size, source))
            file.flush()
            self._put(file.name, self._path(name))

    def read(self, name: str) -> IO[bytes]:
        """The blob's bytes."""
        with self._asked():
            opened: IO[bytes] = self._system.open(self._path(name), "rb")
        return opened

    def names(self) -> Iterator[tuple[str, int, float]]:
        """Every blob."""
        with self._asked():
            try:
                found = self._system.find(self._root, detail=True)
            except FileNotFoundError:
                return
        for path, held in found.items():
            name = path.rpartition("/")[2]
            if is_name(name):
                yield name, int(held["size"]), _time_of(held)

    def delete(self, name: str, before: float) -> bool:
        """Delete a blob, unless it was written since."""
        held = self._info(name)
        if held is not None and _time_of(held) >= before:
            return False
        with self._asked():
            try:
                self._system.rm_file(self._path(name))
            except FileNotFoundError:
                return True
        return True

    def claim(self, store: str) -> None:
        """Say that the store with this id refers to blobs here."""
        with tempfile.NamedTemporaryFile(prefix="besom-") as empty, self._asked():
            self._put(empty.name, f"{self._root}/{STORES}/{store}")

    def claimed_by(self) -> set[str]:
        """Ids of the stores that do."""
        with self._asked():
            try:
                found = self._system.find(f"{self._root}/{STORES}")
            except FileNotFoundError:
                return set()
        # A listing made while the first store is being written may have the folder itself.
        return {name for path in found if (name := path.rpartition("/")[2]) != STORES}

    def _put(self, source: str, path: str) -> None:
        """Send a file. Its folder is not made before: s3fs would make a bucket that does not exist."""
        try:
            self._system.put_file(source, path)
        except FileNotFoundError as error:
            raise Unreachable(f"blobs at {self.shown} cannot be kept: {error}") from error

    def _info(self, name: str) -> dict[str, Any] | None:
        with self._asked():
            try:
                return dict(self._system.info(self._path(name)))
            except FileNotFoundError:
                return None

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """What a storage's library raises, as ours: of what kind it is only that library knows."""
        try:
            yield
        except (BlobRefused, FileNotFoundError, Unreachable):
            raise
        except Exception as error:
            raise Unreachable(f"blobs at {self.shown} cannot be had: {type(error).__name__}: {error}") from error

    def _path(self, name: str) -> str:
        return f"{self._root}/{name[:2]}/{name}"


def _time_of(held: dict[str, Any]) -> float:
    """When an object was written; every kind of storage has a name of its own for that."""
    for key in ("LastModified", "mtime", "updated", "last_modified", "modified", "created"):
        told = held.get(key)
        if isinstance(told, datetime):
            return told.timestamp()
        if isinstance(told, int | float):
            return float(told)
    return 0.0
