"""Paths that came from elsewhere and are to stay inside a folder."""

from __future__ import annotations

from pathlib import PurePosixPath

__all__ = ["inside"]


def inside(name: str) -> str:
    """The path, with "/", when it stays inside its folder.

    Raises:
        ValueError: it does not.
    """
    path = PurePosixPath(str(name).replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in str(path):
        raise ValueError(f"{name!r} cannot be a file's name here; write a path without .. and without / in front")
    return str(path)
