"""What may be logged, and what it becomes."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import json
import math
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from besom.errors import UsageError
from besom.tracking.values import DEPTH_LIMIT, VALUE_LIMIT, plain, strict


class Colour(enum.StrEnum):
    RED = "red"


class Plain(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Tensor:
    """What torch's tensor offers: `size` is a method, and one that needs gradients refuses `item`."""

    def __init__(self, array: Any, *, needs_gradients: bool = True) -> None:
        self._array, self._needs_gradients = np.asarray(array), needs_gradients

    def detach(self) -> Tensor:
        return Tensor(self._array, needs_gradients=False)

    def cpu(self) -> Tensor:
        return self

    def size(self) -> tuple[int, ...]:
        return self._array.shape

    def numel(self) -> int:
        return self._array.size

    def item(self) -> Any:
        assert not self._needs_gradients
        return self._array.item()

    def tolist(self) -> Any:
        assert not self._needs_gradients
        return self._array.tolist()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(3), 3),
        (np.array([2.5]), 2.5),
        (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (np.array([]), []),
        (Tensor(1.5), 1.5),
        (Tensor([1, 2]), [1, 2]),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        ((1, 2.0, "x", None), [1, 2.0, "x", None]),
        ({"b": {1: (2,)}}, {"b": {"1": [2]}}),
        (OrderedDict(a=np.int8(1)), {"a": 1}),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        ("a\ud800b\u00e9", "a?b\u00e9"),
        ({"\udcff": "\udcff"}, {"?": "?"}),
        (True, True),
        (None, None),
    ],
)
def test_plain_form(value: Any, expected: Any) -> None:
    """Scalars, arrays, enums and containers become what JSON knows, of exactly those types."""
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)


def test_sets_become_lists() -> None:
    """A set's items are all there, in any order."""
    assert sorted(plain({3, 1, 2})) == [1, 2, 3]


def test_nan_and_infinities_stay() -> None:
    """They are floats like others."""
    found = plain([math.nan, np.float32("inf"), -math.inf])
    assert math.isnan(found[0])
    assert found[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize("value", [object(), {"deep": [object()]}, [{1: object()}]])
def test_no_plain_form(value: Any) -> None:
    """What cannot be kept is a TypeError that names its key."""
    with pytest.raises(TypeError, match="my_key"):
        plain(value, "my_key")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Path("a/b"), "a/b"), (b"x\xff", "x\ufffd"), (datetime.timedelta(seconds=90), "PT90S"), (1 + 2j, "1+2j"),
        (decimal.Decimal("1.50"), "1.50"), (fractions.Fraction(1, 2), "1/2"), (int, "builtins.int"),
        (math.sin, "math.sin"), (Plain.RED, 1),
    ],
)  # fmt: skip
def test_pythons_own_objects(value: Any, text: Any) -> None:
    """They become texts, as with W&B, and an Enum its value."""
    assert plain({"k": [value]}) == {"k": [text]}


def test_objects_of_a_config() -> None:
    """In a config an Enum is its name, and anything else its text, at any depth."""

    class Model:
        def __str__(self) -> str:
            return "a model"

    assert plain({"k": [Model(), Plain.RED]}, objects=True) == {"k": ["a model", "RED"]}


@pytest.mark.parametrize("value", ["x" * (VALUE_LIMIT + 1), [0] * (VALUE_LIMIT + 1), np.zeros(VALUE_LIMIT + 1)])
def test_too_large(value: Any) -> None:
    """A value above the limit is refused with its size and the limit."""
    with pytest.raises(UsageError, match=rf"k: .*{VALUE_LIMIT + 1}.*at most {VALUE_LIMIT}"):
        plain(value, "k")
    assert plain(value[:-1], "k") is not None


def test_values_that_hold_themselves() -> None:
    """A list inside itself, or nesting without end, is refused instead of recursing."""
    endless: list[Any] = []
    endless.append(endless)
    deep: Any = 0
    for _ in range(DEPTH_LIMIT + 2):
        deep = {"a": deep}
    for value in (endless, deep):
        with pytest.raises(UsageError, match=f"more than {DEPTH_LIMIT} deep"):
            plain(value)


_ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=10,
)


@given(_ANY)
def test_plain_values_can_always_be_packed(value: Any) -> None:
    """Whatever comes out, half characters included, goes into msgpack and back unchanged."""
    held = plain(value)
    assert repr(msgpack.unpackb(msgpack.packb(held), strict_map_key=False)) == repr(held)


@given(_ANY)
def test_plain_is_idempotent(value: Any) -> None:
    """What is plain stays as it is."""
    assert repr(plain(plain(value))) == repr(plain(value))


@given(_ANY)
def test_strict_is_what_json_takes(value: Any) -> None:
    """Every plain value can then be written as JSON that any reader takes, and NaN and infinities are null."""
    held = plain({"value": value})
    assert json.loads(json.dumps(strict(held), allow_nan=False)) == strict(held)
    assert strict([math.nan, math.inf, 1.5]) == [None, None, 1.5]
