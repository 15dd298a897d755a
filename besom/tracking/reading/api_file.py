"""A run's file as `besom.Api()` gives it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from besom.errors import UsageError
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.paths import inside
from besom.tracking.times import moment_of

__all__ = ["RunFile"]


class RunFile:
    """What is known of it, and its content.

    Args:
        row: name, sha256, size and updated, as `file_rows.files_of` gives them.
        blobs: Where its content is.
    """

    def __init__(self, row: Mapping[str, Any], blobs: Blobs) -> None:
        self.name: str = row["name"]
        """Its path in the run."""
        self.size: int = row["size"]
        """Bytes."""
        self.sha256: str = row["sha256"]
        self.updated_at = moment_of(row["updated"])
        """ISO 8601 in UTC; None for media, which belong to a step."""
        self._blobs = blobs

    def __repr__(self) -> str:
        return f"<besom file {self.name}, {self.size} bytes>"

    def download(self, root: str | os.PathLike[str] = ".", replace: bool = False, exist_ok: bool = False) -> IO[str]:
        """Write it below `root`, checked against its sha256; the file, open for reading.

        Args:
            root: A folder.
            replace: Write over a file that is there.
            exist_ok: Open a file that is there as it is.

        Raises:
            ValueError: there is a file, and neither is said.
            Unreachable: the content cannot be had from here, or is damaged.
            UsageError: its name would lead out of `root`.
        """
        try:
            target = Path(root) / inside(self.name)
        except ValueError as error:
            raise UsageError(str(error)) from None
        if target.exists() and not replace:
            if exist_ok:
                return target.open(encoding="utf-8", errors="replace")
            raise ValueError(f"{target} exists already; write replace=True to write over it, exist_ok=True to keep it")
        self._blobs.copy(self.sha256, target)
        return target.open(encoding="utf-8", errors="replace")
