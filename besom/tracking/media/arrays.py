"""Arrays of any library as numpy's, and Pillow where it is needed."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from besom.errors import UsageError

__all__ = ["as_array", "is_torch", "pillow", "to_bytes"]


def is_torch(value: Any) -> bool:
    """Whether it is a torch tensor, whose channels come first."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def as_array(value: Any) -> np.ndarray[Any, Any]:
    """A numpy array of what numpy, torch, TensorFlow or JAX hold."""
    for step in ("detach", "cpu"):  # a torch tensor that needs gradients or lives on a device
        if hasattr(value, step):
            value = getattr(value, step)()
    if hasattr(value, "numpy") and callable(value.numpy):
        value = value.numpy()
    return np.asarray(value)


def to_bytes(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Brightness as bytes: floats of [0, 1] and [-1, 1] are stretched, anything else is cut to [0, 255].

    Source: wandb 0.28; 0.31 casts, which makes floats of [0, 1] black.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(values.dtype, np.floating):
        values = np.nan_to_num(values.astype(np.float64), nan=0.0)
        low, high = (values.min(), values.max()) if values.size else (0.0, 0.0)
        if low >= 0 and high <= 1:
            values = values * 255
        elif low >= -1 and high <= 1:
            values = (values + 1) * 127.5
    cut: np.ndarray[Any, Any] = np.clip(values, 0, 255).astype(np.uint8)
    return cut


def pillow(what: str) -> Any:
    """The module PIL.Image.

    Raises:
        UsageError: Pillow is not installed; tells how to get it.
    """
    try:
        return importlib.import_module("PIL.Image")
    except ImportError:
        raise UsageError(f"{what} needs Pillow; pip install 'besom[media]'") from None
