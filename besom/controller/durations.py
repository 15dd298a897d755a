"""How long: seconds as a number, or as people write them."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic_core import PydanticCustomError

__all__ = ["DURATION_PATTERN", "DURATION_RULE", "seconds"]

DURATION_RULE: Final = "seconds above 0, or a text such as 90s, 30m, 2h or 1d"
DURATION_PATTERN: Final = r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*"
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: Any) -> Any:
    """Seconds of 2h and the like; what is none goes on to the check that explains it."""
    if isinstance(value, str) and (found := re.fullmatch(DURATION_PATTERN, value)):
        value = float(found[1]) * _UNITS[found[2] or "s"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise PydanticCustomError("duration", DURATION_RULE)
    return float(value)
