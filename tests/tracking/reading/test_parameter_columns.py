"""Params of trials as columns."""

from __future__ import annotations

import numpy as np
import pytest

from besom.tracking.reading.parameter_columns import columns_of, flat

NAN = float("nan")


def test_nested_params_have_dotted_names() -> None:
    """An empty dict is a value; others are taken apart."""
    assert flat({"a": 1, "opt": {"name": "sgd", "more": {}}}) == {"a": 1, "opt.name": "sgd", "opt.more": {}}


def test_what_never_varies_is_no_column() -> None:
    """A constant is told by name; so is one that is there in some trials only, always the same."""
    columns, constants = columns_of([{"x": 1, "k": 5}, {"x": 2, "k": 5, "m": "a"}], {})
    assert [column.name for column in columns] == ["x"]
    assert constants == ["k", "m"]


@pytest.mark.parametrize(
    ("law", "values", "units"),
    [
        ({"min": 1.0, "max": 3.0}, [1.0, 2.0, 3.0], [0.0, 0.5, 1.0]),
        ({"distribution": "log_uniform_values"}, [1e-4, 1e-2, 1.0], [0.0, 0.5, 1.0]),
        ({"distribution": "q_log_uniform_values"}, [0.0, 5.0, 10.0], [0.0, 0.5, 1.0]),
        ({"values": [16, 32, 512]}, [32, 512, 16], [0.5, 5 / 6, 1 / 6]),
        ({"values": [True, False]}, [True, False, True], [0.75, 0.25, 0.75]),
        ({"values": ["a", "b"]}, ["b", "a", "b"], [0.25, 0.75, 0.25]),
        ({"values": [[1], [2]]}, [[1], [2], [1]], [0.25, 0.75, 0.25]),
    ],
)
def test_units(law: dict[str, object], values: list[object], units: list[float]) -> None:
    """Logarithms where the law has them and no value forbids it; listed values have equal shares of the line."""
    [column], _ = columns_of([{"x": value} for value in values], {"parameters": {"x": law}})
    assert column.units == pytest.approx(units)
    assert (column.numbers is None) == isinstance(values[0], str | list)


def test_a_nested_law_is_found() -> None:
    """The scale of `opt.lr` stands in the config below `opt`."""
    config = {"parameters": {"opt": {"parameters": {"lr": {"distribution": "log_uniform", "min": -9, "max": 0}}}}}
    [column], _ = columns_of([{"opt": {"lr": 10.0**power}} for power in (-4, -3, 0)], config)
    assert column.units == pytest.approx([0, 0.25, 1])


def test_absent_and_mixed() -> None:
    """Where a parameter is absent its column has no number; numbers among texts are names."""
    params = [{"x": 1.0, "c": 1}, {"c": "a"}, {"x": 3.0, "c": True}]
    (mixed, some), _ = columns_of(params, {})
    np.testing.assert_equal(some.numbers, [1.0, NAN, 3.0])
    np.testing.assert_equal(some.units, [0.0, NAN, 1.0])
    assert some.present.tolist() == [True, False, True]
    assert mixed.numbers is None
    assert mixed.labels == ("1", "a", "true")


def test_numbers_beyond_all_scales_are_names() -> None:
    """An int that no float holds does not break the others."""
    [column], _ = columns_of([{"x": 10**400}, {"x": 1}], {})
    assert column.labels == (str(10**400), "1")
