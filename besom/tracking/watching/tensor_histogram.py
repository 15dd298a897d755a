"""A torch tensor as a histogram, counted where the tensor lives; only the 64 counts are moved.

Uses what tensors do themselves, so that torch is not imported here.
"""

from __future__ import annotations

import math
from typing import Any, Final

__all__ = ["BINS", "tensor_histogram"]

BINS: Final = 64
_PIECE: Final = 32_768
"""Numbers at a time on a CPU: they stay in its cache, and torch starts no threads for so few."""
_NARROW, _WIDE = 1e-30, 1e38
"""Spreads between which float32 can count."""


def tensor_histogram(tensor: Any) -> dict[str, Any] | None:
    """`{_type: "histogram", values, bins}` of what is finite in it: 64 counts and 65 edges.

    When all are equal there is one bin; None when nothing is finite. A sparse tensor's zeros count.

    Args:
        tensor: A torch tensor of real numbers, on any device; left unchanged.
    """
    numbers, zeros = tensor.detach(), 0
    if numbers.is_sparse:
        numbers = numbers.coalesce().values()
        zeros = tensor.numel() - numbers.numel()
    found = _finite(numbers.reshape(-1))
    if found is None:
        return None
    numbers, low, high = found
    if zeros:
        low, high = min(low, 0.0), max(high, 0.0)
    spread = high - low
    if not 0 < spread < math.inf or math.isinf(BINS / spread):  # equal, or too near or too far for any float
        return {"_type": "histogram", "values": [numbers.numel() + zeros], "bins": [low, high]}
    counts = _counted(numbers, low, high)
    if zeros:
        counts[min(int((0.0 - low) / spread * BINS), BINS - 1)] += zeros
    edges = [low + spread * place / BINS for place in range(BINS)]
    return {"_type": "histogram", "values": counts, "bins": [*edges, high]}


def _finite(numbers: Any) -> tuple[Any, float, float] | None:
    """The finite ones, the least and the largest of them."""
    if not numbers.numel():
        return None
    low, high = (float(bound) for bound in numbers.aminmax())  # one NaN makes both of them NaN
    if math.isfinite(low) and math.isfinite(high):
        return numbers, low, high
    return _finite(numbers[numbers.isfinite()])


def _counted(numbers: Any, low: float, high: float) -> list[int]:
    """How many lie in each of 64 equal parts of [low, high]."""
    # On a CPU torch.histc takes four times as long as going piece by piece; on a GPU each piece would cost more.
    count = _counted_in_pieces if numbers.device.type == "cpu" else _counted_at_once
    return count(numbers, low, high)


def _counted_at_once(numbers: Any, low: float, high: float) -> list[int]:
    return [int(count) for count in _countable(numbers, high - low).histc(BINS, low, high).tolist()]


def _counted_in_pieces(numbers: Any, low: float, high: float) -> list[int]:
    scale = BINS / (high - low)
    total: Any = 0
    for piece in numbers.split(_PIECE):
        total = total + ((_countable(piece, high - low) - low) * scale).byte().bincount(minlength=BINS + 1)
    *counts, last = total.tolist()
    counts[-1] += last  # what equals `high`
    return [int(count) for count in counts]


def _countable(numbers: Any, spread: float) -> Any:
    """The numbers in a type that can be counted: half precision has no histc, and too few digits."""
    if not numbers.is_floating_point() or not _NARROW < spread < _WIDE:
        return numbers.double()
    return numbers if numbers.element_size() >= 4 else numbers.float()
