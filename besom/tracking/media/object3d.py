"""Shapes in space: files of the usual formats, and clouds of points."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from besom.tracking.media.arrays import as_array
from besom.tracking.media.media import FileMedia, Keeper, to_json
from besom.tracking.values import plain

__all__ = ["Object3D"]

_FORMATS: Final = ("obj", "gltf", "glb", "babylon", "stl", "pts.json")
_SCENES: Final = ("lidar/beta",)


class Object3D(FileMedia):
    """A shape or a scene.

    Args:
        data_or_path: A file (obj, gltf, glb, babylon, stl, pts.json); an open file with `file_type`; points as an array
            of shape (n, 3): x, y, z; (n, 4): with a class of 1 to 14; (n, 6): with red, green, blue; or a scene
            `{"type": "lidar/beta", "points": …, "boxes": …, "vectors": …}`.
        caption: Text beside it.
        file_type: Format of an open file.

    Raises:
        ValueError: a format that is not known, or an array of another shape.
        TypeError: none of these.
        FileNotFoundError: the file is not there.
    """

    kind = "object3D-file"
    folder = "media/object3D"

    def __init__(self, data_or_path: Any, caption: str | None = None, file_type: str | None = None) -> None:
        if isinstance(data_or_path, str | os.PathLike):
            path = Path(data_or_path).absolute()
            path.stat()
            super().__init__(path, f".{_format_of(path.name)}", caption)
        elif hasattr(data_or_path, "read"):
            content = data_or_path.read()
            content = content.encode() if isinstance(content, str) else content
            super().__init__(content, f".{_format_of(f'.{file_type}')}", caption)
        elif isinstance(data_or_path, Mapping):
            super().__init__(to_json(_scene(data_or_path)), ".pts.json", caption)
        elif hasattr(data_or_path, "shape"):
            super().__init__(to_json(_points(as_array(data_or_path))), ".pts.json", caption)
        else:
            raise TypeError(f"Object3D is made of a file, an array or a scene, not {type(data_or_path).__name__}")

    @classmethod
    def many(cls, items: Sequence[Object3D], run: Keeper, key: str, step: int) -> dict[str, Any]:
        """The JSON of a list."""
        logged = [item.to_logged(run, f"{key}_{place}", step) for place, item in enumerate(items)]
        return {
            "_type": "object3D", "count": len(items), "filenames": [one["path"] for one in logged], "objects": logged,
        }  # fmt: skip


def _format_of(name: str) -> str:
    for format in _FORMATS:
        if name.lower().endswith(f".{format}"):
            return format
    raise ValueError(f"{name!r} is of no format that is known; write one of {', '.join(_FORMATS)}")


def _points(values: np.ndarray[Any, Any]) -> list[list[float]]:
    if values.ndim != 2 or values.shape[1] not in (3, 4, 6):
        raise ValueError(f"points have shape (n, 3), (n, 4) or (n, 6), not {list(values.shape)}")
    points: list[list[float]] = values.tolist()
    return points


def _scene(said: Mapping[str, Any]) -> dict[str, Any]:
    if said.get("type") not in _SCENES:
        raise ValueError(f"a scene has the type {_SCENES[0]!r}, not {said.get('type')!r}")
    scene = {"vectors": [], **{str(name): value for name, value in said.items()}}
    if "points" in scene:
        scene["points"] = _points(as_array(scene["points"]))
    return {
        name: [plain(item, name) for item in value] if isinstance(value, list | tuple | np.ndarray) else value
        for name, value in scene.items()
    }
