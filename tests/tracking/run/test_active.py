"""The functions of `besom` that are methods of the active run."""

from __future__ import annotations

import inspect

import pytest

import besom
from besom.broker.connection import Connection
from besom.tracking.run.run import Run

OF_THE_RUN = (
    "alert", "define_metric", "log", "log_artifact", "log_model", "mark_preempting", "unwatch", "use_artifact",
    "use_model", "watch",
)  # fmt: skip


@pytest.mark.parametrize("name", OF_THE_RUN)
def test_they_need_a_run(name: str) -> None:
    """Without one, each says what to call first, whatever it is given."""
    with pytest.raises(besom.UsageError, match=rf"You must call besom\.init\(\) before besom\.{name}\(\)"):
        getattr(besom, name)("one", two=2)


@pytest.mark.parametrize("name", OF_THE_RUN)
def test_they_take_what_the_method_takes(name: str) -> None:
    """Editors and `help()` show the run's arguments and its text."""
    method, function = getattr(Run, name), getattr(besom, name)
    shown = list(inspect.signature(function).parameters.values())
    assert shown == list(inspect.signature(method).parameters.values())[1:]
    assert function.__doc__ == method.__doc__


def test_they_call_the_active_run(wired: Connection) -> None:
    """The one that `init()` made; one beside it by "create_new" when that has ended."""
    first = besom.init(id="first")
    beside = besom.init(id="beside", reinit="create_new")
    besom.log({"a": 1})
    first.finish()
    besom.log({"a": 2})
    assert (first.summary["a"], beside.summary["a"]) == (1, 2)


def test_a_disabled_run_is_asked_as_well() -> None:
    """It does in its own way what the function says."""
    with besom.init(mode="disabled"):
        besom.log({"a": 1})
        assert besom.run is not None
        assert besom.run.step == 0


def test_join_is_finish(wired: Connection) -> None:
    """As older scripts call it."""
    run = besom.init()
    besom.join(3)
    assert run.state == "failed"
