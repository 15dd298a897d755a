from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest

from besom.tracking.store.points import Piece, buckets, encode, join, merge, next_buckets, regroup, shrunk, to_piece


def piece(values: list[Any], first: int = 0) -> Piece:
    kind, blob = encode(values)
    return Piece(0, len(values), kind, struct.pack(f"<{len(values)}q", *range(first, first + len(values))), blob)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, -(2**63), 2**63 - 1], "q"),
        ([1.5, math.inf, -0.0, 5e-324], "d"),
        ([1, 2.5], "d"),
        ([2**53 + 1, 0.5], "j"),
        ([True, 1], "j"),
        ([None, "é\0", {"a": {"b": [1, None]}}, [1, [2]], 2**63], "j"),
    ],
)
def test_values_come_back(values: list[Any], kind: str) -> None:
    """Every value comes back equal, in the narrowest kind that keeps it, also through a chunk."""
    once = piece(values).points()
    again = to_piece(0, once).points()
    assert once.kind == again.kind == kind
    assert once.values.tolist() == again.values.tolist() == values


def test_nan_comes_back() -> None:
    """NaN stays NaN in a column of floats and in one of mixed values."""
    assert math.isnan(piece([math.nan, 1.0]).points().values[0])
    assert math.isnan(piece([math.nan, "x"]).points().values[0])


@pytest.mark.parametrize(
    ("first", "second", "kind"), [([1], [0.5], "d"), ([2**53 + 1], [0.5], "j"), ([1], ["x"], "j"), ([1], [2], "q")]
)
def test_pieces_of_several_kinds_join(first: list[Any], second: list[Any], kind: str) -> None:
    """Joining takes the narrowest kind that keeps all values."""
    whole = join([piece(first).points(), piece(second, 1).points()])
    assert (whole.kind, whole.values.tolist(), whole.steps.tolist()) == (kind, first + second, [0, 1])


def test_even_steps_take_two_numbers() -> None:
    """A chunk's evenly spaced steps are kept as start and stride."""
    kept = to_piece(0, piece([1.0] * 1000, first=7).points())
    assert len(kept.steps) == 16
    assert kept.points().steps.tolist() == list(range(7, 1007))


def test_of_several_values_at_a_step_the_last_counts() -> None:
    """Sorting by step keeps the value that came last."""
    points = join([piece([1, 2, 3]).points(), piece([9], first=1).points()])
    assert points.by_step().values.tolist() == [1, 9, 3]


@pytest.mark.parametrize("width", [1, 10, 37, 1000])
def test_buckets_against_numpy(width: int) -> None:
    """Minimum, maximum, mean and last of each bucket are numpy's, values that are not finite left out."""
    draws = np.random.default_rng(0).standard_normal(2001)
    draws[5:50] = np.nan
    draws[60], draws[61] = np.inf, -np.inf
    for row, start in zip(buckets(np.arange(2001), draws, width), range(0, 2001, width), strict=True):
        part = draws[start : start + width]
        finite = part[np.isfinite(part)]
        expected = [finite.min(), finite.max(), finite.mean()] if len(finite) else [np.nan] * 3
        last = start + len(part) - 1
        np.testing.assert_allclose(row, [last, *expected, draws[last], len(finite)])


def test_merged_buckets_equal_wider_ones() -> None:
    """Ten buckets of ten points are one of a hundred."""
    draws = np.random.default_rng(1).standard_normal(1000)
    narrow, steps = buckets(np.arange(1000), draws, 10), np.arange(1000)
    np.testing.assert_allclose(merge(narrow, np.arange(0, 100, 10)), buckets(steps, draws, 100))
    assert len(regroup(narrow, 7)) == 7
    assert regroup(narrow, 100) is narrow


def test_an_overview_keeps_its_size_and_its_extremes() -> None:
    """However long the series grows, 200 to 400 buckets with the true extremes, mean and last."""
    draws = np.random.default_rng(2).standard_normal(100_000)
    view, covered = np.empty((0, 6)), 0
    for size in [500, 1000, 17, 3000, 95_483]:
        fresh = piece(draws[covered : covered + size].tolist(), first=covered).points()
        view = shrunk(np.concatenate((view, next_buckets(len(view), covered, fresh))))
        covered += size
        assert 200 <= len(view) <= 400
    assert covered == len(draws)
    assert (view[:, 1].min(), view[:, 2].max(), view[-1, 4]) == (draws.min(), draws.max(), draws[-1])
    np.testing.assert_allclose((view[:, 3] * view[:, 5]).sum() / view[:, 5].sum(), draws.mean())
