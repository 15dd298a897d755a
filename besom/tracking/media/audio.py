"""Sound: arrays as WAV, and files as they are."""

from __future__ import annotations

import io
import os
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from besom.tracking.media.arrays import as_array
from besom.tracking.media.media import FileMedia, Keeper

__all__ = ["Audio"]


class Audio(FileMedia):
    """Sound.

    Args:
        data_or_path: A file, or an array of shape (frames,) or (frames, channels): floats of [-1, 1], or whole numbers
            of 16 bits.
        sample_rate: Frames a second; needed for an array.
        caption: Text beside it.

    Raises:
        ValueError: an array without sample rate, or of another shape.
        FileNotFoundError: the file is not there.
    """

    kind = "audio-file"
    folder = "media/audio"

    def __init__(self, data_or_path: Any, sample_rate: int | None = None, caption: str | None = None) -> None:
        self.sample_rate = sample_rate
        self.seconds: float | None = None
        if isinstance(data_or_path, str | os.PathLike):
            path = Path(data_or_path).absolute()
            path.stat()
            super().__init__(path, path.suffix or ".wav", caption)
            return
        if sample_rate is None:
            raise ValueError("sample_rate is needed for an array; write frames a second, such as 44100")
        samples = _samples(as_array(data_or_path))
        self.seconds = len(samples) / sample_rate
        super().__init__(_wav(samples, int(sample_rate)), ".wav", caption)

    @classmethod
    def many(cls, items: Sequence[Audio], run: Keeper, key: str, step: int) -> dict[str, Any]:
        """The JSON of a list."""
        return {
            "_type": "audio", "count": len(items),
            "audio": [item.to_logged(run, key, step) for item in items],
            "sampleRates": [item.sample_rate for item in items], "durations": [item.seconds for item in items],
            "captions": ["" if item.caption is None else str(item.caption) for item in items],
        }  # fmt: skip


def _samples(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """16-bit frames of shape (frames, channels)."""
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise ValueError(f"sound has shape (frames,) or (frames, channels), not {list(values.shape)}")
    if np.issubdtype(values.dtype, np.floating):
        values = np.rint(np.clip(np.nan_to_num(values, nan=0.0), -1.0, 1.0) * 32767)
    cut: np.ndarray[Any, Any] = np.clip(values, -32768, 32767).astype("<i2")
    return cut


def _wav(samples: np.ndarray[Any, Any], sample_rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(samples.shape[1])
        sound.setsampwidth(2)
        sound.setframerate(sample_rate)
        sound.writeframes(samples.tobytes())
    return file.getvalue()
