"""One batch taken apart: what is refused, and which value is the last."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import msgpack
import pytest

from besom.messages import Batch
from besom.tracking.recording.batches import Damaged, open_batch
from tests.tracking.stories import batch


def packed(content: Any) -> Batch:
    return Batch(run="r", attempt=1, writer="w", seq=1, body=msgpack.packb(content))


def steps(*some: int) -> bytes:
    return struct.pack(f"<{len(some)}q", *some)


def test_a_batch_taken_apart() -> None:
    """Columns as blobs, the last value of each as JSON, and the first step of all."""
    opened = open_batch(batch(steps=[3, 4, 8], a=[1, 2, 3], b=[0.5, 1.5, 2.5], c=["x", None, {"y": 1}]))
    assert {key: column[:2] for key, column in opened.columns.items()} == {
        "a": ("q", steps(3, 4, 8)), "b": ("d", steps(3, 4, 8)), "c": ("j", steps(3, 4, 8)),
    }  # fmt: skip
    assert {key: (step, json.loads(value)) for key, (step, value) in opened.last.items()} == {
        "a": (8, 3), "b": (8, 2.5), "c": (8, {"y": 1}),
    }  # fmt: skip
    assert opened.first_step == 3


def test_numbers_that_are_none() -> None:
    """NaN and infinity may be last values."""
    opened = open_batch(batch(steps=[0], nan=[math.nan], inf=[-math.inf]))
    assert math.isnan(json.loads(opened.last["nan"][1]))
    assert json.loads(opened.last["inf"][1]) == -math.inf


def test_empty_columns_are_left_out() -> None:
    """A column without points is no column, and no first step."""
    opened = open_batch(packed({"history": {"a": ["d", b"", b""]}}))
    assert (opened.columns, opened.last, opened.first_step) == ({}, {}, None)


@pytest.mark.parametrize(
    "column",
    [
        ["d", steps(1), b""],
        ["d", steps(1)[:7], b"1234567"],
        ["d", steps(1), b"12345678" * 2],
        ["q", steps(1), [1]],
        ["j", steps(1), b"12345678"],
        ["j", steps(1, 2), [1]],
        ["x", steps(1), b"12345678"],
        ["d", steps(1)],
        ["d", 5, b""],
        ["j", steps(1), 5],
        "d",
    ],
)
def test_columns_that_do_not_fit(column: Any) -> None:
    """Kind, steps and values must belong together; otherwise the batch is damaged as a whole."""
    with pytest.raises(Damaged):
        open_batch(packed({"history": {"good": ["d", steps(1), b"12345678"], "bad": column}}))


@pytest.mark.parametrize("content", [5, [1], {"unknown": 1}, {"summary": 5}, {"console": [["only one"]]}])
def test_bodies_that_are_none(content: Any) -> None:
    """Another shape is damaged, with the reason."""
    with pytest.raises(Damaged, match=r"."):
        open_batch(packed(content))
