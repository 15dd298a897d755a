"""The background thread: it flushes what is due, survives what fails, and keeps runs alive."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Any, cast

import pytest

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import Unreachable
from besom.tracking.writing.flusher import Flusher, flusher
from besom.tracking.writing.spool import WriterName
from besom.tracking.writing.writer import Writer
from tests.tracking.desk import batches
from tests.waiting import until


class Scripted:
    """A writer that is due at once until it was flushed, and whose flushes do what the test says."""

    def __init__(self, *actions: Exception | None) -> None:
        self.actions = list(actions)
        self.flushes = 0
        self.done = threading.Event()

    def due(self) -> float | None:
        return 0.0 if self.actions else None

    def flush(self) -> bool:
        self.flushes += 1
        action = self.actions.pop(0)
        if not self.actions:
            self.done.set()
        if action is not None:
            raise action
        return True


def as_writer(scripted: Scripted) -> Writer:
    return cast("Writer", scripted)


def test_rows_are_sent_without_being_asked_for(fake: Connection, tmp_path: Path) -> None:
    """After `wake` the thread flushes when the writer is due, also what comes later."""
    mine = Flusher()
    writer = Writer(Journal(fake), WriterName("r", 1, "w"), tmp_path, 0)
    mine.add(writer)
    for count in (1, 2):
        if writer.add(count, {"a": 1.0}):
            mine.wake()
        until(lambda count=count: len(batches(fake)) == count, f"batch {count}")
    mine.remove(writer)


def test_errors_do_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    """An outage is quiet, a fault of ours is shown with its traceback, and flushing goes on after both."""
    mine, broken, fine = Flusher(), Scripted(Unreachable("away"), ValueError("a fault"), None), Scripted(None)
    with caplog.at_level(logging.WARNING, "besom"):
        mine.add(as_writer(broken))
        assert broken.done.wait(10)
        mine.add(as_writer(fine))
        assert fine.done.wait(10)
    assert broken.flushes == 3
    (record,) = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


def test_removed_writers_are_not_flushed() -> None:
    """Once removed, a writer is left alone, however due it is."""
    mine, gone, stays = Flusher(), Scripted(), Scripted()
    mine.add(as_writer(gone))
    mine.add(as_writer(stays))
    mine.remove(as_writer(gone))
    gone.actions = [None]
    stays.actions = [None]
    mine.wake()
    assert stays.done.wait(10)
    assert gone.flushes == 0


def test_runs_are_kept_alive(fake: Connection) -> None:
    """A run that is kept alive beats by itself, so that nobody takes it for crashed."""
    mine = Flusher()
    mine.keep_alive("r", fake)
    until(lambda: fake.redis.zscore(fake.keys.runs(), "r"), "a beat")
    mine.let_go("r")


def test_a_beat_that_fails_is_no_end(fake: Connection) -> None:
    """A run whose Redis is away does not stop the others' flushes."""

    class Away:
        def script(self, *_: Any, **__: Any) -> None:
            raise Unreachable("away")

    mine, fine = Flusher(), Scripted()
    mine.keep_alive("r", cast("Connection", Away()))
    fine.actions = [None]
    mine.add(as_writer(fine))
    assert fine.done.wait(10)
    mine.let_go("r")


def test_one_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process has one; a forked child, in which the parent's thread does not run, makes its own."""
    mine = flusher()
    assert flusher() is mine
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    child = flusher()
    assert child is not mine
    assert flusher() is child
