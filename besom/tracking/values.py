"""What a user may log, turned into what can be kept: plain numbers, strings, booleans, None, lists and dicts."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from datetime import timedelta
from enum import Enum
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final

from besom.errors import TooLarge, UsageError

__all__ = [
    "DEPTH_LIMIT",
    "KEYS_LIMIT",
    "KEY_LIMIT",
    "VALUE_LIMIT",
    "logged",
    "packable",
    "plain",
    "size_of",
    "strict",
    "utf8",
]

KEY_LIMIT: Final = 256
"""Characters in a metric's name."""
KEYS_LIMIT: Final = 10_000
"""Metrics' names in one run."""
VALUE_LIMIT: Final = 64_000
"""Characters of a string, or items of a list, in one value."""
LIST_LIMIT: Final = 32
"""Elements of an array that is kept as a list when it is logged."""
ROW_LIMIT: Final = 64_000
"""Bytes of one value in a row."""
DEPTH_LIMIT: Final = 50
"""Lists and dicts inside one another in one value."""

_NUMBERS_AS_TEXT: Final = ("decimal", "fractions", "uuid")
_SCALARS = (bool, int, float, str, type(None))


def utf8(text: str) -> str:
    """The text with "?" for what has no UTF-8: half characters, as in undecodable file names."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def logged(value: Any, key: str) -> Any:
    """The value of a row: as `plain`, and an array of more than 32 numbers as its histogram.

    Raises:
        TypeError: as `plain`.
        TooLarge: it has no room in a row.
        UsageError: it holds itself.
    """
    held = plain(value, key, histograms=True)
    if type(held) in (list, dict) and (size := size_of(held)) > ROW_LIMIT:
        raise TooLarge(f"{key}: a value of {size} bytes; at most {ROW_LIMIT} fit into one value of a row")
    return held


def size_of(value: Any) -> int:
    """About how many bytes a plain value takes."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return 8 + sum(8 + size_of(item) for item in value)
    if isinstance(value, dict):
        return 8 + sum(8 + len(name) + size_of(item) for name, item in value.items())
    return 8


def plain(value: Any, key: str = "value", depth: int = 0, *, histograms: bool = False, objects: bool = False) -> Any:
    """The value as plain Python; numpy and torch scalars and small arrays by their own `item` and `tolist`.

    Args:
        value: What the user wrote.
        key: Its name, for errors.
        depth: How deep in lists and dicts it lies.
        histograms: Large arrays of numbers become histograms.
        objects: Whatever has no plain form becomes its text, as in a config; an Enum its name.

    Raises:
        TypeError: it has no plain form; names the key.
        TooLarge: it is too large.
        UsageError: it holds itself.
    """
    if type(value) in _SCALARS:
        if isinstance(value, str):
            if len(value) > VALUE_LIMIT:
                raise TooLarge(f"{key}: a string of {len(value)} characters; at most {VALUE_LIMIT} fit into one value")
            return utf8(value)
        return value
    if depth > DEPTH_LIMIT:
        raise UsageError(f"{key[:KEY_LIMIT]}: lists and dicts more than {DEPTH_LIMIT} deep do not fit into one value")
    if isinstance(value, Mapping):
        return {
            utf8(str(name)): plain(item, f"{key}.{name}", depth + 1, histograms=histograms, objects=objects)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        if len(value) > VALUE_LIMIT:
            raise TooLarge(f"{key}: {len(value)} items; at most {VALUE_LIMIT} fit into one value")
        return [plain(item, key, depth + 1, histograms=histograms, objects=objects) for item in value]
    if isinstance(value, Enum):
        return utf8(value.name) if objects else plain(value.value, key, depth + 1, histograms=histograms)
    if isinstance(value, _SCALARS):  # subclasses: np.float64
        held: Any = value
        if hasattr(held, "item"):
            return plain(held.item(), key)
        return plain(next(kind(held) for kind in (int, float, str) if isinstance(held, kind)), key)
    if hasattr(value, "numpy") and not hasattr(value, "tolist"):  # a tensor of tensorflow
        value = value.numpy()
    for step in ("detach", "cpu"):  # a torch tensor that needs gradients or lives on a device
        if hasattr(value, step):
            value = getattr(value, step)()
    count = _count(value)
    if count == 1 and hasattr(value, "item"):
        return plain(value.item(), key)
    if hasattr(value, "tolist"):
        if histograms and count > LIST_LIMIT and (found := _histogram(value)) is not None:
            return found
        return plain(value.tolist(), key, depth)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    text = _text_of(value)
    if text is None and objects and not hasattr(value, "to_logged"):  # media belong into a row
        text = str(value)
    if text is not None:
        return plain(text, key)
    raise TypeError(f"{key}: a {type(value).__name__} cannot be logged; log numbers, strings, lists or dicts of them")


def _text_of(value: Any) -> str | None:
    """The text of what Python's own libraries have; None for anything else."""
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, timedelta):
        return f"PT{value.total_seconds():g}S"
    if isinstance(value, complex):
        return str(value).strip("()")
    if type(value).__module__ in _NUMBERS_AS_TEXT:
        return str(value)
    if isinstance(value, type | FunctionType | BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    return None


def _histogram(array: Any) -> dict[str, Any] | None:
    from besom.tracking.histograms import binned, numbers_in  # numpy is for those who log arrays

    numbers = numbers_in(array)
    return None if numbers is None else binned(numbers)


def _count(array: Any) -> int:
    """How many elements an array has: numpy's `size`, torch's `numel()`; 0 for what is none."""
    if hasattr(array, "numel"):
        return int(array.numel())
    size = getattr(array, "size", 0)
    return 0 if callable(size) else int(size)


def packable(value: Any) -> Any:
    """The plain value with floats for integers beyond 64 bits, where msgpack ends, as JSON does in most readers."""
    if type(value) is int and not -(2**63) <= value < 2**64:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, list):
        return [packable(item) for item in value]
    if isinstance(value, dict):
        return {name: packable(item) for name, item in value.items()}
    return value


def strict(value: Any) -> Any:
    """The value with None for every number that JSON cannot hold: NaN and infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): strict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return value
