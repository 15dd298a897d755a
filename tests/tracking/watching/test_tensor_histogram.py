"""A tensor's histogram, against numpy's; `tests/integrations` runs the same with torch's own tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from besom.tracking.watching import tensor_histogram as module
from besom.tracking.watching.tensor_histogram import BINS, tensor_histogram

from . import torch_stand_in

NORMAL = np.random.default_rng(0).normal(3.0, 0.001, 5000)


@pytest.fixture
def torch() -> Any:
    return torch_stand_in.make()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int64", "bool"])
@pytest.mark.parametrize(
    "values", [range(65), [0, 1], [[-5, 3], [0, 2]], [0] * 9 + [1]], ids=["each", "two", "matrix", "mostly"]
)
def test_counts_and_edges_are_numpys(torch: Any, dtype: str, values: Any) -> None:
    """Where values stand clear of the edges, counts are exactly numpy.histogram's, and edges to float precision."""
    tensor = torch.tensor(list(values), dtype=getattr(torch, dtype))
    held = np.asarray(tensor.tolist(), np.float64)
    counts, edges = np.histogram(held, BINS)
    told = tensor_histogram(tensor)
    assert told is not None
    assert told["_type"] == "histogram"
    np.testing.assert_array_equal(told["values"], counts)
    np.testing.assert_allclose(told["bins"], edges, rtol=0, atol=1e-9)


def test_many_values_far_from_zero_are_counted_in_pieces(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces that do not divide the tensor, all are counted once; float32 puts few into the neighbouring bin."""
    monkeypatch.setattr(module, "_PIECE", 999)
    tensor = torch.tensor(NORMAL.tolist())
    counts, _ = np.histogram(np.asarray(tensor.tolist()), BINS)
    told = tensor_histogram(tensor)
    assert told is not None
    assert sum(told["values"]) == NORMAL.size
    assert np.abs(np.asarray(told["values"]) - counts).sum() <= 10


@pytest.mark.parametrize(
    ("values", "low", "high", "count"),
    [
        ([1.0, math.nan, 2.0, math.inf, -math.inf], 1.0, 2.0, 2),
        ([math.inf, -1.0, 4.0], -1.0, 4.0, 2),
        ([-3e38, 3e38, 0.0], -3e38, 3e38, 3),
        ([0.0, 1e-40], 0.0, 1e-40, 2),
    ],
    ids=["not finite", "infinite", "wide", "narrow"],
)
def test_only_finite_values_count(torch: Any, values: list[float], low: float, high: float, count: int) -> None:
    """NaN and infinities are left out; the least and largest others are the outer edges, whatever their spread."""
    told = tensor_histogram(torch.tensor(values))
    assert told is not None
    assert len(told["values"]) == BINS
    assert (told["values"][0], told["values"][-1], sum(told["values"])) == (1, 1, count)
    np.testing.assert_allclose((told["bins"][0], told["bins"][-1]), (low, high), rtol=1e-5)


@pytest.mark.parametrize("values", [[], [math.nan], [math.nan, math.inf]], ids=["empty", "nan", "nan and inf"])
def test_nothing_finite_is_no_histogram(torch: Any, values: list[float]) -> None:
    """There is nothing to show."""
    assert tensor_histogram(torch.tensor(values)) is None


def test_equal_values_are_one_bin(torch: Any) -> None:
    """As in W&B, with the value as both edges; those that are not finite are not counted."""
    told = tensor_histogram(torch.tensor([2.5, 2.5, math.nan, 2.5]))
    assert told == {"_type": "histogram", "values": [3], "bins": [2.5, 2.5]}


@pytest.mark.parametrize("values", [[-1e308, 1e308], [0.0, 5e-324]], ids=["too far", "too near"])
def test_what_no_float_can_divide_is_one_bin(torch: Any, values: list[float]) -> None:
    """Where the width of a bin would overflow, one holds all."""
    told = tensor_histogram(torch.tensor(values, dtype=torch.float64))
    assert told == {"_type": "histogram", "values": [2], "bins": values}


@pytest.mark.parametrize(
    ("values", "zeros_in", "low", "high"), [([1.0, 2.0], 0, 0.0, 2.0), ([-2.0, -1.0], 63, -2.0, 0.0)]
)
def test_a_sparse_tensors_zeros_count(torch: Any, values: list[float], zeros_in: int, low: float, high: float) -> None:
    """What a sparse gradient does not name is zero, and belongs to the bin in which zero lies."""
    tensor = torch.sparse_coo_tensor([[1, 4]], values, (10,), check_invariants=True)
    told = tensor_histogram(tensor)
    dense = np.histogram([*values, *[0.0] * 8], BINS)[0]
    assert told is not None
    assert told["values"] == dense.tolist()
    assert told["values"][zeros_in] == 8
    assert (told["bins"][0], told["bins"][-1]) == (low, high)


@pytest.fixture
def gpu(torch: Any) -> str:
    return "cuda"


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64"])
def test_a_gpus_tensor_is_counted_there(torch: Any, gpu: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a tensor on another device no more than 64 numbers come to this one at a time."""
    tensor = torch.tensor(list(range(130)), dtype=getattr(torch, dtype)).to(gpu)
    moved: list[int] = []
    kind = type(tensor)
    real = kind.tolist
    monkeypatch.setattr(kind, "tolist", lambda self: moved.append(self.numel()) or real(self))
    told = tensor_histogram(tensor)
    assert told is not None
    assert told["values"] == np.histogram(range(130), BINS)[0].tolist()
    assert all(type(count) is int for count in told["values"])
    assert moved == [BINS]


def test_a_tensor_is_left_as_it_is(torch: Any) -> None:
    """Reading does not write."""
    tensor = torch.tensor([3.0, math.inf, 1.0])
    tensor_histogram(tensor)
    assert tensor.tolist() == [3.0, math.inf, 1.0]
