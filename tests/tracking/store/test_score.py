"""The value of a trial, on corners that the recorder's tests do not visit."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.score import Score, Target, scores
from besom.tracking.store.store import Store
from tests.tracking.stories import batch, play, spec

_NUMBERS = itertools.count()


def score(store: Store, target: Target, *told: Any, run: str = "s-0") -> Score:
    play(store, Recorder(), told)
    with store.read() as conn:
        return scores(conn, [run], target)[run]


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ({"name": "a", "goal": "maximize"}, Target("a", "maximize")),
        ({"name": "a.b"}, Target("a.b", "minimize")),
        (None, None),
        ({}, None),
    ],
)
def test_target_of_a_spec(written: dict[str, str] | None, target: Target | None) -> None:
    """Name, goal and use come from the sweep; a sweep without metric has none."""
    assert Target.of({"metric": written, "config": {}}) == target


def test_use_comes_from_the_config() -> None:
    """`metric: {use: last}` stands in the config as it was written."""
    assert Target.of(spec(use="last").model_dump(mode="json")) == Target("loss", "minimize", "last")


def test_splits_of_a_dotted_name() -> None:
    """The whole name first, then ever shorter keys with longer paths."""
    assert list(Target("a.b.c").splits()) == [("a.b.c", ()), ("a.b", ("c",)), ("a", ("b", "c"))]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(
    values=st.lists(st.one_of(st.floats(), st.integers(-5, 5), st.booleans(), st.none(), st.text("a")), max_size=8),
    goal=st.sampled_from(["minimize", "maximize"]),
    use=st.sampled_from(["best", "last"]),
)
def test_value_against_plain_python(values: list[Any], goal: str, use: str, store: Store) -> None:
    """Whatever was logged, the value is what min, max or [-1] over the finite numbers gives."""
    run = f"s-{next(_NUMBERS)}"
    found = score(
        store, Target("m", goal, use), batch(run, steps=range(len(values)), writer=run, m=values), run=run
    )  # fmt: skip
    valid = [float(v) for v in values if type(v) in (int, float) and math.isfinite(v)]
    choose = max if goal == "maximize" else min
    assert found.curve == tuple(valid)
    assert found.value == (None if not valid else valid[-1] if use == "last" else choose(valid))


def test_summary_against_history(store: Store) -> None:
    """An explicit summary value competes with the history for the best, and counts as the last."""
    story = [batch(steps=[0, 1], loss=[1.0, 3.0], summary={"loss": 2.0})]
    assert score(store, Target("loss"), *story) == Score(1.0, (1.0, 3.0))
    assert score(store, Target("loss", use="last")).value == 2.0


@pytest.mark.parametrize("held", ["low", None, True, math.nan, math.inf, {"mean": 1}, [1]])
def test_summary_values_that_are_none(held: Any, store: Store) -> None:
    """What is no finite number is no value."""
    assert score(store, Target("loss"), batch(summary={"loss": held})) == Score(None, ())


@pytest.mark.parametrize(
    ("goal", "use", "value"), [("minimize", "best", 1), ("maximize", "best", 9), ("maximize", "last", 5)]
)
def test_summary_of_define_metric(goal: str, use: str, value: float, store: Store) -> None:
    """Of {min, max, last} the one that the sweep asks for."""
    told = batch(summary={"loss": {"min": 1, "max": 9, "last": 5}})
    assert score(store, Target("loss", goal, use), told).value == value


def test_a_nested_summary(store: Store) -> None:
    """A dotted metric is followed into an explicit summary too."""
    assert score(store, Target("val.loss"), batch(summary={"val": {"loss": 4}})).value == 4.0


def test_runs_that_logged_nothing(store: Store) -> None:
    """They have a score all the same: no value, no curve."""
    assert score(store, Target("loss")) == Score(None, ())
