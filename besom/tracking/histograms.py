"""Many numbers as counts in bins: what a large array becomes when it is logged."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["ARRAY_BINS", "binned", "numbers_in"]

ARRAY_BINS: Final = 32


def numbers_in(array: Any) -> npt.NDArray[Any] | None:
    """The elements of an array of any library, flat; None when they are no real numbers."""
    try:
        found = np.asarray(array)
    except (TypeError, ValueError, RuntimeError):  # numpy has no such numbers, as torch's bfloat16
        found = np.asarray(array.float() if hasattr(array, "float") else array.tolist())
    if found.dtype == object and hasattr(array, "tolist"):
        found = np.asarray(array.tolist())
    return found.ravel() if found.dtype.kind in "biuf" else None


def binned(numbers: npt.NDArray[Any], bins: int = ARRAY_BINS) -> dict[str, Any]:
    """`{_type: "histogram", values, bins}`: counts, and one edge more; what is not finite is left out."""
    wide = numbers.astype(np.float64, copy=False)
    counts, edges = np.histogram(wide[np.isfinite(wide)], bins=bins)
    return {"_type": "histogram", "values": counts.tolist(), "bins": edges.tolist()}
