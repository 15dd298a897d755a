"""A writer against fakeredis: when it sends, what it sends, and what it does while Redis is away or full."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import Unreachable
from besom.messages import Batch, Claim
from besom.tracking.writing.spool import Spool, WriterName, send_leftovers
from besom.tracking.writing.writer import FLUSH_SECONDS, SyncStatus, Writer
from tests.clock import Clock
from tests.tracking.desk import Desk, FlakyJournal, batches, decoded, events, record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


Make = Callable[..., Writer]


@pytest.fixture
def make(journal: FlakyJournal, folder: Path, clock: Clock) -> Make:
    def make(name: str = "w", limit: int = 0, claim: Claim | None = None, run: str = "r") -> Writer:
        return Writer(journal, WriterName(run, 1, name, claim), folder, limit, clock)

    return make


@pytest.fixture
def writer(make: Make) -> Writer:
    return make()


def forget_sent(fake: Connection, writer: str = "w", run: str = "r") -> None:
    """Redis loses its tail: it no longer knows what this writer sent."""
    fake.redis.hdel(fake.keys.writers(run), f"sent {writer}")


# ---- when


def test_nothing_is_due_before_the_first_row(writer: Writer, clock: Clock) -> None:
    """The first row asks for a flush 0.2 s later, others do not ask again, and after the flush nothing is due."""
    assert writer.due() is None
    assert writer.add(0, {"a": 1.0})
    clock.now += 0.1
    assert not writer.add(1, {"a": 2.0})
    assert writer.due() == pytest.approx(100.0 + FLUSH_SECONDS)
    assert writer.flush()
    assert writer.due() is None


def test_many_rows_are_due_at_once(writer: Writer) -> None:
    """500 rows, or 48 kB, do not wait for the time."""
    asked = [step for step in range(500) if writer.add(step, {"a": 1.0})]
    assert asked == [0, 499]
    assert (writer.full, writer.due()) == (True, 0.0)
    writer.flush()
    assert not writer.full
    assert writer.add(500, {"text": "x" * 48_000})
    assert writer.due() == 0.0


def test_after_a_failure_it_waits_a_second(writer: Writer, journal: FlakyJournal, clock: Clock) -> None:
    """What could not be sent is due again in 1 s, and a new row does not bring it forward."""
    journal.failures = math.inf
    writer.add(0, {"a": 1.0})
    assert not writer.flush()
    writer.add(1, {"a": 1.0})
    assert writer.due() == clock.now + 1.0


# ---- what


def test_a_batch_has_all_that_was_logged(writer: Writer, fake: Connection) -> None:
    """Rows become columns, with summary, config and console beside them."""
    writer.add(0, {"loss": 0.5, "n": 1, "text": "x"})
    writer.add(5, {"loss": 0.25})
    writer.set_summary({"best": 0.1})
    writer.set_config({"lr": 1})
    writer.add_line("stdout", 3.0, "hello")
    assert writer.flush()
    bodies = [batch.columns() for batch in events(fake, Batch)]
    assert decoded(fake) == {"loss": [(0, 0.5), (5, 0.25)], "n": [(0, 1)], "text": [(0, "x")]}
    assert [body.summary for body in bodies if body.summary] == [{"best": 0.1}]
    assert [body.config for body in bodies if body.config] == [{"lr": 1}]
    assert [body.console for body in bodies if body.console] == [[("stdout", 3.0, "hello")]]


def test_logging_takes_an_explicit_summary_back(writer: Writer, fake: Connection) -> None:
    """A summary value set before a row with the same name is not sent; one set after it is."""
    writer.set_summary({"a": "set", "b": "set"})
    writer.add(0, {"a": 1, "c": 1})
    writer.set_summary({"c": "set"})
    writer.flush()
    assert [batch.columns().summary for batch in events(fake, Batch)] == [{"b": "set", "c": "set"}]


def test_nothing_logged_is_nothing_sent(writer: Writer, fake: Connection) -> None:
    """No row, no batch, no file."""
    assert writer.flush()
    assert writer.close(0) == 0
    assert batches(fake) == []


def test_large_batches_are_cut(writer: Writer, fake: Connection) -> None:
    """Much at once becomes several numbered batches of about 48 kB; every point comes once, in order."""
    for step in range(1200):
        writer.add(step, {"a": float(step), "b": step, "s": "y" * 100})
    writer.add_line("stdout", 0.0, "z" * 100)
    assert writer.flush()
    sent = events(fake, Batch)
    assert [batch.seq for batch in sent] == list(range(1, len(sent) + 1))
    assert len(sent) > 3
    assert max(len(batch.body) for batch in sent) < 100_000
    found = decoded(fake)
    assert found["a"] == [(step, float(step)) for step in range(1200)]
    assert found["s"] == [(step, "y" * 100) for step in range(1200)]


def test_a_body_that_cannot_be_packed_blocks_nothing(writer: Writer, fake: Connection) -> None:
    """Whatever slips past the checks costs its own rows, and no number: what follows is sent."""
    writer.add(0, {"a": 1.0})
    writer.flush()
    writer.add(1, {"a": "\ud800"})
    with pytest.raises(UnicodeEncodeError):
        writer.flush()
    writer.add(2, {"a": 3.0})
    assert writer.flush()
    assert decoded(fake)["a"] == [(0, 1.0), (2, 3.0)]
    assert batches(fake) == [("w", 1), ("w", 2)]


# ---- what Redis answers


def test_replies_carry_control(make: Make, fake: Connection) -> None:
    """A trial's writer learns from any batch that another attempt has its trial, or that its sweep was cancelled."""
    fake.redis.hset(fake.keys.sweep("s"), "state", "running")
    fake.redis.hset(fake.keys.trials("s"), "1", record("t"))
    writer = make(claim=Claim(sweep="s", number=1, attempt=1, token="t", params={}))

    def told() -> str:
        writer.add(0, {"a": 1})
        writer.flush()
        return writer.control

    assert told() == ""
    fake.redis.hset(fake.keys.sweep("s"), "state", "paused")
    assert told() == "pause"
    fake.redis.sadd(fake.keys.stops("s"), 1)
    assert told() == "stop"
    fake.redis.hset(fake.keys.trials("s"), "1", record("other"))
    assert told() == "stale"
    fake.redis.hset(fake.keys.sweep("s"), "state", "cancelled")
    assert told() == "cancel"


def test_lost_tail_is_sent_again(writer: Writer, fake: Connection) -> None:
    """When Redis misses earlier batches, all that is not recorded is sent again, in order."""
    for step in range(3):
        writer.add(step, {"a": float(step)})
        writer.flush()
    forget_sent(fake)
    writer.add(3, {"a": 3.0})
    assert writer.flush()
    assert batches(fake) == [("w", 1), ("w", 2), ("w", 3), ("w", 1), ("w", 2), ("w", 3), ("w", 4)]


def test_recorded_batches_are_let_go(writer: Writer, fake: Connection, desk: Desk) -> None:
    """What the store has is not kept: after a loss only the rest is sent again."""
    for step in range(2):
        writer.add(step, {"a": float(step)})
        writer.flush()
    desk.record()
    writer.add(2, {"a": 2.0})
    writer.flush()
    forget_sent(fake)
    writer.add(3, {"a": 3.0})
    writer.flush()
    assert [seq for _, seq in batches(fake)] == [1, 2, 3, 3, 4]
    assert [row["_step"] for row in desk.rows("r")] == [0, 1, 2, 3]


def test_two_writers_of_one_run(make: Make, desk: Desk) -> None:
    """Each counts for itself, and the run has the rows of both."""
    one, two = make("one"), make("two")
    for writer, steps in ((one, (0, 1)), (two, (2,)), (one, (3,))):
        for step in steps:
            writer.add(step, {"a": float(step)})
        writer.flush()
    assert (one.close(0), two.close(0)) == (2, 1)
    assert [row["_step"] for row in desk.rows("r")] == [0, 1, 2, 3]
    assert batches(desk.connection) == [("one", 1), ("two", 1), ("one", 2)]


# ---- away and full


def test_outage(writer: Writer, journal: FlakyJournal, fake: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """While Redis is away rows are kept and one line says so; after it they are sent once, in order."""
    journal.failures = math.inf
    with caplog.at_level(logging.WARNING, "besom"):
        for step in range(3):
            writer.add(step, {"a": float(step)})
            assert not writer.flush()
    assert len(caplog.messages) == 1
    assert "does not answer" in caplog.messages[0]
    journal.failures = 0
    assert writer.flush()
    assert batches(fake) == [("w", 1), ("w", 2), ("w", 3)]


def test_a_long_outage_is_spooled(
    writer: Writer, journal: FlakyJournal, fake: Connection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too much for memory waits in the spool, comes out in order, and the file is gone at the end."""
    monkeypatch.setattr(writer._backlog, "_memory", 200)
    journal.failures = math.inf
    for step in range(20):
        writer.add(step, {"a": float(step)})
        writer.flush()
    assert [path.name for path in folder.iterdir()] == ["r.1.w.spool"]
    journal.failures = 0
    writer.add(20, {"a": 20.0})
    assert writer.flush()
    assert writer.close(0) == 21
    assert decoded(fake)["a"] == [(step, float(step)) for step in range(21)]
    assert list(folder.iterdir()) == []


def test_a_full_disk_keeps_the_order(
    make: Make,
    journal: FlakyJournal,
    fake: Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When the spool can take no more, all of it goes back to memory; nothing is lost, nothing overtakes."""
    room, append = [5], Spool.append

    def append_while_room(spool: Spool, seq: int, body: bytes) -> None:
        if not room[0]:
            raise OSError(28, "No space left on device")
        room[0] -= 1
        append(spool, seq, body)

    monkeypatch.setattr(Spool, "append", append_while_room)
    writer = make()
    monkeypatch.setattr(writer._backlog, "_memory", 400)
    journal.failures = math.inf
    for step in range(20):
        writer.add(step, {"a": float(step)})
        writer.flush()
    assert any("cannot be written" in message for message in caplog.messages)
    journal.failures = 0
    assert writer.flush()
    assert [seq for _, seq in batches(fake)] == list(range(1, 21))


def test_full(make: Make, fake: Connection, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """A journal that nobody reads refuses batches; one line says so; they follow once it has been read."""
    writer = make(limit=1)
    writer.add(0, {"a": 0.0})
    assert writer.flush()
    for step in (1, 2):
        writer.add(step, {"a": float(step)})
        assert not writer.flush()
    assert batches(fake) == [("w", 1)]
    assert [message for message in caplog.messages if "no controller is reading" in message] == caplog.messages
    assert len(caplog.messages) == 1
    desk.record()
    assert not writer.flush()  # one fits, then it is full again
    desk.record()
    assert writer.flush()
    assert [row["_step"] for row in desk.rows("r")] == [0, 1, 2]


def test_more_than_memory_holds(
    journal: FlakyJournal, fake: Connection, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows that come while nobody sends go to disk from a bound on, one line says so, and all come out in order."""
    writer = Writer(journal, WriterName("r", 1, "w"), folder, 0, memory=80_000)
    for step in range(5000):
        writer.add(step, {"a": float(step)})
        assert writer._size < 3_000
    assert writer._backlog.in_memory <= 20_000
    assert (folder / "r.1.w.spool").stat().st_size > 50_000
    assert ["logs faster than" in message for message in caplog.messages] == [True]
    writer.close(0)
    assert decoded(fake)["a"] == [(step, float(step)) for step in range(5000)]
    assert list(folder.iterdir()) == []


def test_neither_memory_nor_disk(
    journal: FlakyJournal, fake: Connection, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With no room anywhere the newest rows are lost, which is said once; memory is bounded, what is kept arrives."""
    folder.write_text("a file where the folder should be")
    writer = Writer(journal, WriterName("r", 1, "w"), folder, 0, memory=80_000)
    for step in range(20_000):
        writer.add(step, {"a": float(step)})
    assert writer._backlog.in_memory <= 60_000
    assert sum("is lost" in message for message in caplog.messages) == 1
    count = writer.close(0)
    sent = decoded(fake)["a"]
    assert [seq for _, seq in batches(fake)] == list(range(1, count + 1))
    assert sent[:1000] == [(step, float(step)) for step in range(1000)]
    assert sent == sorted(set(sent))
    assert 1000 < len(sent) < 20_000


def test_rows_are_taken_while_redis_is_slow(
    journal: FlakyJournal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that logs is not held up by one that waits for Redis, even when it has to spill."""
    waiting, go_on = threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> Any:
        waiting.set()
        go_on.wait(20)
        raise Unreachable("away")

    monkeypatch.setattr(journal, "append_batch", slow)
    writer = Writer(journal, WriterName("r", 1, "w"), folder, 0, memory=8_000)
    writer.add(0, {"a": 0.0})
    sending = threading.Thread(target=writer.flush)
    sending.start()
    assert waiting.wait(20)
    for step in range(1, 500):
        writer.add(step, {"a": float(step)})
    assert sending.is_alive()
    assert writer._spool.last > 0
    go_on.set()
    sending.join()
    writer.close(0)


# ---- the end


def test_close_sends_the_rest(writer: Writer, fake: Connection, folder: Path) -> None:
    """Everything is sent, and the number of batches told; no spool was needed."""
    writer.add(0, {"a": 1.0})
    writer.flush()
    writer.add(1, {"a": 2.0})
    assert writer.close(0) == 2
    assert batches(fake) == [("w", 1), ("w", 2)]
    assert not folder.exists()


def test_close_waits_for_redis(writer: Writer, journal: FlakyJournal, fake: Connection) -> None:
    """Within its patience it tries again until all is sent."""
    journal.failures = 2
    writer.add(0, {"a": 1.0})
    assert writer.close(math.inf) == 1
    assert batches(fake) == [("w", 1)]


def test_close_leaves_the_rest_behind(
    writer: Writer, journal: FlakyJournal, fake: Connection, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What could not be sent waits in the spool, named in the log, and a later process sends just that."""
    writer.add(0, {"a": 0.0})
    writer.flush()
    journal.failures = math.inf
    for step in (1, 2):
        writer.add(step, {"a": float(step)})
        writer.flush()
    assert writer.close(0) == 3
    assert "2 batches wait in" in caplog.messages[-1]
    assert send_leftovers(folder, Journal(fake), patience=0) == 2
    assert [seq for _, seq in batches(fake)] == [1, 2, 3]
    assert list(folder.iterdir()) == []


def test_close_leaves_spool_and_memory_in_order(
    writer: Writer, journal: FlakyJournal, fake: Connection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory's batches and the spool's are left in one file, in order."""
    monkeypatch.setattr(writer._backlog, "_memory", 200)
    journal.failures = math.inf
    for step in range(9):
        writer.add(step, {"a": float(step)})
        writer.flush()
    assert writer.close(0) == 9
    assert send_leftovers(folder, Journal(fake), patience=0) == 9
    assert [seq for _, seq in batches(fake)] == list(range(1, 10))


def test_nothing_can_be_left_behind(
    make: Make, journal: FlakyJournal, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With Redis away and a spool folder that cannot be, the loss is said, and nothing raises."""
    folder.write_text("a file where the folder should be")
    writer = make()
    journal.failures = math.inf
    writer.add(0, {"a": 1.0})
    assert writer.close(0) == 1
    assert "1 batches are lost" in caplog.messages[-1]


def test_add_from_many_threads(writer: Writer, fake: Connection) -> None:
    """Rows of several threads are all there, each once, while another thread flushes."""
    done = threading.Event()

    def flush() -> None:
        while not done.is_set():
            writer.flush()

    def log(name: str) -> None:
        for step in range(300):
            writer.add(step, {name: float(step)})

    flushing = threading.Thread(target=flush)
    flushing.start()
    logging_threads = [threading.Thread(target=log, args=(name,)) for name in "abc"]
    for thread in logging_threads:
        thread.start()
    for thread in logging_threads:
        thread.join()
    done.set()
    flushing.join()
    writer.close(0)
    assert decoded(fake) == {name: [(step, float(step)) for step in range(300)] for name in "abc"}


def test_status_tells_what_has_arrived(writer: Writer, journal: FlakyJournal) -> None:
    """Batches so far, those that wait, and when the last one arrived."""
    assert writer.status() == SyncStatus(0, 0, None)
    writer.add(0, {"a": 1})
    journal.failures = 1
    writer.flush()
    assert writer.status() == SyncStatus(1, 1, None)
    before = datetime.now(UTC)
    writer.flush()
    status = writer.status()
    assert (status.sync_items_total, status.sync_items_pending) == (1, 0)
    assert status.sync_time is not None
    assert status.sync_time >= before
