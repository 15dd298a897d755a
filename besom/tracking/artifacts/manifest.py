"""An artifact's manifest: JSON that names its files. It is a blob too, and its sha256 is the artifact's digest."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from besom.errors import Unreachable

__all__ = ["ArtifactEntry", "read_manifest", "write_manifest"]

_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class ArtifactEntry:
    """One file of an artifact: its path there, its content, or where it lies for a reference."""

    path: str
    sha256: str
    """Empty for a reference that cannot be read."""
    size: int
    ref: str = ""


def write_manifest(entries: Iterable[ArtifactEntry]) -> bytes:
    """The same bytes for the same files, in whatever order they were added."""
    told = {
        entry.path: {"sha256": entry.sha256, "size": entry.size, **({"ref": entry.ref} if entry.ref else {})}
        for entry in entries
    }
    return json.dumps({"version": _FORMAT, "entries": told}, sort_keys=True).encode()


def read_manifest(content: bytes, name: str) -> dict[str, ArtifactEntry]:
    """The files by path, of the artifact `name`.

    Raises:
        Unreachable: a later besom wrote it.
    """
    manifest = json.loads(content)
    if manifest.get("version") != _FORMAT:
        raise Unreachable(f"the manifest of artifact {name} is of format {manifest.get('version')}; upgrade besom")
    return {path: ArtifactEntry(path, **told) for path, told in manifest["entries"].items()}
