"""The progress of `besom run`: plain lines in a file, two living lines on a terminal, the best trials at the end."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from besom.cli.progress import Progress, show_best
from besom.tracking.reading.api import Api
from besom.tracking.store.store import Store
from tests.clock import Clock

from .conftest import spec_of


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def plain() -> Console:
    return Console(file=io.StringIO(), soft_wrap=True, highlight=False)


def lines_of(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_plain_lines_come_now_and_then(clock: Clock) -> None:
    """The first at once, the next after five seconds, the last when it is over."""
    console = plain()
    with Progress(spec_of(), 6, console) as progress:
        for seconds in (0, 1, 4, 6, 7):
            clock.now = 1000.0 + seconds
            progress.show({"running": 1, "finished": seconds}, None)
    assert [line.split("  ")[0] for line in lines_of(console)] == ["0/6 trials", "6/6 trials", "7/6 trials"]


def test_all_ends_count(clock: Clock) -> None:
    """Trials that failed, crashed, were stopped or cancelled are over too; the first two are named."""
    console = plain()
    counts = {"finished": 1, "failed": 2, "crashed": 3, "stopped": 4, "cancelled": 5, "running": 6, "queued": 7}
    with Progress(spec_of(), None, console) as progress:
        progress.show(counts, {"value": 0.123456789, "number": 3})
    assert lines_of(console) == ["15 trials  6 running  5 failed  0:00 so far  best loss 0.12346 (trial 3)"]


def test_rate_and_what_is_left(clock: Clock) -> None:
    """Counted from the first end, so that the start of the agents makes it no slower."""
    console = plain()
    with Progress(spec_of(), 100, console) as progress:
        progress.show({}, None)
        clock.now += 60
        progress.show({"finished": 1}, None)
        clock.now += 10
        progress.show({"finished": 21}, None)
    assert lines_of(console)[-1] == "21/100 trials  0 running  0 failed  1:10 so far  2.0/s  0:39 left"


def test_slow_rates_are_told_by_the_minute(clock: Clock) -> None:
    """Below one a second, trials are counted by the minute, and without a cap nothing is left."""
    console = plain()
    with Progress(spec_of(), None, console) as progress:
        progress.show({"finished": 1}, None)
        clock.now += 60
        progress.show({"finished": 4}, None)
    assert lines_of(console)[-1].endswith("1:00 so far  3.0/min")


def test_a_terminal_gets_a_bar() -> None:
    """On a terminal two lines are drawn over each other, with counts and the best value."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with Progress(spec_of(), 4, console) as progress:
        progress.show({"finished": 2, "running": 1}, {"value": 0.5, "number": 1})
    text = out.getvalue()
    assert "2/4 trials  1 running  0 failed" in text
    assert "best loss 0.5 (trial 1)" in text
    assert "\x1b[" in text


def test_a_best_mean_is_called_one() -> None:
    """With repeats the best value is a mean, and no trial has it."""
    console = plain()
    with Progress(spec_of(), 4, console) as progress:
        progress.show({"finished": 2}, {"value": 0.5, "number": 1, "trials": [1, 2]})
    assert lines_of(console)[-1].endswith("best loss 0.5 (mean of 2 trials)")


def test_nothing_shown_prints_nothing() -> None:
    """A sweep that was interrupted before the first look leaves no empty line."""
    console = plain()
    with Progress(spec_of(), 4, console):
        pass
    assert lines_of(console) == []


def test_the_best_trials(told: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Best first, with the params that were searched."""
    api = Api()
    try:
        show_best(api.sweep("s1"), done=False)
    finally:
        api.close()
    first, head, *rows = capsys.readouterr().out.splitlines()
    assert first == "sweep me/p/s1 is not over: 1 crashed, 1 failed, 2 finished, 1 queued, 1 running"
    assert head.split() == ["trial", "loss", "x"]
    assert [row.split() for row in rows] == [["2", "0.25", "0.2"], ["1", "0.5", "0.1"]]


def test_a_parameter_that_some_trials_lack(
    told: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One whose condition does not hold in the best trial has its column all the same."""
    rows = [
        {"number": 2, "value loss": 0.25, "state": "finished", "params": {"opt": "adam"}},
        {"number": 1, "value loss": 0.5, "state": "stopped", "params": {"opt": "sgd", "momentum": 0.9}},
    ]
    monkeypatch.setattr("besom.cli.progress.best_rows", lambda sweep, count: rows)
    api = Api()
    try:
        show_best(api.sweep("s1"), done=True)
    finally:
        api.close()
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["trial", "loss", "state", "opt", "momentum"],
        ["2", "0.25", "finished", "adam", "-"],
        ["1", "0.5", "stopped", "sgd", "0.9"],
    ]


def test_no_best_trials(told: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A sweep without a metric ends with its counts alone."""
    api = Api()
    try:
        show_best(api.sweep("s2"), done=True)
    finally:
        api.close()
    assert capsys.readouterr().out == "sweep me/other/s2 is pending: no trials\n"
