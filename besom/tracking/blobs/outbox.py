"""Blobs on their way to another machine: kept on this one's disk until they have arrived.

Putting a blob costs a write to the local disk, never a wait; a thread of the process sends what is there. What a
process leaves is sent by the next one on this machine. An event that speaks of blobs goes after them.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import IO, Final, Protocol

import msgpack

from besom.disk import private_folder
from besom.errors import BesomError, BlobRefused, Unreachable
from besom.messages import Event, Unreadable, encode, read_events
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.place import MIN_GRACE_SECONDS, Place, is_name

__all__ = ["Outbox", "Road"]

log = logging.getLogger("besom")

_LOOK_SECONDS: Final = 5.0
"""How long a way that works is taken for the best one."""
_LOOK_AFTER_FAILURE_SECONDS: Final = 0.5
_FAILURES: Final = 3
"""A large file that has no way must not hold up small ones behind it; when nothing goes, trying all is no use."""
_LONGEST_PAUSE: Final = 30.0
_HOPELESS_SECONDS: Final = 10.0
"""Nobody waits longer for a controller that does not answer."""
_KNOWN_SECONDS: Final = 900.0
_KNOWN_LIMIT: Final = 10_000
"""Blobs that are known to have arrived, and are not kept again, for a while."""


class Road(Protocol):
    """Where an outbox sends to; called in its thread, and when a blob is read that is not here."""

    shown: str
    """The destination, without secrets."""

    def way(self) -> Place:
        """The best way as of now.

        Raises:
            BesomError: there is none.
        """

    def tell(self, event: Event) -> None:
        """Append an event to the journal.

        Raises:
            BesomError: it cannot be reached now.
        """


@dataclass
class _Waiting:
    """A blob or an event that is to be sent: a file in one of the outbox' folders."""

    path: Path
    size: int = 0
    needs: Collection[str] = field(default_factory=tuple)
    """Blobs that an event speaks of."""
    event: Event | None = None
    stuck: bool = False
    """It is too large for the way there is."""


@dataclass
class _State:
    """How sending goes."""

    pause: float = 0.0
    away: bool = False
    """The last try found nobody."""
    failing_since: float | None = None
    draining: int = 0
    """How many wait for everything to be sent."""
    hurry: bool = False
    """Somebody has begun to wait."""
    news: bool = False
    """Something was put."""
    adopt: bool = True
    """There may be something that others have left."""


class Outbox:
    """One process' blobs that have not arrived; itself a place, in which they can be read meanwhile.

    Args:
        root: Folder of this destination's outboxes on this machine; each process has one below it.
        road: Where they go.
        clock: Seconds, monotonic.
    """

    def __init__(self, root: Path, road: Road, clock: Callable[[], float] = time.monotonic) -> None:
        self.shown = road.shown
        self._root = root
        self._road = road
        self._clock = clock
        self._way: Place | None = None
        self._look_again = 0.0
        self._begin()

    @property
    def limit(self) -> int:
        """Bytes of the largest blob; the way may take less, and then says so."""
        return self._folder.limit

    # ---- a place

    def size(self, name: str) -> int | None:
        """Bytes of a blob, here or there."""
        self._mine()
        held = self._folder.size(name)
        return held if held is not None else self._road.way().size(name)

    def renew(self, name: str, size: int) -> bool:
        """Whether it waits here, or has arrived a short while ago."""
        self._mine()
        with self._changed:
            return self._known.get(name, 0.0) > self._clock() or self._folder.size(name) == size

    def write(self, name: str, size: int, source: IO[bytes]) -> None:
        """Keep a blob here, and send it soon."""
        self._mine()
        with self._changed:
            self._occupy()
            self._folder.write(name, size, source)
            self._enqueue(_Waiting(self._folder.path(name), size))

    def read(self, name: str) -> IO[bytes]:
        """A blob's bytes, from here or from there."""
        self._mine()
        with suppress(FileNotFoundError):
            return self._folder.read(name)
        return self._road.way().read(name)

    # ---- sending

    def tell(self, event: Event, needs: Collection[str]) -> None:
        """Append an event to the journal once the blobs it speaks of have arrived.

        Raises:
            OSError, Unreachable: it cannot be kept.
        """
        self._mine()
        with self._changed:
            self._occupy()
            path = self._folder.root / f"{time.time_ns():020d}.event"
            scratch = path.with_suffix(".new")
            scratch.write_bytes(msgpack.packb({"event": encode(event), "needs": sorted(needs)}))
            scratch.replace(path)
            self._enqueue(_Waiting(path, 0, frozenset(needs), event))

    def drain(self, patience: float) -> int:
        """Wait up to `patience` seconds until all has arrived; how much has not.

        It is shorter when nothing has got through for a while, and does not wait for what is too large for the way.
        """
        self._mine()
        deadline = self._clock() + patience
        with self._changed:
            self._state.draining += 1
            self._state.hurry = self._state.news = True
            self._state.failing_since = None
            self._changed.notify_all()
            while (
                self._about_to_adopt() or any(not item.stuck for item in self._queue.values())
            ) and not self._hopeless():
                if (left := deadline - self._clock()) <= 0:
                    break
                self._changed.wait(min(left, 1.0))
            self._state.draining -= 1
            if not self._queue and self._folder.root in self._locks:
                self._let_go(self._folder.root)
            return len(self._queue)

    def adopt(self) -> bool:
        """Send what processes that are gone have left; returns at once, and whether there may be something."""
        self._mine()
        others = [path for path in self._root.glob("*/lock") if path.parent not in self._locks]
        if others:
            with self._changed:
                self._state.adopt = True
                self._start()
        return bool(others)

    def step(self) -> bool:
        """Send what can be sent now; whether that was everything."""
        with self._changed:
            waiting = list(self._queue.values())
        failures = 0
        for item in waiting:
            self._state.away = False
            sent = self._send(item)
            failures += self._state.away
            with self._changed:
                if sent:
                    del self._queue[item.path]
                self._changed.notify_all()
            if failures >= _FAILURES:
                break
        with self._changed:
            self._state.away = failures > 0
            return not self._queue

    # ---- inside

    def _begin(self) -> None:
        """A folder and a thread of this process' own; both are made when they are needed."""
        self._process = os.getpid()
        self._folder = Folder(self._root / f"{self._process}-{secrets.token_hex(4)}", durable=False)
        self._locks: dict[Path, FileIO] = {}
        self._changed = threading.Condition()
        self._queue: dict[Path, _Waiting] = {}  # in the order of their coming
        self._known: dict[str, float] = {}
        self._lost: set[str] = set()
        self._state = _State()
        self._thread: threading.Thread | None = None
        self._complained: set[str] = set()

    def _mine(self) -> None:
        if self._process != os.getpid():
            self._begin()  # a fork's parent sends what is its own

    def _occupy(self) -> None:
        root = self._folder.root
        if root not in self._locks:
            private_folder(root)
            self._locks[root] = _locked(root / "lock", create=True) or _unlockable(root)

    def _enqueue(self, item: _Waiting) -> None:
        self._queue.setdefault(item.path, item)
        self._state.news = True
        self._start()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="besom-outbox", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._state.adopt)
            done = False
            try:
                self._take_over()
                done = self.step()
            except Exception:
                log.exception("outbox: going on")
            with self._changed:
                self._rest(done)

    def _rest(self, done: bool) -> None:
        """Until it is worth trying again."""
        if done:
            self._state.pause = 0.0
        elif self._state.away:
            self._state.pause = 1.0 if self._state.draining else min(max(1.0, self._state.pause * 2), _LONGEST_PAUSE)
            self._changed.wait_for(lambda: self._state.hurry or self._state.adopt, self._state.pause)
        else:
            self._changed.wait_for(lambda: self._state.news or self._state.adopt, _LONGEST_PAUSE)
        self._state.hurry = self._state.news = False

    def _about_to_adopt(self) -> bool:
        return self._thread is not None and self._state.adopt

    def _hopeless(self) -> bool:
        since = self._state.failing_since
        return since is not None and self._clock() - since > _HOPELESS_SECONDS

    def _take_over(self) -> None:
        """Folders without an owner become this process'."""
        if not self._state.adopt:
            return
        self._state.adopt = False
        for path in sorted(self._root.glob("*/lock")):
            root = path.parent
            if root in self._locks or (lock := _locked(path, create=False)) is None:
                continue
            with self._changed:
                self._locks[root] = lock
                self._queue.update((item.path, item) for item in _left_in(root))
            if not any(item.path.is_relative_to(root) for item in self._queue.values()):
                self._let_go(root)

    def _send(self, item: _Waiting) -> bool:
        """Whether it needs no more looking after."""
        try:
            sent = self._send_blob(item) if item.event is None else self._send_event(item)
        except BlobRefused as error:
            log.error("%s; it is lost", error)
            self._lost.add(item.path.name)
            sent = True
        except (OSError, BesomError) as error:
            self._state.away = True
            self._look_again = min(self._look_again, self._clock() + _LOOK_AFTER_FAILURE_SECONDS)
            if self._state.failing_since is None:
                self._state.failing_since = self._clock()
            self._complain("away", f"{error}; media and artifacts wait in {self._root} and are sent later")
            return False
        if sent:
            self._state.failing_since = None
            item.path.unlink(missing_ok=True)
            self._let_go_if_empty(item)
        return sent

    def _send_blob(self, item: _Waiting) -> bool:
        way, name = self._best_way(), item.path.name
        item.stuck = item.size > way.limit
        if item.stuck:
            self._complain(
                str(item.path),
                f"a file of {item.size} bytes waits in {item.path}: at most {way.limit} go through {way.shown}; "
                "start the controller with --http HOST:PORT, or set BESOM_BLOBS to a place that all reach",
            )
            return False
        try:
            file = item.path.open("rb")
        except FileNotFoundError:
            if way.size(name) is None:  # else another process sent it: on some network disks locks do not hold
                log.error("%s was deleted before it was sent", item.path)
                self._lost.add(name)
            return True
        with file:
            if not way.renew(name, item.size):
                way.write(name, item.size, file)
        with self._changed:
            while len(self._known) >= _KNOWN_LIMIT:
                self._known.pop(next(iter(self._known)))
            self._known[name] = self._clock() + _KNOWN_SECONDS
        return True

    def _send_event(self, item: _Waiting) -> bool:
        assert item.event is not None
        with self._changed:
            before = [held for held in self._queue.values() if held.path.name in item.needs]
        item.stuck = any(held.stuck for held in before)
        if before:
            return False
        if self._lost.intersection(item.needs) or self._swept(item):
            log.error("not recorded, since a file of it is lost: %r", item.event)
        else:
            self._road.tell(item.event)
        return True

    def _swept(self, item: _Waiting) -> bool:
        """Whether `besom gc` took a blob of an event that has waited longer than a blob is spared."""
        if time.time() - item.path.stat().st_mtime < MIN_GRACE_SECONDS:
            return False
        way = self._best_way()
        return any(way.size(name) is None for name in item.needs)

    def _best_way(self) -> Place:
        if self._way is None or self._clock() >= self._look_again:
            self._way, self._look_again = self._road.way(), self._clock() + _LOOK_SECONDS
        return self._way

    def _let_go_if_empty(self, item: _Waiting) -> None:
        for root in list(self._locks):
            mine = root == self._folder.root
            if not mine and item.path.is_relative_to(root):
                with self._changed:
                    left = [
                        held for held in self._queue.values() if held is not item and held.path.is_relative_to(root)
                    ]
                if not left:
                    self._let_go(root)

    def _let_go(self, root: Path) -> None:
        lock = self._locks.pop(root)
        for path in sorted(root.rglob("*"), reverse=True):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        with suppress(OSError):
            root.rmdir()
        lock.close()

    def _complain(self, about: str, message: str) -> None:
        if about not in self._complained:
            self._complained.add(about)
            log.warning("%s", message)


def _locked(path: Path, *, create: bool) -> FileIO | None:
    """The file, locked for life; None when somebody else has it."""
    try:
        file = path.open("ab" if create else "r+b", buffering=0)
    except OSError:
        if create:
            raise
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):  # else its owner has just deleted it
            return file
    except OSError:
        pass
    file.close()
    return None


def _unlockable(root: Path) -> FileIO:
    raise Unreachable(f"the folder {root} cannot be locked; set BESOM_HOME to a folder on a local disk")


def _left_in(root: Path) -> Iterator[_Waiting]:
    """What waits in a folder, blobs first."""
    for path in sorted(root.glob("??/*")):
        if is_name(path.name):
            yield _Waiting(path, path.stat().st_size)
    for path in sorted(root.glob("*.event")):
        try:
            held = msgpack.unpackb(path.read_bytes())
            [event] = read_events({name.encode(): _as_bytes(value) for name, value in held["event"].items()})
            yield _Waiting(path, 0, frozenset(held["needs"]), event)
        except (ValueError, KeyError, AttributeError, TypeError, msgpack.UnpackException, Unreadable) as error:
            aside = path.rename(path.with_suffix(".damaged"))
            log.error("%s cannot be read (%s) and is set aside", aside, error)


def _as_bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
