"""Filters and orders alone: operators as Mongo's manual defines them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from besom.tracking.reading.filters import MISSING, Field, Filter, plain_filters, read_field, read_order, sorted_by

RUN: dict[str, Any] = {
    "id": "r1", "name": "my run", "state": "finished", "tags": ["a", "b"], "created": 86_400.0, "group_name": "g",
    "config": {"lr": 0.1, "net": {"depth": 3}, "a.b": 7, "flag": True, "list": [1, 2], "none": None},
    "summary": {"val": {"loss": 2.0}, "acc": 0.5, "bad": math.nan},
}  # fmt: skip


def value_of(field: Field) -> Any:
    return RUN.get(field.name, MISSING) if field.part == "column" else field.within(RUN[field.part])


YES: list[dict[str, Any]] = [
    {},
    {"config.lr": 0.1},
    {"config.lr.value": 0.1},
    {"config.net.depth": {"$gt": 2, "$lte": 3}},
    {"config.a.b": 7},
    {"config.list": 2},
    {"config.list": {"$eq": [1, 2]}},
    {"config.net": {"depth": 3}},
    {"summary_metrics.val.loss": {"$lt": 2.5}},
    {"summary.acc": {"$ne": 0.4}},
    {"state": {"$in": ["failed", "finished"]}},
    {"state": {"$nin": ["failed"]}},
    {"tags": "a"},
    {"tags": {"$in": ["x", "b"]}},
    {"tags": {"$nin": ["x"]}},
    {"display_name": {"$regex": "^my "}},
    {"display_name": {"$regex": "^MY", "$options": "i"}},
    {"name": "r1"},
    {"group": "g"},
    {"config.none": None},
    {"config.nothing": None},
    {"config.none": {"$exists": True}},
    {"config.nothing": {"$exists": False}},
    {"config.nothing": {"$ne": 1}},
    {"config.lr": {"$not": {"$gt": 1}}},
    {"$or": [{"state": "failed"}, {"config.lr": 0.1}]},
    {"$and": [{"state": "finished"}, {"tags": "b"}]},
    {"$nor": [{"state": "failed"}, {"tags": "c"}]},
    {"$not": {"state": "failed"}},
    {"created_at": {"$gte": "1970-01-02", "$lt": "1970-01-02T00:00:01"}},
    {"created_at": 86_400},
]
NO: list[dict[str, Any]] = [
    {"config.lr": {"$gt": "0"}},
    {"config.lr": True},
    {"config.flag": 1},
    {"config.flag": {"$gt": 0}},
    {"config.nothing": {"$lt": 1}},
    {"config.none": {"$lte": 1}},
    {"summary_metrics.bad": {"$gt": 0}},
    {"summary_metrics.bad": {"$lte": 0}},
    {"tags": {"$nin": ["a"]}},
    {"tags": {"$ne": "a"}},
    {"display_name": {"$regex": "^run"}},
    {"config.lr": {"$regex": "0"}},
    {"$or": []},
    {"state": "finished", "tags": "c"},
    {"$nor": [{"state": "finished"}]},
    {"created_at": {"$gt": datetime(1970, 1, 2, tzinfo=UTC)}},
]


@pytest.mark.parametrize("document", YES)
def test_what_is_wanted(document: dict[str, Any]) -> None:
    """Each of these filters holds for the run above."""
    assert Filter(plain_filters(document)).accepts(value_of)


@pytest.mark.parametrize("document", NO)
def test_what_is_not_wanted(document: dict[str, Any]) -> None:
    """None of these does: values of different kinds do not compare, and NaN compares with nothing."""
    assert not Filter(plain_filters(document)).accepts(value_of)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"lr": 1}, r"'lr' is no field of a run; write config\.NAME"),
        ({"config.lr": {"$near": 1}}, r"config\.lr: \$near is no operator"),
        ({"$xor": []}, r"\$xor is no operator over filters"),
        ({"$or": {"state": "failed"}}, r"\$or takes a list"),
        ({"state": {"$in": "failed"}}, r"state: \$in takes a list"),
        ({"display_name": {"$regex": "("}}, r"display_name: \$regex '\('"),
        ({"created_at": {"$gt": "soon"}}, "created_at: 'soon' is no time"),
        (["state"], "a filter is a dict"),
    ],
)
def test_what_cannot_be(document: Any, told: str) -> None:
    """The error names the field, the value, and what there is."""
    with pytest.raises(ValueError, match=told):
        Filter(document)


def test_order() -> None:
    """Numbers by value, before text; what is missing or NaN comes last in both directions; equals keep their place."""
    values = {"a": 2, "b": MISSING, "c": 1.5, "d": "x", "e": math.nan, "f": 2}
    for order, expected in (("+config.v", "cafdbe"), ("config.v", "cafdbe"), ("-config.v", "dafcbe")):
        assert "".join(sorted_by("abcdef", read_order(order), lambda name, _: values[name])) == expected
    both = read_order("+state,-config.v")
    assert both == [(read_field("state"), False), (read_field("config.v"), True)]
    with pytest.raises(ValueError, match=r"order '-lr': 'lr' is no field"):
        read_order("-lr")
