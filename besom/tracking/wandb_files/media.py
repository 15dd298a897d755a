"""The files that a run's rows speak of: found beside the `.wandb` file, kept as blobs, named by sha256 in the row.

Knows nothing of records.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from besom.errors import BesomError
from besom.tracking.blobs.blobs import Blobs

__all__ = ["FilesOfRun"]

log = logging.getLogger("besom")


class FilesOfRun:
    """One run's folder of files.

    Args:
        folder: `files` beside the `.wandb` file.
        blobs: Where they are kept.
    """

    def __init__(self, folder: Path, blobs: Blobs) -> None:
        self._folder, self.blobs = folder.resolve(), blobs
        self._held: dict[str, tuple[str, int]] = {}
        self.missing: set[str] = set()
        """Paths that rows name and that are not there."""

    @property
    def kept(self) -> int:
        """How many files are kept."""
        return len(self._held)

    def keep(self, value: Any) -> Any:
        """The value, with sha256 and size of each file that it names; those files are kept.

        `images/separated` names files in a list; other media, masks and boxes each name one.
        """
        if isinstance(value, list):
            return (
                [self.keep(item) for item in value] if any(isinstance(item, dict | list) for item in value) else value
            )
        if not isinstance(value, Mapping):
            return value
        told = {name: self.keep(item) for name, item in value.items()}
        names = told.get("filenames")
        if "_type" in told and isinstance(names, list):
            found = [self._keep_file(str(name)) for name in names]
            told["sha256"], told["size"] = [one[0] for one in found], [one[1] for one in found]
        path = told.get("path")
        if "_type" in told and isinstance(path, str):
            sha256, size = self._keep_file(path)
            told |= {"sha256": sha256, "size": size} if sha256 else {}
        return told

    def _keep_file(self, name: str) -> tuple[str, int]:
        """Sha256 and size; ('', 0) where that fails, which is said once for each file."""
        if name in self._held:
            return self._held[name]
        path = (self._folder / name).resolve()
        try:
            if not path.is_relative_to(self._folder):  # a file of another's machine is not to be read through a row
                raise FileNotFoundError(f"{name} is not among the run's files")
            size = path.stat().st_size
            self._held[name] = (self.blobs.put(path), size)
        except (OSError, BesomError) as error:
            if name not in self.missing:
                log.warning("%s cannot be kept: %s", name, error)
            self.missing.add(name)
            return "", 0
        return self._held[name]
