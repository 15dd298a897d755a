"""Blobs wait on the local disk until they have arrived; nobody waits for them, and nothing is lost with the process."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from besom.errors import BlobRefused, Unreachable
from besom.messages import ArtifactLogged, Event
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.outbox import Outbox, _locked
from besom.tracking.blobs.place import Place

EVENT = ArtifactLogged(run="r", entity="e", project="p", name="a", type="t", digest="d", size=1, files=1)


class Way(Folder):
    """A destination that can be away, and that counts what it is sent."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.away = False
        self.taking = threading.Event()
        self.taking.set()
        self.written: list[str] = []
        self.told: list[Event] = []

    def way(self) -> Place:
        self._must_be_there()
        return self

    def tell(self, event: Event) -> None:
        self._must_be_there()
        self.told.append(event)

    def write(self, name: str, size: int, source: IO[bytes]) -> None:
        self._must_be_there()
        assert self.taking.wait(10)
        super().write(name, size, source)
        self.written.append(name)

    def _must_be_there(self) -> None:
        if self.away:
            raise Unreachable("nobody is there")


@pytest.fixture
def way(tmp_path: Path) -> Way:
    return Way(tmp_path / "there")


@pytest.fixture
def outbox(tmp_path: Path, way: Way) -> Iterator[Outbox]:
    made = Outbox(tmp_path / "outbox", way)
    yield made
    way.away = False
    way.taking.set()
    made.drain(10)


def _left(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "outbox").rglob("*") if path.is_file() and path.name != "lock"]


def test_what_is_put_arrives(outbox: Outbox, way: Way, tmp_path: Path) -> None:
    """It is in both places' reach, sent once, and no file of it stays here."""
    blobs = Blobs(outbox)
    name = blobs.put(b"abc")
    assert outbox.drain(10) == 0
    assert way.written == [name]
    assert blobs.read(name) == b"abc", "from there"
    assert list((tmp_path / "outbox").iterdir()) == []
    assert blobs.put(b"abc") == name
    assert outbox.drain(10) == 0
    assert way.written == [name], "what has arrived is not sent again"


def test_putting_never_waits(outbox: Outbox, way: Way) -> None:
    """While the destination takes nothing, putting returns and what waits can be read."""
    way.taking.clear()
    blobs = Blobs(outbox)
    names = [blobs.put(b"%d" % number) for number in range(20)]
    assert [blobs.read(name) for name in names] == [b"%d" % number for number in range(20)]
    assert way.written == []
    assert outbox.drain(0.01) == 20
    way.taking.set()
    assert outbox.drain(10) == 0
    assert sorted(way.written) == sorted(names)


def test_an_outage_is_lived_through(outbox: Outbox, way: Way, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody there: one warning that says where it waits; it goes once somebody is."""
    way.away = True
    with caplog.at_level(logging.WARNING, "besom"):
        for number in range(5):
            Blobs(outbox).put(b"%d" % number)
        assert outbox.drain(0.2) == 5
    assert [record.message for record in caplog.records] == [
        f"nobody is there; media and artifacts wait in {outbox._root} and are sent later"
    ]
    way.away = False
    assert outbox.drain(10) == 0
    assert len(way.written) == 5


def test_nobody_waits_long_for_nobody(tmp_path: Path, way: Way) -> None:
    """After ten seconds of nothing but failures `drain` gives up, however patient it was meant to be."""
    now = [0.0]
    outbox = Outbox(tmp_path / "outbox", way, clock=lambda: now[0])
    way.away = True
    Blobs(outbox).put(b"abc")
    real = outbox._changed.wait

    def passes(timeout: float | None = None) -> bool:
        now[0] += 3
        return real(0.01)

    outbox._changed.wait = passes  # type: ignore[method-assign]
    assert outbox.drain(1e9) == 1
    assert 10 < now[0] < 100
    way.away = False


def test_what_is_too_large_for_the_way_waits(outbox: Outbox, way: Way, caplog: pytest.LogCaptureFixture) -> None:
    """It blocks neither others nor the end, is told of once, and goes when there is a wider way."""
    way.limit = 3
    large, small = Blobs(outbox).put(b"abcd"), Blobs(outbox).put(b"abc")
    with caplog.at_level(logging.WARNING, "besom"):
        assert outbox.drain(10) == 1
        assert outbox.drain(10) == 1
    assert way.written == [small]
    [message] = [record.message for record in caplog.records]
    assert "at most 3 go through" in message
    assert "--http" in message
    way.limit = 4
    outbox._way = None
    outbox.adopt()
    Blobs(outbox).put(b"x")
    _until(lambda: large in way.written)


def test_a_file_that_fails_does_not_hold_up_others(outbox: Outbox, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a large one finds no way, what was put after it arrives."""
    whole = Way.write

    def narrow(self: Way, name: str, size: int, source: IO[bytes]) -> None:
        if size > 3:
            raise Unreachable("only Redis is there")
        whole(self, name, size, source)

    monkeypatch.setattr(Way, "write", narrow)
    large, small = Blobs(outbox).put(b"abcd"), Blobs(outbox).put(b"abc")
    _until(lambda: way.written == [small])
    monkeypatch.undo()
    assert outbox.drain(10) == 0
    assert way.written == [small, large]


def test_a_folder_that_its_owner_has_just_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file that its owner deletes, and makes anew, while another waits for it gives that one nothing."""
    path, flock = tmp_path / "lock", fcntl.flock
    path.touch()

    def late(file: IO[bytes], how: int) -> None:
        path.unlink()
        path.touch()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    assert _locked(path, create=False) is None
    monkeypatch.undo()
    mine = _locked(path, create=False)
    assert mine is not None
    mine.close()


def test_events_go_after_their_blobs(outbox: Outbox, way: Way) -> None:
    """An event waits for what it speaks of, and for nothing else."""
    way.taking.clear()
    name = Blobs(outbox).put(b"abc")
    outbox.tell(EVENT, {name})
    outbox.drain(0.05)
    assert way.told == []
    way.taking.set()
    assert outbox.drain(10) == 0
    assert way.told == [EVENT]


@pytest.mark.parametrize("there", [True, False])
def test_an_event_that_has_waited_for_days(outbox: Outbox, way: Way, tmp_path: Path, there: bool) -> None:
    """What was sent long before its event may have been swept out: it is looked for first."""
    name = Blobs(outbox).put(b"abc")
    assert outbox.drain(10) == 0
    way.away = True
    outbox.tell(EVENT, {name})
    outbox.drain(0.05)
    [path] = _left(tmp_path)
    os.utime(path, (1000, 1000))
    if not there:
        way.path(name).unlink()
    way.away = False
    assert outbox.drain(10) == 0
    assert way.told == ([EVENT] if there else [])


def test_what_a_process_leaves_is_sent_by_the_next(tmp_path: Path, way: Way) -> None:
    """A child that dies with its outbox full: blobs and event go with the next process, and its folder is gone."""
    way.away = True
    pid = os.fork()
    if pid == 0:
        try:
            mine = Outbox(tmp_path / "outbox", way)
            mine.tell(EVENT, {Blobs(mine).put(b"abc")})
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert len(_left(tmp_path)) == 2
    way.away = False
    outbox = Outbox(tmp_path / "outbox", way)
    outbox.adopt()
    _until(lambda: way.told == [EVENT])
    assert way.written == [hashlib.sha256(b"abc").hexdigest()]
    _until(lambda: list((tmp_path / "outbox").iterdir()) == [])


def test_nobody_takes_what_is_in_use(tmp_path: Path, outbox: Outbox, way: Way) -> None:
    """A second outbox leaves the first one's blobs alone while that lives."""
    way.away = True
    Blobs(outbox).put(b"abc")
    outbox.drain(0.05)
    other = Outbox(tmp_path / "outbox", Way(tmp_path / "other"))
    other.adopt()
    Blobs(other).put(b"x")
    assert other.drain(10) == 0
    assert len(_left(tmp_path)) == 1


def test_a_fork_has_an_outbox_of_its_own(tmp_path: Path, outbox: Outbox, way: Way) -> None:
    """A child puts and sends for itself; what the parent has is sent once, by the parent."""
    way.taking.clear()
    Blobs(outbox).put(b"parent")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            way.taking = threading.Event()
            way.taking.set()
            way.written = []
            name = Blobs(outbox).put(b"child")
            code = 0 if outbox.drain(10) == 0 and way.written == [name] else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    way.taking.set()
    assert outbox.drain(10) == 0
    assert way.written == [hashlib.sha256(b"parent").hexdigest()]


def test_a_place_that_is_not_there_loses_nothing(
    outbox: Outbox, way: Way, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A destination that answers "no such folder" or "no such bucket" is away; what waits is kept."""

    def refuse(*_: object) -> None:
        raise FileNotFoundError("the bucket does not exist")

    monkeypatch.setattr(way, "write", refuse)
    name = Blobs(outbox).put(b"abc")
    assert outbox.drain(0.1) == 1
    assert len(_left(tmp_path)) == 1
    monkeypatch.undo()
    assert outbox.drain(10) == 0
    assert way.size(name) == 3


def test_a_file_that_somebody_deleted(
    outbox: Outbox, way: Way, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What waited and is gone is told of, and so is the event that cannot be recorded without it."""
    way.away = True
    name = Blobs(outbox).put(b"abc")
    outbox.tell(EVENT, {name})
    outbox.drain(0.05)
    next(path for path in _left(tmp_path) if path.name == name).unlink()
    way.away = False
    with caplog.at_level(logging.ERROR, "besom"):
        assert outbox.drain(10) == 0
    assert way.told == []
    assert [
        record.message.partition(":")[0].rpartition("/")[2]
        for record in caplog.records
        if record.levelno == logging.ERROR
    ] == [
        f"{name} was deleted before it was sent",
        "not recorded, since a file of it is lost",
    ]


def test_damage_is_no_endless_loop(
    outbox: Outbox, way: Way, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A blob that its destination refuses is lost with an error, and so is the event that speaks of it."""

    def refuse(*_: object) -> None:
        raise BlobRefused("what came as blob x has sha256 y")

    monkeypatch.setattr(way, "write", refuse)
    with caplog.at_level(logging.ERROR, "besom"):
        outbox.tell(EVENT, {Blobs(outbox).put(b"abc")})
        assert outbox.drain(10) == 0
    assert way.told == []
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "what came as blob x has sha256 y; it is lost",
        "not recorded, since a file of it is lost",
    ]


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("not within 10 s")
