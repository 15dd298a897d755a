"""`run.summary`, as the run itself sees it."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from besom.errors import UsageError
from besom.tracking.metrics import NO_SUMMARY
from besom.tracking.run.summary import Summary


def test_last_logged_value_unless_set() -> None:
    """A row's values are the last ones; what is set explicitly stands until its name is logged again."""
    summary = Summary()
    summary.logged({"loss": 2.0, "acc": 0.1})
    summary["loss"] = 9.0
    summary.logged({"acc": 0.2})
    assert dict(summary.items()) == {"loss": 9.0, "acc": 0.2}
    summary.logged({"loss": 1.0})
    assert summary["loss"] == 1.0


def test_none_is_no_last_value() -> None:
    """A None that is logged leaves the value before it."""
    summary = Summary()
    summary.logged({"loss": 2.0, "acc": None})
    summary.logged({"loss": None})
    assert summary.as_dict() == {"loss": 2.0}


def test_taking_a_name_away() -> None:
    """It is gone, the store is told so, and it comes back when it is logged; a name that is not there is a KeyError."""
    told: list[dict[str, Any]] = []
    summary = Summary(told.append)
    summary.logged({"loss": 2.0})
    del summary["loss"]
    assert ("loss" in summary, told) == (False, [{"loss": NO_SUMMARY}])
    with pytest.raises(KeyError):
        del summary["loss"]
    summary.logged({"loss": 1.0})
    assert summary["loss"] == 1.0


def test_what_is_set_is_told_in_plain_values() -> None:
    """By attribute, item and update; what is logged is not told again."""
    told: list[dict[str, Any]] = []
    summary = Summary(told.append)
    summary.best = np.int64(3)
    summary["n"] = {"x": (1,)}
    summary.update({"a": 1, "b": 2})
    summary.logged({"c": 3})
    assert told == [{"best": 3}, {"n": {"x": [1]}}, {"a": 1, "b": 2}]


def test_reading() -> None:
    """By attribute, by item, with a default, and as names."""
    summary = Summary()
    summary.logged({"val": {"loss": 1.0}})
    assert summary.val["loss"] == summary["val"]["loss"] == 1.0
    assert summary.get("no", 4) == 4
    assert ("val" in summary, "no" in summary, list(summary), list(summary.keys())) == (True, False, ["val"], ["val"])
    with pytest.raises(AttributeError, match="no 'acc'"):
        _ = summary.acc
    with pytest.raises(KeyError):
        _ = summary["acc"]


def test_setting_inside_a_dict() -> None:
    """By item and by attribute, at any depth: the whole value is told, and the row that was logged stays as it was."""
    told: list[dict[str, Any]] = []
    summary = Summary(told.append)
    row = {"val": {"loss": 1.0, "by": {"a": 1}}}
    summary.logged(row)
    val = summary["val"]
    val["acc"] = np.float64(0.5)
    summary.val.by.a = 2
    summary["val"].update(n=[1], m={})
    del summary.val.m
    assert val.pop("n") == [1]
    assert summary.get("val") == {"loss": 1.0, "acc": 0.5, "by": {"a": 2}}
    assert told[1] == {"val": {"loss": 1.0, "by": {"a": 2}, "acc": 0.5}}
    assert (told[-1], len(told)) == ({"val": summary["val"]}, 6)
    assert row == {"val": {"loss": 1.0, "by": {"a": 1}}}
    assert type(copy.deepcopy(val)["by"]) is dict
    summary.logged({"val": {"loss": 3.0}})
    assert summary.val.loss == 3.0


def test_what_cannot_be_set_inside_a_dict() -> None:
    """What has no plain form, and anything once the run is over, leaves the dict as it was."""

    def over(_: Any) -> None:
        raise UsageError("the run is over")

    summary = Summary(over, {"val": {"loss": 1.0}})
    with pytest.raises(TypeError, match="model"):
        summary.val.model = object()
    with pytest.raises(UsageError, match="over"):
        summary["val"]["loss"] = 2.0
    with pytest.raises(AttributeError, match="no 'acc' here; it has loss"):
        _ = summary.val.acc
    with pytest.raises(KeyError):
        del summary.val["acc"]
    assert summary.as_dict() == {"val": {"loss": 1.0}}


def test_a_value_that_cannot_be_kept() -> None:
    """It is refused by name and leaves the summary as it was."""
    summary = Summary()
    with pytest.raises(TypeError, match="model"):
        summary.update({"a": 1, "model": object()})
    assert list(summary) == []
