"""Blobs in a folder, as `ab/abcdef…`; each is written whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from besom.disk import boot_id, host_id, private_folder
from besom.errors import BlobRefused
from besom.failpoint import failpoint
from besom.tracking.blobs.place import SIZE_LIMIT, STORES, Checked, is_name

__all__ = ["Folder"]


class Folder:
    """A folder on a disk; made for its owner only.

    Args:
        root: It need not exist.
        limit: Bytes of the largest blob.
        reserve: Bytes that stay free on its disk: where a store is, a full disk would stop the recorder.
        durable: Wait until the disk has what is written.
    """

    def __init__(self, root: Path, limit: int = SIZE_LIMIT, reserve: int = 0, *, durable: bool = True) -> None:
        self.root = root.absolute()
        self.shown = str(self.root)
        self.limit = limit
        self._reserve = reserve
        self._durable = durable

    @property
    def identity(self) -> str:
        """The same text for the same folder on the same machine, under whatever path; makes the folder.

        Raises:
            Unreachable: it cannot be made.
        """
        held = private_folder(self.root).stat()
        return f"{host_id()} {boot_id()} {held.st_dev}:{held.st_ino}"

    def size(self, name: str) -> int | None:
        """Bytes of a blob; None when there is none."""
        try:
            return self.path(name).stat().st_size
        except OSError:
            return None

    def renew(self, name: str, size: int) -> bool:
        """Whether it is there, whole; it then counts as new."""
        try:
            os.utime(self.path(name))
        except OSError:
            return False
        return self.size(name) == size

    def write(self, name: str, size: int, source: IO[bytes]) -> None:
        """Keep the next `size` bytes of `source`."""
        if size > self.limit:
            raise BlobRefused(f"blob {name} has {size} bytes; {self.shown} takes at most {self.limit}")
        private_folder(self.root)
        if self._reserve and shutil.disk_usage(self.root).free - size < self._reserve:
            raise OSError(errno.ENOSPC, f"less than {self._reserve} bytes would stay free", self.shown)
        scratch = self.root / f".{os.getpid()}.{secrets.token_hex(8)}"
        try:
            with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.writelines(Checked(name, size, source))
                file.flush()
                failpoint("folder.before-rename")
                if self._durable:
                    os.fsync(file.fileno())
            private_folder(self.path(name).parent)
            scratch.replace(self.path(name))
        finally:
            scratch.unlink(missing_ok=True)

    def read(self, name: str) -> IO[bytes]:
        """The blob's bytes."""
        return self.path(name).open("rb")

    def names(self) -> Iterator[tuple[str, int, float]]:
        """Every blob and every half-written one."""
        for path in [*self.root.glob("??/*"), *self.root.glob(".*.*")]:
            if is_name(path.name) or path.parent == self.root:
                with suppress(FileNotFoundError):
                    held = path.stat()
                    yield path.name, held.st_size, held.st_mtime

    def delete(self, name: str, before: float) -> bool:
        """Delete a blob that nobody has renewed; what is renewed at this very moment stays or comes back."""
        path = self.path(name)
        aside = self.root / f".{os.getpid()}.{secrets.token_hex(8)}"
        try:
            path.rename(aside)
            if aside.stat().st_mtime >= before:
                aside.rename(path)
                return False
            aside.unlink()
        except FileNotFoundError:
            return True
        return True

    def claim(self, store: str) -> None:
        """Say that the store with this id refers to blobs here."""
        (private_folder(private_folder(self.root) / STORES) / store).touch(mode=0o600)

    def claimed_by(self) -> set[str]:
        """Ids of the stores that do."""
        return {path.name for path in (self.root / STORES).glob("*")}

    def path(self, name: str) -> Path:
        """Where a blob lies."""
        return self.root / name[:2] / name if is_name(name) else self.root / Path(name).name
