"""The tree of errors, and the facts that errors keep."""

from __future__ import annotations

import inspect
import re

import pytest

from besom import errors


def _drawn() -> dict[str, str | None]:
    """Name to parent, as drawn at the head of the file."""
    parents: dict[str, str | None] = {}
    above: list[tuple[int, str]] = []
    for line in inspect.getdoc(errors).splitlines()[2:]:  # type: ignore[union-attr]
        found = re.match(r"([│├└─ ]*)([A-Z]\w+)", line)
        if found:
            depth, name = len(found[1]), found[2]
            above = [(d, n) for d, n in above if d < depth]
            parents[name] = above[-1][1] if above else None
            above.append((depth, name))
    return parents


def test_the_drawing_is_the_tree() -> None:
    """Every class stands in the drawing under its true parent, and nothing else does."""
    drawn = _drawn()
    drawn.pop("BaseException")
    assert set(drawn) == set(errors.__all__)
    for name, parent in drawn.items():
        base = getattr(errors, name).__bases__[0].__name__
        assert base == (parent or "Exception"), name


@pytest.mark.parametrize("name", ["TrialStopped", "TrialPreempted", "TrialCancelled"])
def test_interruptions_pass_through_except_exception(name: str) -> None:
    """A train function's `except Exception` does not swallow what ends it from outside."""
    kind = getattr(errors, name)

    def train() -> None:
        try:
            raise kind("now")
        except Exception:
            pytest.fail("swallowed")

    with pytest.raises(errors.TrialInterrupted):
        train()
    assert not issubclass(kind, Exception)


def test_not_found_keeps_its_facts_and_tells_the_way_out() -> None:
    """What was looked for, and where, stand in the message and on the object."""
    error = errors.NotFound("sweep", "ab12", "redis://h:6379/0")
    assert (error.what, error.name, error.where) == ("sweep", "ab12", "redis://h:6379/0")
    assert str(error) == "no sweep 'ab12' at redis://h:6379/0; `besom ls` shows the sweeps that exist"


def test_finished_run_names_the_run_and_the_call() -> None:
    """Who writes after the end learns what was lost."""
    error = errors.FinishedRun("r1", "log()")
    assert error.run_id == "r1"
    assert "run r1 is finished" in str(error)
    assert "log()" in str(error)
    assert isinstance(error, errors.UsageError)
