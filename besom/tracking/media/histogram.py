"""Histograms: counts and the edges between them, told in the row itself."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from besom.tracking.media.arrays import as_array
from besom.tracking.media.media import Keeper, Media

__all__ = ["Histogram"]

BINS_LIMIT: Final = 512


class Histogram(Media):
    """How values are spread.

    Args:
        sequence: Values of any shape; NaN and infinities are left out.
        np_histogram: Counts and edges, as numpy.histogram gives them, instead.
        num_bins: Bins for `sequence`, at most 512.

    Raises:
        ValueError: too many bins, edges that do not fit the counts, or no value at all.
    """

    def __init__(self, sequence: Any = None, np_histogram: Any = None, num_bins: int = 64) -> None:
        if np_histogram is not None:
            if len(np_histogram) != 2:
                raise ValueError("np_histogram is a pair of counts and edges, as numpy.histogram gives it")
            counts, edges = (as_array(part) for part in np_histogram)
        else:
            if not 0 < num_bins <= BINS_LIMIT:
                raise ValueError(f"num_bins={num_bins} cannot be; write 1 to {BINS_LIMIT}")
            if sequence is None:
                raise ValueError("a Histogram is made of a sequence or of np_histogram")
            counts, edges = _counted(sequence, num_bins)
        if not 0 < len(counts) <= BINS_LIMIT:
            raise ValueError(f"a histogram has 1 to {BINS_LIMIT} bins, not {len(counts)}")
        if len(edges) != len(counts) + 1:
            raise ValueError(f"{len(counts)} counts have {len(counts) + 1} edges, not {len(edges)}")
        self.histogram: list[float] = counts.tolist()
        """Counts."""
        self.bins: list[float] = edges.tolist()
        """Edges, one more than counts."""

    def to_logged(self, run: Keeper, key: str, step: int) -> dict[str, Any]:
        """Its JSON; there is no file."""
        return {"_type": "histogram", "values": self.histogram, "bins": self.bins}


def _counted(sequence: Any, num_bins: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    if isinstance(sequence, set | frozenset):
        sequence = sorted(sequence)
    values = as_array(sequence).ravel()
    if values.dtype == bool:
        values = values.astype(np.uint8)
    values = values[np.isfinite(values)]
    if not values.size:
        raise ValueError("a histogram needs at least one finite value")
    return np.histogram(values, bins=num_bins)
