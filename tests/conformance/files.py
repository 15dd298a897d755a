"""The files that rows speak of, decoded, so that what is compared is what they show and not how they were packed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

_PICTURES = (".png", ".jpg", ".bmp")
_PIXELS = 1000
"""Numbers in a picture that is compared; of a larger one only the size."""


def shown_files(history: list[dict[str, Any]], read: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
    """Each file in these rows by where it is named, and what it shows.

    Args:
        history: Rows.
        read: What a file shows, given its JSON; None when it is not there.
    """
    return {f"{place} {name}": read(told) for place, row in enumerate(history) for name, told in _named(row, "")}


def _named(value: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping):
        if isinstance(value.get("path"), str) and "_type" in value:
            yield name, value
        if "filenames" in value:
            for place, path in enumerate(value["filenames"]):
                yield f"{name}.{place}", {"path": path, "sha256": (value.get("sha256") or {place: ""})[place]}
        for inner, held in value.items():
            yield from _named(held, f"{name}.{inner}".lstrip("."))
    elif isinstance(value, list):
        for place, held in enumerate(value):
            yield from _named(held, f"{name}.{place}")


def decoded(path: Path, content: bytes | None = None) -> Any:
    """What a file shows: pixels, JSON, text, or the sha256 of anything else."""
    if content is None:
        if not path.is_file():
            return None
        content = path.read_bytes()
    if path.suffix in _PICTURES:
        return _pixels(content)
    if path.suffix == ".json":
        return json.loads(content)
    if path.suffix in (".html", ".txt", ".obj"):
        return content.decode()
    return hashlib.sha256(content).hexdigest()


def _pixels(content: bytes) -> dict[str, Any]:
    import numpy as np
    import PIL.Image

    with PIL.Image.open(io.BytesIO(content)) as picture:
        held = np.asarray(picture)
        told = {"mode": picture.mode, "size": list(picture.size)}
        return told | {"pixels": held.ravel().tolist()} if held.size <= _PIXELS else told
