"""Section 3.2 of the contract: log, summary, define_metric.

Each case is a function of a bench; what it gives is compared, and what its runs left behind.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
from pathlib import Path
from typing import Any

import numpy as np

from tests.conformance.bench import Bench

# ---- rows and steps


def log_without_step(b: Bench) -> Any:
    """Each call is a row."""
    run = b.init()
    for number in range(3):
        run.log({"a": number})


def log_by_module(b: Bench) -> Any:
    """The module's log is the run's."""
    b.init()
    b.w.log({"a": 1})


def log_commit_false(b: Bench) -> Any:
    """commit=False leaves the row open."""
    run = b.init()
    run.log({"a": 1}, commit=False)
    run.log({"b": 2}, commit=False)
    run.log({"c": 3})
    run.log({"d": 4})


def log_last_wins(b: Bench) -> Any:
    """Of two values in a row the later stays."""
    run = b.init()
    run.log({"a": 1, "b": 1}, commit=False)
    run.log({"a": 2})


def log_with_step(b: Bench) -> Any:
    """A greater step opens a row."""
    run = b.init()
    run.log({"a": 1}, step=3)
    run.log({"a": 2}, step=9)
    return run.step


def log_same_step(b: Bench) -> Any:
    """The same step joins the row."""
    run = b.init()
    run.log({"a": 1}, step=3)
    run.log({"b": 2}, step=3)


def log_smaller_step(b: Bench) -> Any:
    """A smaller step is dropped."""
    run = b.init()
    run.log({"a": 1}, step=9)
    run.log({"b": 2}, step=2)
    run.log({"c": 3}, step=10)


def log_plain_joins_open_step(b: Bench) -> Any:
    """A plain log joins the row that a step opened, and closes it."""
    run = b.init()
    run.log({"e": 1}, step=9)
    run.log({"f": 2})
    run.log({"g": 3})


def log_step_and_commit(b: Bench) -> Any:
    """step with commit=True closes the row."""
    run = b.init()
    run.log({"g": 1}, step=20, commit=True)
    run.log({"h": 2})


def log_step_of_closed_row(b: Bench) -> Any:
    """The step of a row that is closed is dropped."""
    run = b.init()
    run.log({"a": 1})
    run.log({"b": 2}, step=0)
    run.log({"c": 3}, step=1)


def log_empty(b: Bench) -> Any:
    """Nothing, as a row of its own."""
    run = b.init()
    run.log({"a": 1})
    run.log({})
    run.log({"a": 2})


def log_pending_at_finish(b: Bench) -> Any:
    """An open row is closed by finish."""
    run = b.init()
    run.log({"a": 1}, commit=False)


def log_step_kinds(b: Bench) -> Any:
    """What a step can be."""
    run = b.init()
    seen = [b.raised(run.log, {"a": 1}, step=step) for step in (1.0, "3", np.int64(5), np.float64(6.0), True, -1)]
    return [*seen, run.step]


def log_step_none_commit_none(b: Bench) -> Any:
    """None is not given."""
    run = b.init()
    run.log({"a": 1}, step=None, commit=None)
    run.log({"a": 2}, None, True)


def log_large_step(b: Bench) -> Any:
    """Steps of more than 32 bits."""
    b.init().log({"a": 1}, step=2**40)


def log_not_a_mapping(b: Bench) -> Any:
    """Only mappings are logged."""
    run = b.init()
    return [b.raised(run.log, data) for data in ([1], "x", 3, None)]


def log_names_that_are_no_text(b: Bench) -> Any:
    """Names are texts."""
    run = b.init()
    return [b.raised(run.log, {name: 1}) for name in (1, None, ("a",))]


def log_own_names(b: Bench) -> Any:
    """Names that begin with _."""
    run = b.init()
    run.log({"_mine": 1, "a": 2})


def log_names(b: Bench) -> Any:
    """Slashes, dots, spaces, other alphabets."""
    b.init().log({"train/loss": 1, "a.b": 2, "with space": 3, "größe": 4, "a-b": 5, "UPPER": 6})


def log_empty_name(b: Bench) -> Any:
    """The empty name."""
    return b.raised(b.init().log, {"": 1, "a": 2})


def log_dict_subclass(b: Bench) -> Any:
    """A mapping that is no dict."""
    import collections

    run = b.init()
    run.log(collections.OrderedDict(a=1))
    return b.raised(run.log, collections.UserDict(b=2))


# ---- values


def log_scalars(b: Bench) -> Any:
    """Numbers, booleans, texts."""
    b.init().log({"int": 3, "float": 0.1, "true": True, "text": "é\n", "zero": 0, "negative": -1.5, "empty": ""})


def log_none(b: Bench) -> Any:
    """None stays in history."""
    run = b.init()
    run.log({"a": None, "b": 1})
    return b.raised(lambda: run.summary["a"])


def log_none_after_value(b: Bench) -> Any:
    """None after a number."""
    run = b.init()
    run.log({"a": 1})
    run.log({"a": None})


def log_not_finite(b: Bench) -> Any:
    """NaN and infinities."""
    b.init().log({"nan": float("nan"), "inf": float("inf"), "minus": float("-inf"), "np": np.float32("nan")})


def log_large_integers(b: Bench) -> Any:
    """Integers above 53 bits."""
    b.init().log({"a": 2**53 + 1, "b": -(2**63), "c": 2**63 - 1})


def log_huge_integer(b: Bench) -> Any:
    """Integers above 64 bits."""
    b.init().log({"a": 2**70})


def log_numpy_scalars(b: Bench) -> Any:
    """numpy's numbers."""
    b.init().log(
        {
            "f16": np.float16(0.5), "f32": np.float32(0.1), "f64": np.float64(0.1), "i8": np.int8(-3),
            "u64": np.uint64(7), "bool": np.bool_(True), "str": np.str_("x"),
        }
    )  # fmt: skip


def log_arrays_without_dimension(b: Bench) -> Any:
    """Arrays of one number."""
    b.init().log({"zero_d": np.array(3.5), "one": np.array([3.5]), "one_2d": np.array([[2]])})


def log_small_arrays(b: Bench) -> Any:
    """Up to 32 numbers are a list."""
    b.init().log({"a": np.arange(3), "b": np.arange(32), "c": np.arange(6.0).reshape(2, 3)})


def log_large_array(b: Bench) -> Any:
    """More than 32 are a histogram."""
    b.init().log({"a": np.arange(33), "b": np.arange(100.0).reshape(10, 10)})


def log_large_array_not_finite(b: Bench) -> Any:
    """A histogram leaves NaN and infinities out."""
    values = np.arange(40.0)
    values[[3, 7]] = [float("nan"), float("inf")]
    return b.raised(b.init().log, {"a": values})


def log_empty_array(b: Bench) -> Any:
    """An array of nothing."""
    b.init().log({"a": np.array([]), "b": 1})


def log_array_of_texts(b: Bench) -> Any:
    """An array of texts."""
    return b.raised(b.init().log, {"a": np.array(["x", "y"])})


def log_array_of_booleans(b: Bench) -> Any:
    """An array of booleans, short and long."""
    b.init().log({"short": np.array([True, False])})


def log_sequences(b: Bench) -> Any:
    """Lists, tuples, sets."""
    b.init().log({"list": [1, 2.5, "x", None], "tuple": (1, 2), "set": {7}, "deep": [[1], [2, 3]], "empty": []})


def log_frozenset_and_range(b: Bench) -> Any:
    """Other things to go through."""
    run = b.init()
    return [b.raised(run.log, {"a": frozenset({1})}), b.raised(run.log, {"a": range(3)})]


def log_long_list(b: Bench) -> Any:
    """A list stays a list, however long."""
    b.init().log({"a": list(range(40))})


def log_list_of_numpy(b: Bench) -> Any:
    """numpy's numbers and arrays inside a list."""
    b.init().log({"a": [np.float32(0.5), np.int64(2)], "b": [np.arange(2), np.arange(2)]})


def log_nested(b: Bench) -> Any:
    """A dict stays nested."""
    run = b.init()
    run.log({"n": {"x": 1, "deep": {"y": 2.5}}, "plain": 1})
    return run.summary["n"]["x"]


def log_nested_numpy(b: Bench) -> Any:
    """numpy inside a dict."""
    b.init().log({"n": {"a": np.float32(0.5), "b": np.arange(3), "c": (1, 2)}})


def log_nested_row(b: Bench) -> Any:
    """A dict in a row that has one of that name already."""
    run = b.init()
    run.log({"n": {"x": 1}}, commit=False)
    run.log({"n": {"y": 2}})


def log_nested_rows(b: Bench) -> Any:
    """A dict after one of other names: what the summary holds."""
    run = b.init()
    run.log({"n": {"x": 1}})
    run.log({"n": {"y": 2}})


def log_nested_number_names(b: Bench) -> Any:
    """Numbers as names inside a dict."""
    return b.raised(b.init().log, {"n": {1: "a", 2: "b"}})


def log_empty_dict(b: Bench) -> Any:
    """A dict of nothing."""
    b.init().log({"n": {}, "a": 1})


def log_enum(b: Bench) -> Any:
    """An enum."""

    class Colour(enum.Enum):
        RED = 1

    return b.raised(b.init().log, {"a": Colour.RED})


def log_int_enum(b: Bench) -> Any:
    """An enum of integers is its integer."""

    class Level(enum.IntEnum):
        HIGH = 3

    b.init().log({"a": Level.HIGH})


def log_dates(b: Bench) -> Any:
    """A date and a time."""
    run = b.init()
    return [
        b.raised(run.log, {"a": datetime.datetime(2026, 1, 2, 3, 4, 5)}),
        b.raised(run.log, {"b": datetime.date(2026, 1, 2)}),
        b.raised(run.log, {"c": datetime.timedelta(seconds=3)}),
    ]


def log_objects(b: Bench) -> Any:
    """What cannot be kept raises."""
    run = b.init()
    values = (object(), _a_function, int, Path("a"), decimal.Decimal("1.5"), fractions.Fraction(1, 2), 1 + 2j)
    return [b.raised(run.log, {"a": value}) for value in values]


def log_bytes(b: Bench) -> Any:
    """Bytes."""
    return b.raised(b.init().log, {"a": b"xyz"})


def log_object_in_a_list(b: Bench) -> Any:
    """What cannot be kept, inside a list."""
    return b.raised(b.init().log, {"a": [object()]})


def log_object_keeps_the_row(b: Bench) -> Any:
    """A row that raised leaves nothing behind."""
    run = b.init()
    seen = b.raised(run.log, {"good": 1, "bad": object()})
    run.log({"next": 2})
    return seen


def log_dataframe(b: Bench) -> Any:
    """A DataFrame is a table."""
    import pandas as pd

    b.init().log({"t": pd.DataFrame({"x": [1, 2], "y": ["a", "b"]})})


def log_series(b: Bench) -> Any:
    """A pandas Series."""
    import pandas as pd

    return b.raised(b.init().log, {"t": pd.Series([1.0, 2.0])})


def log_after_finish(b: Bench) -> Any:
    """A run that is over takes nothing."""
    run = b.init()
    run.finish()
    return b.raised(run.log, {"a": 1})


# ---- summary


def summary_last(b: Bench) -> Any:
    """The last value of each name."""
    run = b.init()
    run.log({"a": 1, "b": "x"})
    run.log({"a": 2})
    return [
        run.summary["a"],
        run.summary["b"],
        run.summary.get("a"),
        run.summary.get("none"),
        sorted(_own(run.summary)),
    ]


def summary_contains(b: Bench) -> Any:
    """Whether a name is there."""
    run = b.init()
    run.log({"a": 1})
    return b.outcome(lambda: ["a" in run.summary, "none" in run.summary])


def summary_set(b: Bench) -> Any:
    """What is set stands until it is logged again."""
    run = b.init()
    run.log({"a": 1, "b": 1})
    run.summary["a"] = 10
    run.summary["b"] = 10
    run.log({"a": 2})
    return [run.summary["a"], run.summary["b"]]


def summary_ways(b: Bench) -> Any:
    """By item, by attribute, by update."""
    run = b.init()
    run.summary["a"] = 1
    run.summary.b = 2
    run.summary.update({"c": 3, "d": {"x": {"y": 4}}})
    return [run.summary.a, run.summary["b"], run.summary["d"]["x"]["y"]]


def summary_nested_set(b: Bench) -> Any:
    """A value inside a nested one is set by itself."""
    run = b.init()
    run.summary["n"] = {"a": 1, "b": 2}
    run.summary["n"]["a"] = 5


def summary_nested_update(b: Bench) -> Any:
    """update replaces a nested value."""
    run = b.init()
    run.summary["n"] = {"a": 1}
    run.summary.update({"n": {"b": 2}})


def summary_missing(b: Bench) -> Any:
    """A name that is not there."""
    run = b.init()
    return [b.raised(lambda: run.summary["none"]), b.raised(lambda: run.summary.none)]


def summary_delete(b: Bench) -> Any:
    """A name can be taken away."""
    run = b.init()
    run.log({"a": 1, "b": 2})

    def take() -> None:
        del run.summary["a"]

    return b.raised(take)


def summary_values(b: Bench) -> Any:
    """numpy in the summary."""
    run = b.init()
    run.summary.update({"f32": np.float32(0.5), "array": np.arange(3), "tuple": (1, 2), "none": None})


def summary_not_finite(b: Bench) -> Any:
    """NaN and infinities."""
    b.init().summary.update({"nan": float("nan"), "inf": float("-inf")})


def summary_large_array(b: Bench) -> Any:
    """A large array in the summary."""
    b.init().summary.update({"a": np.arange(100)})


def summary_object(b: Bench) -> Any:
    """What cannot be kept."""
    return b.raised(b.init().summary.update, {"a": object()})


def summary_open_row(b: Bench) -> Any:
    """A row that is open is not in the summary yet."""
    run = b.init()
    run.log({"a": 1})
    run.log({"a": 2}, commit=False)
    return run.summary["a"]


# ---- define_metric


def metric_kinds(b: Bench) -> Any:
    """min, max, mean, last, first."""
    run = b.init()
    for kind in ("min", "max", "mean", "last", "first"):
        run.define_metric(kind, summary=kind)
    run.define_metric("some", summary="min,max,mean")
    for value in (3.0, 1.0, 2.0):
        run.log(dict.fromkeys(("min", "max", "mean", "last", "first", "some", "free"), value))
    return run.summary["min"]["min"]


def metric_none(b: Bench) -> Any:
    """summary="none" keeps a name out of the summary."""
    run = b.init()
    run.define_metric("a", summary="none")
    run.log({"a": 1, "b": 2})
    return b.raised(lambda: run.summary["a"])


def metric_glob(b: Bench) -> Any:
    """A beginning and *."""
    run = b.init()
    run.define_metric("val/*", summary="max")
    run.log({"val/a": 2, "val/b": 3, "train/a": 4})
    run.log({"val/a": 1, "val/b": 5, "train/a": 1})


def metric_glob_all(b: Bench) -> Any:
    """* alone."""
    run = b.init()
    run.define_metric("*", step_metric="epoch")
    run.log({"a": 1, "epoch": 3})
    run.log({"a": 2})


def metric_exact_before_glob(b: Bench) -> Any:
    """A definition of the name goes before that of its beginning."""
    run = b.init()
    run.define_metric("val/*", summary="max")
    run.define_metric("val/a", summary="min")
    run.log({"val/a": 2, "val/b": 2})
    run.log({"val/a": 1, "val/b": 1})


def metric_step_sync(b: Bench) -> Any:
    """A row without the axis gets its last value."""
    run = b.init()
    run.define_metric("acc", step_metric="epoch")
    run.log({"epoch": 1})
    run.log({"acc": 0.5})
    run.log({"other": 1})


def metric_step_sync_off(b: Bench) -> Any:
    """Unless step_sync is False."""
    run = b.init()
    run.define_metric("acc", step_metric="epoch", step_sync=False)
    run.log({"epoch": 1})
    run.log({"acc": 0.5})


def metric_of_metric(b: Bench) -> Any:
    """The axis as what define_metric gave."""
    run = b.init()
    epoch = run.define_metric("epoch", hidden=True)
    run.define_metric("acc", step_metric=epoch)
    run.log({"acc": 1, "epoch": 2})
    return epoch.name


def metric_twice(b: Bench) -> Any:
    """A second definition adds to the first."""
    run = b.init()
    run.define_metric("a", summary="min")
    run.define_metric("a", summary="max", hidden=True)
    run.log({"a": 1})
    run.log({"a": 2})


def metric_overwrite(b: Bench) -> Any:
    """Or replaces it."""
    run = b.init()
    run.define_metric("a", summary="min", hidden=True)
    run.define_metric("a", summary="max", overwrite=True)
    run.log({"a": 1})
    run.log({"a": 2})


def metric_bad(b: Bench) -> Any:
    """What cannot be defined."""
    run = b.init()
    define = run.define_metric
    return [
        b.raised(define, 3), b.raised(define, ""), b.raised(define, "a*b"), b.raised(define, "a", summary="median"),
        b.raised(define, "a", summary="best"), b.raised(define, "a", step_metric="x*"),
        b.raised(define, "a", step_metric=3), b.raised(define, "a", hidden="yes"),
        b.raised(define, "a", goal="maximize"), b.raised(define, "*a"), b.raised(define, "a", summary="min, max"),
    ]  # fmt: skip


def metric_late(b: Bench) -> Any:
    """A definition after values were logged."""
    run = b.init()
    run.log({"a": 1})
    run.define_metric("a", summary="min,max")
    run.log({"a": 3})
    run.log({"a": 2})


def metric_not_a_number(b: Bench) -> Any:
    """Texts and NaN under a defined name."""
    run = b.init()
    run.define_metric("a", summary="min,max,mean,last")
    for value in (1.0, float("nan"), 3.0):
        run.log({"a": value})
    run.define_metric("t", summary="max")
    run.log({"t": "text"})


def metric_nested(b: Bench) -> Any:
    """A name inside a dict."""
    run = b.init()
    run.define_metric("n.x", summary="max")
    run.log({"n": {"x": 2}})
    run.log({"n": {"x": 1}})


def metric_then_summary_set(b: Bench) -> Any:
    """The summary of a defined name, set by hand."""
    run = b.init()
    run.define_metric("a", summary="max")
    run.log({"a": 1})
    run.summary["a"] = 10


def _a_function() -> None: ...


def _own(summary: Any) -> list[str]:
    return [name for name in dict(summary) if not name.startswith("_")]
