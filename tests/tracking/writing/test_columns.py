"""Rows into columns: nothing is lost or changed, and no body grows large."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from besom.messages import BatchBody
from besom.tracking.writing.columns import BATCH_BYTES, bodies_of, encode_column

VALUES = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text("xyz"), st.booleans(), st.none()
)
ROWS = st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=30)


def points(bodies: list[BatchBody]) -> dict[str, list[tuple[int, Any]]]:
    """Steps and values by name, in order."""
    found: dict[str, list[tuple[int, Any]]] = {}
    for body in bodies:
        for key, (kind, steps, values) in body.history.items():
            held = values if kind == "j" else memoryview(values).cast(kind).tolist()
            found.setdefault(key, []).extend(zip(memoryview(steps).cast("q").tolist(), held, strict=True))
    return found


@given(ROWS)
def test_every_value_of_every_row(rows: list[dict[str, Any]]) -> None:
    """Each name has its steps and values in order, whether all rows have the same names or each its own."""
    wanted: dict[str, list[tuple[int, Any]]] = {}
    for step, row in enumerate(rows):
        for key, value in row.items():
            wanted.setdefault(key, []).append((step, value))
    assert points(list(bodies_of(range(len(rows)), rows, {}, {}, []))) == wanted


@pytest.mark.parametrize("value", [0.5, "x" * 1000, [1.0] * 100, "y" * 64_000])
def test_bodies_are_small(value: Any) -> None:
    """Much at once becomes several bodies, each about 48 kB, or one value if that is larger."""
    rows = [{"a": value, "b": float(step)} for step in range(600)]
    bodies = list(bodies_of(range(600), rows, {}, {}, []))
    assert max(len(body.pack()) for body in bodies) < max(BATCH_BYTES * 1.1, 65_000)
    assert points(bodies) == {
        "a": [(step, value) for step in range(600)],
        "b": [(step, float(step)) for step in range(600)],
    }


def test_what_stands_beside_the_rows() -> None:
    """Lines of console come in bodies of their own; summary and config in the last, once."""
    lines = [("stdout", 1.0, f"line {number}") for number in range(700)]
    bodies = list(bodies_of([0], [{"a": 1}], {"best": 2}, {"lr": 3}, lines))
    assert [tuple(line) for body in bodies for line in body.console] == lines
    assert [(body.summary, body.config) for body in bodies if body.summary] == [({"best": 2}, {"lr": 3})]
    assert bodies[-1].summary
    assert list(bodies_of([], [], {}, {}, [])) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.integers(), st.floats(), st.text("xyz"))), max_size=40))
def test_columns_keep_every_value(points: list[tuple[str, Any]]) -> None:
    """Each column reads back as it was logged, types included; integers beyond 64 bits become floats."""
    columns: dict[str, tuple[list[int], list[Any]]] = {}
    for step, (key, value) in enumerate(points):
        columns.setdefault(key, ([], []))[0].append(step)
        columns[key][1].append(value)
    for steps, values in columns.values():
        kind, packed, held = encode_column(steps, values)
        found = held if kind == "j" else list(struct.unpack(f"<{len(values)}{kind}", held))
        assert list(struct.unpack(f"<{len(steps)}q", packed)) == steps
        for there, here in zip(found, values, strict=True):
            assert there == here or (math.isnan(there) and math.isnan(here)) or there == float(here)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "q"),
        ([-(2**63), 2**63 - 1], "q"),
        ([1.0, 2.0], "d"),
        ([1, 2.5, math.nan], "d"),
        ([2**53, 0.5], "d"),
        ([2**53 + 1, 0.5], "j"),
        ([2**63], "j"),
        ([True, False], "j"),
        ([1, True], "j"),
        ([None], "j"),
        ([1.0, "x"], "j"),
        ([[1]], "j"),
    ],
)
def test_kind_of_a_column(values: list[Any], kind: str) -> None:
    """Integers are kept as integers and numbers as doubles, but only where nothing is lost by it."""
    assert encode_column(list(range(len(values))), values)[0] == kind


def test_integers_that_msgpack_cannot_hold() -> None:
    """Beyond 64 bits they are floats, and beyond those infinite, wherever they stand."""
    _, _, held = encode_column([0, 1, 2], [10**30, {"a": [-(10**30), 2**63]}, -(10**400)])
    assert held == [1e30, {"a": [-1e30, 2**63]}, -math.inf]
    (body,) = bodies_of([], [], {"best": 10**400}, {"seeds": [10**30]}, [])
    assert (body.summary, body.config) == ({"best": math.inf}, {"seeds": [1e30]})
    assert body.pack()
    assert type(held[1]["a"][1]) is int
