"""`run.alert`: which are kept, how often, and where they can be read."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import besom
from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import FinishedRun
from besom.messages import RunAlerted, SweepRemoved
from besom.tracking.recording.recorder import Recorder
from besom.tracking.run.alert import AlertLevel, Alerts
from besom.tracking.store.alert_rows import alerts_of
from besom.tracking.store.store import Store
from besom.tracking.writing.syncing import sync
from tests.clock import Clock
from tests.tracking.desk import Desk, events
from tests.tracking.stories import play


@pytest.mark.parametrize(
    ("wait", "seconds"), [(None, 60.0), (5, 5.0), (0.5, 0.5), (timedelta(minutes=2), 120.0), (0, 0.0)]
)
def test_one_alert_of_a_title_within_its_wait(wait: Any, seconds: float) -> None:
    """The next one of that title comes when the wait is over; others are not held up by it."""
    clock = Clock()
    alerts = Alerts("r", clock)
    assert alerts.made("loss", "is nan", None, None) is not None
    assert alerts.made("other", "is nan", None, wait) is not None
    if seconds:
        clock.now += seconds - 0.01
        assert alerts.made("loss", "is nan", None, wait) is None
    clock.now += 0.01
    assert alerts.made("loss", "is nan", None, wait) is not None


def test_what_was_left_out_does_not_prolong_the_wait() -> None:
    """The wait is from the last that was kept."""
    clock = Clock()
    alerts = Alerts("r", clock)
    kept = []
    for _ in range(10):
        kept.append(alerts.made("loss", "", None, 30) is not None)
        clock.now += 10
    assert kept == [True, False, False] * 3 + [True]


@pytest.mark.parametrize(
    ("level", "told"), [(None, "INFO"), ("WARN", "WARN"), (AlertLevel.ERROR, "ERROR"), ("INFO", "INFO")]
)
def test_levels(level: Any, told: str) -> None:
    """A name, or a member of `besom.AlertLevel`."""
    alert = Alerts("r").made("t", "x", level, None)
    assert alert is not None
    assert alert.level == told


@pytest.mark.parametrize(
    "named", [{"level": "warning"}, {"level": 3}, {"wait_duration": "1m"}, {"wait_duration": True}]
)
def test_a_level_or_wait_that_cannot_be(wired: Connection, named: Any) -> None:
    """It is refused with what can be written, and nothing is kept."""
    with besom.init() as run, pytest.raises(ValueError, match=r"cannot be; write"):
        run.alert("t", "x", **named)
    assert events(wired, RunAlerted) == []


def test_an_alert_is_kept_with_its_run(wired: Connection, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """The store has title, text, level and time of each, in order, and the log has them by their level."""
    caplog.set_level(logging.INFO, "besom")
    with besom.init(id="r") as run:
        besom.alert("slow", "30 s a step")
        run.alert("diverged", "loss is nan", level=besom.AlertLevel.ERROR)
        run.alert("diverged", "loss is nan")
    desk.record()
    with desk.store.read() as conn:
        found = alerts_of(conn, "r")
        assert alerts_of(conn, "other") == []
    assert [(one["title"], one["text"], one["level"]) for one in found] == [
        ("slow", "30 s a step", "INFO"),
        ("diverged", "loss is nan", "ERROR"),
    ]
    assert all(one["created"] > 1e9 for one in found)
    told = [(record.levelno, record.message) for record in caplog.records if "diverged" in record.message]
    assert told == [(logging.ERROR, "run r: diverged: loss is nan")]


def test_texts_are_cut_to_what_has_room(wired: Connection) -> None:
    """A long traceback in an alert never makes training fail."""
    with besom.init() as run:
        run.alert("t" * 10_000, "x" * 1_000_000)
    (alert,) = events(wired, RunAlerted)
    assert (len(alert.title), len(alert.text)) == (256, 16_000)


def test_an_alert_that_comes_again_is_one(store: Store, recorder: Recorder) -> None:
    """The journal read from 0, or an offline run sent twice, keeps it once, with its first time."""
    alert = RunAlerted(run="r", id="a1", title="t\0", text="x", level="INFO", at_ms=5000)
    play(store, recorder, [alert], first=10)
    play(store, recorder, [alert.model_copy(update={"at_ms": 9000})], first=20)
    with store.read() as conn:
        assert alerts_of(conn, "r") == [{"title": "t", "text": "x", "level": "INFO", "created": 5.0}]


def test_alerts_go_with_their_run(wired: Connection, desk: Desk) -> None:
    """A run that is removed takes them along, and what is read again brings none back."""
    with besom.init(id="r") as run:
        run.alert("t", "x")
    desk.record()
    desk.journal.append(SweepRemoved(run="r"))
    desk.record()
    desk.journal.append(RunAlerted(run="r", id="late", title="t", text="x", level="INFO"))
    desk.record()
    with desk.store.read() as conn:
        assert alerts_of(conn, "r") == []


def test_alerts_of_an_offline_run_are_sent_with_it(wired: Connection, tmp_path: Path) -> None:
    """They wait in its folder."""
    with besom.init(id="r", mode="offline") as run:
        run.alert("t", "x", "WARN")
    assert events(wired, RunAlerted) == []
    list(sync(tmp_path, Journal(wired), run.blobs, patience=0))
    assert [(one.run, one.title, one.level) for one in events(wired, RunAlerted)] == [("r", "t", "WARN")]


def test_a_finished_run_alerts_nobody(wired: Connection) -> None:
    """Misuse is an error, as with log."""
    run = besom.init()
    run.finish()
    with pytest.raises(FinishedRun, match=r"alert\(\)"):
        run.alert("t", "x")


def test_a_disabled_run_keeps_none() -> None:
    """And does not mind being told after its end."""
    with besom.init(mode="disabled") as run:
        run.alert("t", "x")
    run.alert("t", "x", wait_duration=0)
