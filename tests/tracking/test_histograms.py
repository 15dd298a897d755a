"""Large arrays as histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from besom.errors import TooLarge
from besom.tracking.histograms import binned, numbers_in
from besom.tracking.values import ROW_LIMIT, logged, plain

from .test_values import Tensor


class HalfTensor(Tensor):
    """A tensor whose numbers numpy does not have, as torch's bfloat16."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Got unsupported ScalarType BFloat16")

    def float(self) -> Any:
        return self._array.astype(np.float32)


class Eager:
    """What tensorflow's tensors offer."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def numpy(self) -> Any:
        return self._array


def test_counts_and_edges() -> None:
    """They are numpy's own; what is not finite is left out, and nothing at all is 32 empty bins."""
    numbers = np.random.default_rng(0).normal(size=(10, 100))
    counts, edges = np.histogram(numbers, bins=32)
    found = binned(np.append(numbers.ravel(), [np.nan, np.inf]))
    assert found == {"_type": "histogram", "values": counts.tolist(), "bins": edges.tolist()}
    assert sum(binned(np.full(40, np.nan))["values"]) == 0


@pytest.mark.parametrize(
    "array",
    [
        np.arange(33),
        np.arange(33.0).reshape(3, 11),
        Tensor(np.arange(33)),
        HalfTensor(np.arange(33)),
        Eager(np.arange(33)),
    ],
)
def test_large_arrays(array: Any) -> None:
    """From 33 elements on an array is logged as 32 bins, whatever library it is of; in a config it stays a list."""
    found = logged(array, "k")
    assert (found["_type"], sum(found["values"]), len(found["values"]), len(found["bins"])) == ("histogram", 33, 32, 33)
    assert logged({"deep": [array]}, "k") == {"deep": [found]}
    assert isinstance(plain(array), list)


@pytest.mark.parametrize("array", [np.arange(32), Tensor(np.arange(32)), Eager(np.arange(32)), list(range(32))])
def test_small_arrays(array: Any) -> None:
    """Up to 32 elements they are lists."""
    assert logged(array, "k") == list(range(32))


def test_lists_and_texts_are_no_arrays() -> None:
    """A list is kept as it is, however long, and so is an array of texts."""
    assert logged(list(range(100)), "k") == list(range(100))
    assert logged(np.array(["a"] * 40), "k") == ["a"] * 40
    assert numbers_in(np.array(["a"])) is None


@pytest.mark.parametrize("value", ["x" * (ROW_LIMIT + 1), [1.0] * 5000, {"a": {"b": ["x" * 40_000] * 2}}])
def test_what_has_no_room_in_a_row(value: Any) -> None:
    """A value above 64 kB is refused with its name and the limit."""
    with pytest.raises(TooLarge, match=rf"k.*{ROW_LIMIT}"):
        logged(value, "k")
