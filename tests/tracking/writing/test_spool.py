"""The spool file: records in order, torn ends, owners that live, and senders that come at once."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import Unreachable
from besom.messages import Batch, BatchBody, Claim
from besom.tracking.writing.spool import Spool, WriterName, send_leftovers
from tests.tracking.desk import Desk, FlakyJournal, batches, events
from tests.tracking.stories import column

NAME = WriterName("r", 1, "w")
ALL = 1 << 62


def body(step: int) -> bytes:
    return BatchBody(history={"a": column([step], [float(step)])}).pack()


def leave(folder: Path, *seqs: int, name: WriterName = NAME) -> Path:
    """A file that its process left behind."""
    spool = Spool(folder, name)
    for seq in seqs:
        spool.append(seq, body(seq))
    spool.close(keep=True)
    return spool.path


def test_records_come_out_in_order(tmp_path: Path) -> None:
    """Reading and writing take turns; each record comes once, about as many bytes at a time as asked for."""
    spool = Spool(tmp_path, NAME)
    assert spool.take(ALL) == []
    for seq in (1, 2, 3):
        spool.append(seq, bytes([seq]) * 10)
    assert (spool.first, spool.last) == (1, 3)
    assert spool.take(15) == [(1, b"\1" * 10), (2, b"\2" * 10)]
    spool.append(4, b"")
    assert spool.take(ALL) == [(3, b"\3" * 10), (4, b"")]
    assert spool.take(ALL) == []
    spool.rewind()
    assert [seq for seq, _ in spool.take(ALL)] == [1, 2, 3, 4]
    spool.close(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_no_file_without_a_record(tmp_path: Path) -> None:
    """A spool that was not needed leaves nothing, not even its folder."""
    Spool(tmp_path / "spool", NAME).close(keep=True)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_are_sent_as_their_writer_would_have(tmp_path: Path, fake: Connection) -> None:
    """Run, attempt, writer and numbers are those of the writer; the file goes."""
    claim = Claim(sweep="s", number=1, attempt=3, token="t", params={"x": 1})
    leave(tmp_path, 4, 5, name=WriterName("s-1", 3, "w", claim))
    assert send_leftovers(tmp_path, Journal(fake), patience=0) == 2
    sent = events(fake, Batch)
    assert [(one.run, one.attempt, one.writer, one.seq, one.body) for one in sent] == [
        ("s-1", 3, "w", 4, body(4)),
        ("s-1", 3, "w", 5, body(5)),
    ]
    assert list(tmp_path.iterdir()) == []
    assert send_leftovers(tmp_path, Journal(fake), patience=0) == 0


def test_only_one_runs_leftovers(tmp_path: Path, fake: Connection) -> None:
    """With `run` given the others stay."""
    leave(tmp_path, 1)
    other = leave(tmp_path, 1, name=WriterName("q", 1, "v"))
    assert send_leftovers(tmp_path, Journal(fake), patience=0, run="r") == 1
    assert list(tmp_path.iterdir()) == [other]


def test_no_folder(tmp_path: Path, fake: Connection) -> None:
    """Where nothing was ever spooled, nothing is sent."""
    assert send_leftovers(tmp_path / "none", Journal(fake), patience=0) == 0


@pytest.mark.parametrize("cut", [1, 11, 13, 25])
def test_a_torn_record_is_left_out(cut: int, tmp_path: Path, fake: Connection) -> None:
    """A process that died while it wrote leaves half a record: those before it are sent."""
    path = leave(tmp_path, 1, 2)
    os.truncate(path, path.stat().st_size - cut)
    assert send_leftovers(tmp_path, Journal(fake), patience=0) == 1
    assert batches(fake) == [("w", 1)]


def test_a_torn_header(tmp_path: Path, fake: Connection) -> None:
    """A file that died before its header was written has nothing to send, and goes."""
    path = leave(tmp_path, 1)
    os.truncate(path, 5)
    assert send_leftovers(tmp_path, Journal(fake), patience=0) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_set_aside(tmp_path: Path, fake: Connection, caplog: pytest.LogCaptureFixture) -> None:
    """A header that cannot be read is said and kept for the curious; the other files are sent."""
    path = leave(tmp_path, 1)
    content = bytearray(path.read_bytes())
    content[12:16] = b"\xc1\xc1\xc1\xc1"
    path.write_bytes(content)
    leave(tmp_path, 1, name=WriterName("x", 1, "fine"))
    assert send_leftovers(tmp_path, Journal(fake), patience=0) == 1
    assert batches(fake) == [("fine", 1)]
    assert [left.suffix for left in tmp_path.iterdir()] == [".damaged"]
    assert "is set aside" in caplog.messages[0]


def test_a_living_writers_file_is_left_alone(tmp_path: Path, fake: Connection) -> None:
    """As long as its owner has it open, nobody else sends it."""
    spool = Spool(tmp_path, NAME)
    spool.append(1, body(1))
    assert send_leftovers(tmp_path, Journal(fake), patience=0) == 0
    spool.close(keep=True)
    assert send_leftovers(tmp_path, Journal(fake), patience=0) == 1


def test_redis_away(tmp_path: Path, fake: Connection) -> None:
    """The file stays whole, and the next sender begins again; the store has each batch once."""
    path = leave(tmp_path, 1, 2, 3)
    before = path.read_bytes()
    journal = FlakyJournal(fake)
    journal.append_batch(NAME.batch(1, body(1)), first=True, limit=0)
    journal.failures = 1
    with pytest.raises(Unreachable):
        send_leftovers(tmp_path, journal, patience=0)
    assert path.read_bytes() == before
    assert send_leftovers(tmp_path, journal, patience=0) == 3
    assert batches(fake) == [("w", 1), ("w", 2), ("w", 3)]


def test_sent_twice_is_recorded_once(tmp_path: Path, desk: Desk) -> None:
    """A sender that dies before it deletes the file is followed by another: nothing comes twice."""
    for _ in range(2):
        leave(tmp_path, 1, 2)
        assert send_leftovers(tmp_path, desk.journal, patience=0) == 2
        desk.record()
    assert desk.rows("r") == [{"_step": 1, "a": 1.0}, {"_step": 2, "a": 2.0}]


@pytest.fixture
def small_disk() -> Iterator[int]:
    """No file of this process may grow beyond so many bytes."""
    limit, before = 300, resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_tears_nothing(small_disk: int, tmp_path: Path) -> None:
    """A record that does not fit raises and leaves no half of itself before the next that fits."""
    spool = Spool(tmp_path, NAME)
    spool.append(1, b"a" * 50)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (small_disk, before[1]))
    try:
        with pytest.raises(OSError, match=r"[Nn]o space|too large"):
            spool.append(2, b"b" * 500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert spool.last == 1
    spool.append(3, b"c")
    assert spool.take(ALL) == [(1, b"a" * 50), (3, b"c")]
    spool.close(keep=False)


OTHER = """
import sys
from pathlib import Path
from besom.tracking.writing.spool import Spool, WriterName
spool = Spool(Path(sys.argv[1]), WriterName("r", 1, "child"))
spool.append(1, bytes.fromhex(sys.argv[2]))
print("written", flush=True)
sys.stdin.read()
"""


def test_a_killed_process_leaves_its_file(tmp_path: Path, fake: Connection) -> None:
    """While it lives its spool is its own; after kill -9 any other process sends it."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, str(tmp_path), body(1).hex()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        assert send_leftovers(tmp_path, Journal(fake), patience=0) == 0
        child.kill()
        child.wait()
    assert send_leftovers(tmp_path, Journal(fake), patience=0) == 1
    assert batches(fake) == [("child", 1)]
