"""`define_metric`: axes, and what the summary holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

import besom
from besom.broker.connection import Connection
from besom.errors import FinishedRun, UsageError
from besom.tracking.metrics import NO_SUMMARY, Metrics
from besom.tracking.run.init import init
from besom.tracking.store import reader

from .desk import Desk


def summary_of(metrics: Metrics, rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in rows:
        found.update(metrics.summarise(row))
    return found


def test_kinds_of_summary() -> None:
    """Each is what its name says; NaN is no least, no most, and not counted."""
    metrics = Metrics({})
    metrics.define("loss", summary="min, max,mean,last,first")
    rows = [{"loss": value} for value in (2.0, math.nan, 0.5, 1.0)]
    assert summary_of(metrics, rows) == {
        "loss": {"min": 0.5, "max": 2.0, "mean": 3.5 / 3, "last": 1.0, "first": 2.0}
    }  # fmt: skip


def test_first_value_is_nan() -> None:
    """A NaN at the beginning hides neither least nor most."""
    metrics = Metrics({})
    metrics.define("loss", summary="min,max")
    assert summary_of(metrics, [{"loss": math.nan}, {"loss": 1.0}]) == {"loss": {"min": 1.0, "max": 1.0}}


def test_no_summary() -> None:
    """With "none" it has none, and what is not defined or no number is left to the last value."""
    metrics = Metrics({})
    metrics.define("loss", summary="none")
    metrics.define("acc", summary="max")
    assert summary_of(metrics, [{"loss": 1.0, "acc": "x", "other": 2}]) == {"loss": NO_SUMMARY}


def test_names_with_a_star() -> None:
    """The definition of a name itself goes first, then the longest beginning."""
    metrics = Metrics({})
    for name, kind in (("*", "last"), ("val/*", "min"), ("val/acc", "max"), ("val/a*", "first")):
        metrics.define(name, summary=kind)
    kinds = {key: found.summary for key in ("x", "val/loss", "val/acc", "val/a1") if (found := metrics.of(key))}
    assert kinds == {"x": ("last",), "val/loss": ("min",), "val/acc": ("max",), "val/a1": ("first",)}


def test_definitions_add_up_unless_overwritten() -> None:
    """A second definition of a name adds to the first; with overwrite=True it stands alone."""
    metrics = Metrics({})
    metrics.define("loss", "epoch", summary="min")
    both = metrics.define("loss", hidden=True, summary="max")
    assert (both.step_metric, both.step_sync, both.hidden, both.summary) == ("epoch", True, True, ("min", "max"))
    alone = metrics.define("loss", summary="last", overwrite=True)
    assert (alone.step_metric, alone.step_sync, alone.hidden, alone.summary) == ("", False, False, ("last",))


def test_axes_are_completed() -> None:
    """A row without its axis gets the axis' last value, unless step_sync=False; nothing is made up."""
    metrics = Metrics({})
    metrics.define("val/*", step_metric="epoch")
    metrics.define("free", step_metric=metrics.define("epoch"), step_sync=False)
    rows: list[dict[str, Any]] = [{"val/a": 1}, {"epoch": 3}, {"val/a": 2}, {"free": 1}, {"val/a": 3, "epoch": 4}]
    for row in rows:
        metrics.complete(row)
    assert rows == [{"val/a": 1}, {"epoch": 3}, {"val/a": 2, "epoch": 3}, {"free": 1}, {"val/a": 3, "epoch": 4}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "logged name"),
        (("a*b",), "one [*] at its end"),
        ((5,), "logged name"),
        (("a", "b*"), "step_metric='b[*]'"),
        (("a", None, None, None, "best"), "min, max, mean, last, first, none"),
    ],
)
def test_what_cannot_be(arguments: Any, message: str) -> None:
    """Each is refused with what may be written."""
    with pytest.raises(UsageError, match=message):
        Metrics({}).define(*arguments)


def test_a_run_goes_on() -> None:
    """Least, most and first of a run that goes on count what was before."""
    metrics = Metrics({"loss": {"min": 0.1, "max": 9.0, "first": 5.0}})
    metrics.define("loss", summary="min,max,first,last")
    assert summary_of(metrics, [{"loss": 1.0}]) == {"loss": {"min": 0.1, "max": 9.0, "first": 5.0, "last": 1.0}}


def test_in_a_run(wired: Connection, desk: Desk) -> None:
    """Summary here and in the store are the dict, or nothing; the axis is in the rows; definitions stay apart."""
    run = init(id="r", config={"lr": 1})
    besom.define_metric("loss", step_metric="epoch", summary="min")
    run.define_metric("secret*", summary="none")
    run.log({"epoch": 1, "loss": 0.5, "secret/a": 1})
    run.log({"loss": 0.75})
    assert dict(run.summary.items()) == {"epoch": 1, "loss": {"min": 0.5}}
    run.finish()
    assert desk.rows("r")[1] == {"_step": 1, "epoch": 1, "loss": 0.75}
    with desk.store.read() as conn:
        held = reader.summary(conn, "r")
        row = reader.run(conn, "r")
    held.pop("_timestamp")
    assert held == {"epoch": 1, "loss": {"min": 0.5}}
    assert row is not None
    assert row["config"]["_metrics"]["loss"]["step_metric"] == "epoch"
    assert run.config.as_dict() == {"lr": 1}
    with pytest.raises(FinishedRun):
        run.define_metric("late")
