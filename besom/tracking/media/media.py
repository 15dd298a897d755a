"""What every kind of media has in common: it keeps a file as a blob, and is told in a row as W&B's JSON.

Knows nothing of numpy or of any image library, so that a script that logs numbers only does not load them.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from besom.errors import UsageError
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.values import plain, strict

__all__ = [
    "SIZE_LIMIT",
    "FileMedia",
    "Keeper",
    "Media",
    "MediaList",
    "MediaMap",
    "files_in",
    "keep_file",
    "path_of",
    "to_json",
]

log = logging.getLogger("besom")

SIZE_LIMIT: Final = 100_000_000
"""Bytes of one file."""
LIST_LIMIT: Final = 108
"""Files in one list, as in W&B."""


class Keeper(Protocol):
    """What has a place for files: a run."""

    @property
    def blobs(self) -> Blobs:
        """Where they go."""


class Media:
    """Base of everything that `log` takes beside plain values."""

    def to_logged(self, run: Keeper, key: str, step: int) -> Any:
        """Keep its files; the JSON that stands for it in the row.

        Raises:
            OSError: a file cannot be read or kept.
            UsageError: a file is too large.
        """
        raise NotImplementedError

    @classmethod
    def many(cls, items: Sequence[Any], run: Keeper, key: str, step: int) -> Any:
        """The JSON of a list of them, all of this class."""
        return [item.to_logged(run, f"{key}_{place}", step) for place, item in enumerate(items)]


class FileMedia(Media):
    """Media that is one file.

    Args:
        content: Its bytes, or the path of a file.
        suffix: With the dot.
        caption: Text beside it.
    """

    kind: ClassVar[str]
    """`_type` of its JSON."""
    folder: ClassVar[str]
    """First part of its path, as in W&B."""

    def __init__(self, content: bytes | Path, suffix: str, caption: str | None = None) -> None:
        self._content = content
        self._suffix = suffix
        self.caption = caption

    def content(self) -> bytes | Path:
        """What is kept."""
        return self._content

    def details(self) -> dict[str, Any]:
        """What its JSON has besides path, sha256 and size."""
        return {} if self.caption is None else {"caption": str(self.caption)}

    def to_logged(self, run: Keeper, key: str, step: int) -> dict[str, Any]:
        """Keep the file; its JSON."""
        kept = keep_file(run.blobs, self.content(), f"{self.folder}/{key}_{step}", self._suffix)
        return {"_type": self.kind, **kept, **self.details()}


class MediaList(Media):
    """A list of media of one class, as one value of a row."""

    def __init__(self, items: Sequence[Any]) -> None:
        kinds = {type(item) for item in items}
        if len(kinds) > 1:
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise ValueError(f"one list holds media of one class, not {names}; log them under several names")
        self.items = list(items)

    def to_logged(self, run: Keeper, key: str, step: int) -> Any:
        """Keep the first 108; the JSON of the list."""
        if len(self.items) > LIST_LIMIT:
            log.warning("%s: only the first %d of %d are kept", key, LIST_LIMIT, len(self.items))
        return type(self.items[0]).many(self.items[:LIST_LIMIT], run, key, step)


class MediaMap(Media):
    """A dict with media somewhere in it."""

    def __init__(self, items: Mapping[str, Any]) -> None:
        self.items = items

    def to_logged(self, run: Keeper, key: str, step: int) -> dict[str, Any]:
        """The dict, with JSON in the place of media."""
        return {
            str(name): item.to_logged(run, f"{key}.{name}", step)
            if isinstance(item, Media)
            else plain(item, f"{key}.{name}")
            for name, item in self.items.items()
        }


def keep_file(blobs: Blobs, content: bytes | Path, name: str, suffix: str) -> dict[str, Any]:
    """Keep bytes or a file as a blob; its path as W&B would name it, sha256 and size in bytes.

    Raises:
        OSError: the file cannot be read, or the blob not be written.
        UsageError: it is larger than `SIZE_LIMIT`.
    """
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if size > SIZE_LIMIT:
        raise UsageError(f"{name}{suffix} has {size} bytes; at most {SIZE_LIMIT}: log it as an artifact")
    sha256 = blobs.put(content)
    return {"path": f"{path_of(name)}_{sha256[:20]}{suffix}", "sha256": sha256, "size": size}


def path_of(name: str) -> str:
    """The name with "_" for what cannot be part of a path on every system."""
    parts = re.sub(r"[^\w./ -]", "_", name).split("/")
    return "/".join("_" if part.strip(". ") == "" else part[:150] for part in parts)


def to_json(value: Any) -> bytes:
    """The value as JSON that every reader takes: None for NaN and infinities."""
    return json.dumps(strict(value), ensure_ascii=False).encode("utf-8", "replace")


def files_in(told: Any) -> Iterator[tuple[str, str, int]]:
    """Path, sha256 and size of every file that media's JSON names."""
    if isinstance(told, dict):
        if {"path", "sha256", "size"} <= told.keys():
            yield told["path"], told["sha256"], told["size"]
        for inner in told.values():
            yield from files_in(inner)
    elif isinstance(told, list):
        for inner in told:
            yield from files_in(inner)
