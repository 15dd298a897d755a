"""A writer's numbered batches, from the time they are made until the store has them.

In order: the oldest in memory, then those in the spool file, and then, in memory again, those that the disk had no room
for. What is read from the file leaves memory when it is sent; it stays in the file until it is recorded, so memory is
bounded however far the recorder is behind.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from besom.errors import Unreachable
from besom.tracking.writing.spool import Record, Spool

__all__ = ["Backlog"]

_WINDOW_BYTES: Final = 1_000_000
"""Read from the spool at a time."""
_MUCH: Final = "it logs faster than that is recorded; what is more than memory holds"


class Backlog:
    """The batches of one writer; safe to share between the threads that log and the one that sends.

    Args:
        spool: The file, used by nobody else.
        memory: Bytes of batches that the memory in front of the file may hold.
        late: Bytes of batches that are kept in memory while the disk is full.
        complain: Called with a word and a message when something is to be said; says each word once.
    """

    def __init__(self, spool: Spool, memory: int, late: int, complain: Callable[[str, str], None]) -> None:
        self.count = 0
        """Batches so far, and the number of the last."""
        self.sent = 0
        """Up to which number Redis has them."""
        self._spool, self._complain = spool, complain
        self._memory, self._late_memory = memory, late
        self._recorded = 0
        self._front = _Batches()
        self._window = _Batches()  # read from the spool to be sent
        self._late = _Batches()
        self._lock = threading.Lock()

    @property
    def in_memory(self) -> int:
        """Bytes of the batches that memory holds."""
        return self._front.size + self._window.size + self._late.size

    @property
    def late(self) -> int:
        """How many wait in memory because the disk is full."""
        return len(self._late)

    def put(self, body: bytes) -> bool:
        """Keep one more, under the next number; False when there is no room for it anywhere."""
        with self._lock:
            record = (self.count + 1, body)
            if not self._spool.last and not self._late and self._front.size + len(body) <= self._memory:
                self._front.push(record)
            elif self._to_disk(record):
                if self._memory:
                    self._complain("memory", f"{_MUCH} waits in {self._spool.path}")
            elif self._late.size + len(body) <= self._late_memory:
                self._late.push(record)
            else:
                self._complain("lost", "memory is full as well; what is logged now is lost")
                return False
            self.count += 1
            return True

    def next(self) -> Record | None:
        """The first that is not sent."""
        with self._lock:
            wanted = self.sent + 1
            if (record := self._front.find(wanted)) is not None:
                return record
            self._window.drop(self.sent)
            while not self._window and (taken := self._spool.take(_WINDOW_BYTES)):
                for record in taken:
                    self._window.push(record)
                self._window.drop(self.sent)
            return self._window[0] if self._window else self._late.find(wanted)

    def is_oldest(self, seq: int) -> bool:
        """Whether all before this one is recorded, or lost."""
        with self._lock:
            return seq <= self._oldest()

    def settle(self, sent: int, recorded: int) -> None:
        """Redis has taken number `sent`, and the store has all up to `recorded`."""
        with self._lock:
            self.sent = max(self.sent, sent)
            self._recorded = max(self._recorded, recorded)
            self._front.drop(recorded)
            self._window.drop(self.sent)
            self._late.drop(recorded)
            if self._spool.last and self._spool.last <= min(recorded, self.sent):
                self._spool.clear()

    def send_again(self) -> None:
        """Redis has lost what it had: begin with the oldest that is kept."""
        with self._lock:
            self.sent = self._oldest() - 1
            self._window = _Batches()
            self._spool.rewind()

    def to_disk(self) -> bool:
        """Write what memory holds because the disk was full; whether that is all on disk."""
        with self._lock:
            return self._to_disk(None)

    def leave(self) -> tuple[int, int]:
        """Put all that is not sent into the file, for a later process; how many wait there, and how many are lost."""
        with self._lock:
            unsent = self.count - self.sent
            front = [record for record in self._front if record[0] > self.sent]
            lost = 0
            try:
                self._spool.put_first(front)
            except (OSError, Unreachable):
                lost += len(front)
            if not self._to_disk(None):
                lost += len(self._late)
            return unsent - lost, lost

    # ---- inside

    def _oldest(self) -> int:
        first = self._front.first or self._spool.first or self._late.first or self.count + 1
        return max(first, self._recorded + 1)

    def _to_disk(self, record: Record | None) -> bool:
        try:
            while self._late:
                self._spool.append(*self._late[0])
                self._late.drop(self._late.first)
            if record is not None:
                self._spool.append(*record)
        except (OSError, Unreachable) as error:
            self._complain("spool", f"the spool {self._spool.path} cannot be written ({error}); keeping rows in memory")
            return False
        return True


class _Batches(deque[Record]):
    """Batches in memory, numbered without a gap."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0

    @property
    def first(self) -> int:
        return self[0][0] if self else 0

    def find(self, seq: int) -> Record | None:
        place = seq - self.first
        return self[place] if 0 <= place < len(self) else None

    def push(self, record: Record) -> None:
        self.append(record)
        self.size += len(record[1])

    def drop(self, upto: int) -> None:
        while self and self[0][0] <= upto:
            self.size -= len(self.popleft()[1])
