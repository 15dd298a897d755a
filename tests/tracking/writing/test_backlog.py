"""Batches that wait: in order, within their memory, on disk and off it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from besom.tracking.writing.backlog import Backlog
from besom.tracking.writing.spool import Spool, WriterName

Make = Callable[..., Backlog]


@pytest.fixture
def said() -> list[str]:
    """What it complained of."""
    return []


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool(tmp_path, WriterName("r", 1, "w"))
    yield opened
    opened.close(keep=False)


@pytest.fixture
def make(spool: Spool, said: list[str]) -> Make:
    def make(memory: int = 40, late: int = 40) -> Backlog:
        return Backlog(spool, memory, late, lambda about, _: said.append(about))

    return make


def body(seq: int) -> bytes:
    return bytes([seq]) * 10


def fill(backlog: Backlog, count: int) -> None:
    for _ in range(count):
        assert backlog.put(body(backlog.count + 1))


def send(backlog: Backlog, upto: int = 1000, recorded: int = 0) -> list[int]:
    """Send what waits; the numbers."""
    sent = []
    while (record := backlog.next()) is not None and record[0] <= upto:
        assert record[1] == body(record[0])
        backlog.settle(record[0], recorded)
        sent.append(record[0])
    return sent


def test_first_memory_then_disk(make: Make, spool: Spool, said: list[str]) -> None:
    """What memory has no room for is in the file, and all comes out in order, each once."""
    backlog = make()
    fill(backlog, 9)
    assert (backlog.in_memory, spool.first, spool.last) == (40, 5, 9)
    assert set(said) == {"memory"}
    assert send(backlog) == list(range(1, 10))
    fill(backlog, 2)
    assert send(backlog) == [10, 11]


def test_memory_is_bounded_while_nothing_is_recorded(make: Make) -> None:
    """What was read from the file to be sent does not stay in memory, but can be sent again."""
    backlog = make()
    for _ in range(20):
        fill(backlog, 5)
        send(backlog)
        assert backlog.in_memory <= 40
    backlog.send_again()
    assert send(backlog) == list(range(1, 101))


def test_what_is_recorded_is_let_go(make: Make, spool: Spool) -> None:
    """Memory first, and the file when all of it is recorded; then there is room in memory again."""
    backlog = make()
    fill(backlog, 8)
    send(backlog, recorded=3)
    assert (backlog.in_memory, spool.last) == (10, 8)
    backlog.settle(0, 8)
    assert (backlog.in_memory, spool.last) == (0, 0)
    fill(backlog, 2)
    assert (backlog.in_memory, spool.last) == (20, 0)
    assert send(backlog) == [9, 10]


@pytest.mark.parametrize(("recorded", "again"), [(0, 1), (2, 3), (6, 7)])
def test_sent_again(recorded: int, again: int, make: Make) -> None:
    """After Redis lost what it had, the first that is not recorded is the oldest that it gets."""
    backlog = make()
    fill(backlog, 8)
    send(backlog, recorded=recorded)
    backlog.send_again()
    assert backlog.is_oldest(again)
    assert not backlog.is_oldest(again + 1)
    assert send(backlog) == list(range(again, 9))


class FullDisk:
    """A spool's file that has room for so many more records."""

    def __init__(self, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 0
        self._append = spool.append
        monkeypatch.setattr(spool, "append", self.append)

    def append(self, seq: int, record: bytes) -> None:
        if not self.room:
            raise OSError(28, "No space left on device")
        self.room -= 1
        self._append(seq, record)


def test_a_full_disk(make: Make, spool: Spool, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk cannot take waits in memory behind the file, within a bound; nothing overtakes anything."""
    disk, backlog = FullDisk(spool, monkeypatch), make()
    disk.room = 3
    fill(backlog, 11)
    assert (backlog.late, backlog.in_memory) == (4, 80)
    assert not backlog.put(body(12))
    assert said[-1] == "lost"
    disk.room = 100
    fill(backlog, 1)
    assert (backlog.late, spool.first, spool.last) == (0, 5, 12)
    assert send(backlog) == list(range(1, 13))


def test_what_is_left_for_a_later_process(make: Make, spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is not sent is in the file, in order: what was in memory, in the file, and in memory behind it."""
    disk, backlog = FullDisk(spool, monkeypatch), make()
    disk.room = 3
    fill(backlog, 9)
    send(backlog, upto=2)
    disk.room = 100
    assert backlog.leave() == (7, 0)
    assert [seq for seq, _ in spool.take(1 << 30)] == [3, 4, 5, 6, 7, 8, 9]


def test_nothing_can_be_left(make: Make, spool: Spool) -> None:
    """Without a folder it is lost, and counted."""
    spool.path.parent.rmdir()
    spool.path.parent.write_text("a file where the folder should be")
    backlog = make()
    fill(backlog, 3)
    assert backlog.leave() == (0, 3)
