"""Protocol buffers, decoded."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from besom.tracking.wandb_files.wire import Field, Malformed, Schema, decode, numbers

from .writing import message, varint

INNER: Schema = {1: Field("name")}
SCHEMA: Schema = {
    1: Field("count", "int"),
    2: Field("text"),
    3: Field("inner", "message", INNER),
    4: Field("many", many=True),
    5: Field("number", "double"),
    6: Field("flag", "bool"),
    7: Field("zigzag", "sint"),
    8: Field("raw", "bytes"),
    200: Field("far", "int"),
}


def test_every_kind() -> None:
    """Each field comes out under its name."""
    content = message({1: 3, 2: "é", 3: {1: "x"}, 4: ["a", "b"], 5: 0.5, 6: 1, 7: 5, 8: b"\xff", 200: 7})
    assert decode(content, SCHEMA) == {
        "count": 3, "text": "é", "inner": {"name": "x"}, "many": ["a", "b"], "number": 0.5, "flag": True, "zigzag": -3,
        "raw": b"\xff", "far": 7,
    }  # fmt: skip


def test_the_documentations_example() -> None:
    """150 in field 1 is 08 96 01; "testing" in field 2 is 12 07 and its bytes (protobuf.dev, encoding)."""
    assert decode(bytes.fromhex("089601"), SCHEMA) == {"count": 150}
    assert decode(bytes.fromhex("120774657374696e67"), SCHEMA) == {"text": "testing"}


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers(number: int) -> None:
    """Signed 64 bits, negative ones as ten bytes."""
    assert decode(message({1: number}), SCHEMA) == {"count": number}


def test_unknown_fields_are_passed_over() -> None:
    """Of every wire type; a later definition may have them."""
    fixed32 = varint(31 << 3 | 5) + struct.pack("<I", 1)
    content = message({30: 5, 32: "x", 33: 0.5}) + fixed32 + message({1: 3})
    assert decode(content, SCHEMA) == {"count": 3}
    assert numbers(content) == {1, 30, 31, 32, 33}


def test_the_last_of_two() -> None:
    """Of a field that comes twice the last counts."""
    assert decode(message({1: [3, 4]}), SCHEMA) == {"count": 4}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\x08", "a number is cut off"),
        (b"\x08" + b"\xff" * 11, "more than ten bytes"),
        (b"\x12\x05ab", r"field 2 is cut off"),
        (b"\x0b", "wire type 3"),
        (message({1: "text"}), r"field 1 \(count\) is written as type 2"),
    ],
)
def test_what_is_no_message(content: bytes, problem: str) -> None:
    """It says what is wrong."""
    with pytest.raises(Malformed, match=problem):
        decode(content, SCHEMA)


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """They are a message or Malformed, and nothing else is raised."""
    found: dict[str, Any] | None
    try:
        found = decode(content, SCHEMA)
    except Malformed:
        found = None
    assert found is None or set(found) <= {field.name for field in SCHEMA.values()}
