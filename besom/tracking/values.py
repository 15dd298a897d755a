"""What a user may log, turned into what can be kept: plain numbers, strings, booleans, None, lists and dicts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from besom.errors import UsageError

__all__ = ["DEPTH_LIMIT", "KEY_LIMIT", "VALUE_LIMIT", "plain", "strict", "utf8"]

KEY_LIMIT: Final = 256
"""Characters in a metric's name."""
VALUE_LIMIT: Final = 64_000
"""Characters of a string, or items of a list, in one value."""
DEPTH_LIMIT: Final = 50
"""Lists and dicts inside one another in one value."""

_SCALARS = (bool, int, float, str, type(None))


def utf8(text: str) -> str:
    """The text with "?" for what has no UTF-8: half characters, as in undecodable file names."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def plain(value: Any, key: str = "value", depth: int = 0) -> Any:
    """The value as plain Python; numpy and torch scalars and small arrays by their own `item` and `tolist`.

    Args:
        value: What the user wrote.
        key: Its name, for errors.
        depth: How deep in lists and dicts it lies.

    Raises:
        TypeError: it has no plain form; names the key.
        UsageError: it is too large, or holds itself.
    """
    if type(value) in _SCALARS:
        if isinstance(value, str):
            if len(value) > VALUE_LIMIT:
                raise UsageError(
                    f"{key}: a string of {len(value)} characters; at most {VALUE_LIMIT} fit into one value"
                )
            return utf8(value)
        return value
    if depth > DEPTH_LIMIT:
        raise UsageError(f"{key[:KEY_LIMIT]}: lists and dicts more than {DEPTH_LIMIT} deep do not fit into one value")
    if isinstance(value, Mapping):
        return {utf8(str(name)): plain(item, f"{key}.{name}", depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        if len(value) > VALUE_LIMIT:
            raise UsageError(f"{key}: {len(value)} items; at most {VALUE_LIMIT} fit into one value")
        return [plain(item, key, depth + 1) for item in value]
    if isinstance(value, _SCALARS):  # subclasses: an Enum with str, np.float64
        held: Any = value
        if hasattr(held, "item"):
            return plain(held.item(), key)
        return plain(next(kind(held) for kind in (int, float, str) if isinstance(held, kind)), key)
    for step in ("detach", "cpu"):  # a torch tensor that needs gradients or lives on a device
        if hasattr(value, step):
            value = getattr(value, step)()
    if getattr(value, "size", None) == 1 and hasattr(value, "item") and not callable(value.size):
        return plain(value.item(), key)
    if hasattr(value, "numel") and value.numel() == 1:
        return plain(value.item(), key)
    if hasattr(value, "tolist"):
        return plain(value.tolist(), key, depth)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise TypeError(f"{key}: a {type(value).__name__} cannot be logged; log numbers, strings, lists or dicts of them")


def strict(value: Any) -> Any:
    """The value with None for every number that JSON cannot hold: NaN and infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): strict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [strict(item) for item in value]
    return value
