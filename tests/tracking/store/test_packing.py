from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from besom.tracking.store.packing import expand_many, expand_steps, pack_numbers, shorten_steps, unpack_numbers

INT64 = st.integers(-(2**63), 2**63 - 1)


def blob(steps: list[int]) -> bytes:
    return struct.pack(f"<{len(steps)}q", *steps)


@given(st.lists(INT64, min_size=1))
def test_ints_come_back(numbers: list[int]) -> None:
    """Every int64, whatever the differences overflow to."""
    assert unpack_numbers(pack_numbers(np.array(numbers, np.int64)), "<i8").tolist() == numbers


@given(st.lists(st.floats(), min_size=1))
def test_floats_come_back_bit_by_bit(numbers: list[float]) -> None:
    """Every float64: signed zeros, infinities and what a NaN carries."""
    column = np.array(numbers)
    assert unpack_numbers(pack_numbers(column), "<f8").tobytes() == column.tobytes()


@pytest.mark.parametrize(
    ("column", "bytes_each"),
    [
        (np.arange(1000), 0.1),
        (np.full(1000, 3e-4), 0.1),
        (1.7e9 + np.cumsum(np.random.default_rng(0).lognormal(-4.6, 0.1, 1000)), 2.5),
        (np.random.default_rng(0).normal(1, 0.1, 1000).astype(np.float32).astype(np.float64), 4.0),
        (np.random.default_rng(0).normal(1, 0.1, 1000), 7.2),
    ],
    ids=["counter", "constant", "times", "float32", "noise"],
)
def test_what_is_logged_gets_smaller(column: np.ndarray, bytes_each: float) -> None:
    """Counters and constants to next to nothing, times to a third, what a model computes in 32 bits to half."""
    assert len(pack_numbers(column)) <= bytes_each * len(column)


@pytest.mark.parametrize(
    ("steps", "size"),
    [
        ([0, 1, 2, 3], 16), ([5, 105, 205], 16), ([-3, -1, 1], 16), ([2**63 - 3, 2**63 - 2, 2**63 - 1], 16),
        ([], 0), ([7], 8), ([7, 8], 16), ([0, 1, 3], 24), ([1, 1, 1], 24), ([3, 2, 1], 24), ([0, 1, 1, 3], 32),
        ([0, 2**62, -(2**62)], 24),
    ],
)  # fmt: skip
def test_evenly_spaced_steps_take_two_numbers(steps: list[int], size: int) -> None:
    """Rising ones with one distance; all others stay as they are, and all come back."""
    kept = shorten_steps(blob(steps))
    assert len(kept) == size
    assert expand_steps(kept, len(steps)).tolist() == steps


@given(st.lists(st.lists(st.integers(-5, 5), min_size=1, max_size=5), min_size=1))
def test_many_expand_as_one_after_another(some: list[list[int]]) -> None:
    """Also where shortened and listed steps are mixed."""
    kept = [shorten_steps(blob(steps)) for steps in some]
    assert expand_many(kept, [len(steps) for steps in some]).tolist() == [step for steps in some for step in steps]


def test_nan_stays_nan() -> None:
    """A packed column of NaN and numbers."""
    again = unpack_numbers(pack_numbers(np.array([math.nan, 1.0, math.nan])), "<f8")
    assert np.isnan(again).tolist() == [True, False, True]
