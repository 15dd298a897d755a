"""The writer of a trial under a stopping rule: when it sends, when it asks, and how long a run waits at a rung."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.errors import Unreachable
from besom.messages import Claim, Judged
from besom.tracking.writing.judged_writer import JudgedWriter
from besom.tracking.writing.spool import WriterName
from besom.tracking.writing.writer import FLUSH_SECONDS
from tests.clock import Clock
from tests.tracking.desk import FlakyJournal, batches, record


@pytest.fixture
def writer(fake: Connection, journal: FlakyJournal, clock: Clock, tmp_path: Path) -> JudgedWriter:
    fake.redis.hset(fake.keys.sweep("s"), "state", "running")
    fake.redis.hset(fake.keys.trials("s"), "1", record("t"))
    claim = Claim(sweep="s", number=1, attempt=1, token="t", params={})
    judged = Judged(metric="a", rungs=(1, 2))
    return JudgedWriter(journal, WriterName("r", 1, "w", claim), tmp_path, 0, clock, judged=judged)


def test_a_row_goes_at_once(writer: JudgedWriter, clock: Clock) -> None:
    """Whatever waits goes with it; the rows of the next 0.1 s do not hurry."""
    writer.add_line("stdout", 0.0, "epoch 1")
    assert writer.due() == clock.now + FLUSH_SECONDS
    assert writer.add(0, {"a": 1.0})
    assert writer.due() == clock.now
    writer.flush()
    clock.now += 0.05
    writer.add(1, {"a": 1.0})
    assert writer.due() == clock.now + FLUSH_SECONDS
    clock.now += 0.05
    assert writer.add(2, {"a": 1.0})
    assert writer.due() == clock.now


def test_what_came_of_a_row_is_asked_for(writer: JudgedWriter, clock: Clock, fake: Connection) -> None:
    """Soon after a batch it asks whether the trial is to stop, a few times, and sends nothing for that."""
    writer.add(0, {"a": 1.0})
    writer.flush()
    asked: list[tuple[float, str]] = []
    while (due := writer.due()) is not None:
        clock.now = due
        writer.flush()
        asked.append((round(due - 100.0, 3), writer.control))
        fake.redis.sadd(fake.keys.stops("s"), 1)
    assert asked == [(0.05, ""), (0.15, "stop"), (0.4, "stop")]
    assert batches(fake) == [("w", 1)]


def test_asking_waits_for_nobody(writer: JudgedWriter, clock: Clock, journal: FlakyJournal) -> None:
    """With Redis away a question is given up, and nothing else goes wrong; rows wait as ever."""
    writer.add(0, {"a": 1.0})
    writer.flush()
    journal.failures = math.inf
    while writer.due() is not None:
        assert writer.flush()
    assert writer.control == ""
    clock.now += 1.0
    writer.add(1, {"a": 1.0})
    assert not writer.flush()
    writer.add(2, {"a": 1.0})
    assert writer.due() == clock.now + 1.0


class Answers:
    """What is told to the next questions, the last of it for good; each takes a while."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.seconds = clock, 0.0125
        self.told: list[tuple[str, int]] = [("", 0)]

    def __call__(self, *_: object) -> tuple[str, int]:
        self.clock.now += self.seconds
        return self.told.pop(0) if len(self.told) > 1 else self.told[0]


@pytest.fixture
def answers(journal: FlakyJournal, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Answers:
    answers = Answers(clock)
    monkeypatch.setattr(journal, "wanted", answers)
    return answers


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ([("", 0), ("stop", 0)], 0.025),
        ([("", 0), ("", 1), ("stop", 1)], 0.0375),
        ([("", 0), ("", 1)], 0.025 + 0.05),
        ([("pause", 1)], 0.0125 + 0.05),
    ],
)
def test_a_verdict_is_waited_for(
    writer: JudgedWriter, clock: Clock, answers: Answers, told: list[tuple[str, int]], seconds: float
) -> None:
    """Until the trial is to stop, or until 0.05 s after its row was recorded."""
    answers.told = list(told)
    writer.add(0, {"a": 1.0})
    writer.await_verdict()
    assert clock.now - 100.0 == pytest.approx(seconds)
    assert writer.control == told[-1][0]


def test_nobody_waits_long_for_a_verdict(
    writer: JudgedWriter, clock: Clock, answers: Answers, journal: FlakyJournal
) -> None:
    """With no controller there it is a second, and with Redis away no time."""
    answers.seconds = 0.25
    writer.add(0, {"a": 1.0})
    writer.await_verdict()
    assert clock.now == 101.0
    journal.failures = math.inf
    writer.add(1, {"a": 1.0})
    writer.await_verdict()
    assert clock.now == 101.0


def test_nobody_waits_for_a_redis_that_hangs(
    writer: JudgedWriter, journal: FlakyJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent to it may take a minute; whoever logs goes on, and does not wait at later rungs until it is back."""
    hanging, given_up = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        assert not hanging.is_set()
        hanging.set()
        assert given_up.wait(60)
        raise Unreachable("no answer")

    monkeypatch.setattr(journal, "append_batch", hang)
    monkeypatch.setattr("besom.tracking.writing.judged_writer._VERDICT_SECONDS", 0.01)
    for step in range(2):
        writer.add(step, {"a": 1.0})
        writer.await_verdict()
    assert hanging.wait(60)
    given_up.set()
    assert writer._listening is not None
    writer._listening.join()
    monkeypatch.undo()
    assert writer.flush()
    assert writer.status().sync_items_pending == 0


def test_what_goes_wrong_at_a_rung_is_logged(
    writer: JudgedWriter, journal: FlakyJournal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Training does not fail by it."""
    monkeypatch.setattr(journal, "wanted", lambda *_: 1 / 0)
    writer.add(0, {"a": 1.0})
    writer.await_verdict()
    assert "could not be heard" in caplog.text


def test_between_rungs_nobody_waits(writer: JudgedWriter, clock: Clock, fake: Connection) -> None:
    """What is no value of the metric, or not at a rung, is sent by the flusher."""
    writer.add(0, {"b": 1.0})
    writer.await_verdict()
    assert (clock.now, batches(fake)) == (100.0, [])
