"""Moving pictures: arrays as GIF, and files as they are."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from besom.tracking.media.arrays import as_array, pillow, to_bytes
from besom.tracking.media.media import FileMedia, Keeper

__all__ = ["Video"]

_FORMATS: Final = ("gif", "mp4", "webm", "ogg")


class Video(FileMedia):
    """Moving pictures.

    Args:
        data_or_path: A file, an open file (with `format`), or an array of shape (time, channels, height, width), or
            (batch, time, channels, height, width) for several side by side; 1 or 3 channels.
        caption: Text beside it.
        fps: Pictures a second of an array; 4 unless given.
        format: "gif", "mp4", "webm" or "ogg"; an array becomes a GIF.

    Raises:
        ValueError: a format that is not known, that an array cannot become, or an array of another shape.
        FileNotFoundError: the file is not there.
        UsageError: an array, and Pillow is not installed.
    """

    kind = "video-file"
    folder = "media/videos"

    def __init__(
        self, data_or_path: Any, caption: str | None = None, fps: float | None = None, format: str | None = None
    ) -> None:
        self.width = self.height = 0
        if isinstance(data_or_path, str | os.PathLike):
            path = Path(data_or_path).absolute()
            path.stat()
            super().__init__(path, f".{_known(path.suffix[1:].lower())}", caption)
        elif hasattr(data_or_path, "read"):
            if format is None:
                raise ValueError(f"format is needed for an open file; write one of {', '.join(_FORMATS)}")
            super().__init__(data_or_path.read(), f".{_known(format)}", caption)
        else:
            if _known(format or "gif") != "gif":
                raise ValueError(f"format={format!r}: an array becomes a GIF; write the {format} file yourself")
            frames = _frames(as_array(data_or_path))
            self.height, self.width = frames.shape[1:3]
            super().__init__(_gif(frames, fps or 4), ".gif", caption)

    def details(self) -> dict[str, Any]:
        """Caption, and size in pixels where it is known."""
        size = {"width": self.width, "height": self.height} if self.width else {}
        return {**size, **super().details()}

    @classmethod
    def many(cls, items: Sequence[Video], run: Keeper, key: str, step: int) -> dict[str, Any]:
        """The JSON of a list."""
        return {
            "_type": "videos", "count": len(items),
            "videos": [item.to_logged(run, f"{key}_{place}", step) for place, item in enumerate(items)],
            "captions": [item.caption for item in items],
        }  # fmt: skip


def _known(format: str) -> str:
    if format not in _FORMATS:
        raise ValueError(f"a video of format {format!r} cannot be; write one of {', '.join(_FORMATS)}")
    return format


def _frames(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Frames of shape (time, height, width, channels); a batch in a grid, filled up to a power of two."""
    if values.ndim not in (4, 5) or values.shape[-3] not in (1, 3) or 0 in values.shape:
        raise ValueError(f"a video has shape ([batch,] time, 1 or 3 channels, height, width), not {list(values.shape)}")
    values = to_bytes(values)
    if values.ndim == 4:
        values = values[None]
    count = 1 << (len(values) - 1).bit_length()
    if count > len(values):
        values = np.concatenate([values, np.zeros((count - len(values), *values.shape[1:]), np.uint8)])
    rows = 1 << ((count.bit_length() - 1) // 2)
    _, time, channels, height, width = values.shape
    grid = values.reshape(rows, count // rows, time, channels, height, width).transpose(2, 0, 4, 1, 5, 3)
    return grid.reshape(time, rows * height, count // rows * width, channels)


def _gif(frames: np.ndarray[Any, Any], fps: float) -> bytes:
    make = pillow("a Video of an array").fromarray
    pictures = [make(frame[:, :, 0] if frame.shape[2] == 1 else frame) for frame in frames]
    file = io.BytesIO()
    pictures[0].save(
        file, format="GIF", save_all=True, append_images=pictures[1:], duration=max(1, round(1000 / fps)), loop=0
    )
    return file.getvalue()
