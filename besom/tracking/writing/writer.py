"""A run's way to the journal: rows in memory, columnar batches to Redis, a spool when Redis is away or full.

`add` returns in microseconds. The flusher thread calls `flush` a fraction of a second after the first row; batches are
numbered, kept until the store has them, and sent again after an outage, in order. Training never fails because of
this file: what goes wrong is said once, in the log.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import Unreachable
from besom.messages import Batch, BatchBody, Event
from besom.tracking.values import size_of
from besom.tracking.writing.backlog import Backlog
from besom.tracking.writing.columns import BATCH_BYTES, BATCH_ROWS, bodies_of
from besom.tracking.writing.spool import Spool, WriterName

__all__ = ["FLUSH_SECONDS", "MEMORY_BYTES", "SyncStatus", "Writer"]

log = logging.getLogger("besom")

FLUSH_SECONDS: Final = 0.2
MEMORY_BYTES: Final = 64_000_000
"""Memory of one writer, by default."""
_ROWS, _BATCHES, _LATE = 1 / 32, 1 / 4, 1 / 2
"""Shares of it: rows, which take five times as much as they count for; batches; batches while the disk is full."""
_NUMBERS: Final = frozenset({float, int, bool})


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """How much of what a run logged has arrived, as W&B names it."""

    sync_items_total: int
    """Batches so far."""
    sync_items_pending: int
    """Those of them that have not arrived."""
    sync_time: datetime | None
    """When the last one did."""


class Writer:
    """One writer of one run.

    Args:
        journal: Where batches go; None for writers that send nothing.
        name: Run, attempt, and the claim of its trial.
        spool_folder: Where batches wait when they cannot be sent.
        journal_limit: Bytes unread above which the journal refuses log batches.
        clock: Seconds, monotonic.
        memory: Bytes that it may take; what is more goes to the spool.
    """

    def __init__(
        self,
        journal: Journal | None,
        name: WriterName,
        spool_folder: Path,
        journal_limit: int,
        clock: Callable[[], float] = time.monotonic,
        memory: int = MEMORY_BYTES,
    ) -> None:
        self.name = name
        self.control = ""
        """What the last reply asked for: 'cancel', 'stop', 'stale', 'pause' or ''."""
        self.full = False
        """Whether a batch's worth is waiting."""
        self._journal = journal
        self._limit = journal_limit
        self._clock = clock
        self._memory = memory
        self._spool = Spool(spool_folder, name)
        self._backlog = self._make_backlog()
        self._rows = threading.Lock()  # what is logged
        self._cutting = threading.Lock()  # batches are numbered in the order of their rows; taken before _rows
        self._sending = threading.Lock()  # one sends at a time; taken before _cutting
        self._telling = threading.Lock()  # events, which have no numbers
        self._untold: list[Event] = []
        self._clear()
        self._due = 0.0
        self._arrived = 0.0  # when Redis took the last batch, seconds since the epoch
        self._complained: set[str] = set()
        for kind in (Batch, BatchBody):  # in this thread: a fork while another builds them leaves pydantic's lock held
            kind.model_rebuild()

    @staticmethod
    def new_id() -> str:
        """A random writer id."""
        return secrets.token_hex(8)

    def in_child(self) -> Writer:
        """A writer of its own for a forked child; what waits in this one is the parent's to send."""
        assert self._journal is not None
        self._spool.let_go()
        return self._childs(Journal(self._journal.connection.renewed()), self._childs_name())

    def _childs(self, journal: Journal, name: WriterName) -> Writer:
        return Writer(journal, name, self._spool.path.parent, self._limit, self._clock, self._memory)

    def _childs_name(self) -> WriterName:
        return replace(self.name, writer=self.new_id())

    # ---- what the run calls

    @property
    def connection(self) -> Connection | None:
        """To the Redis where batches go; None when they go elsewhere."""
        return self._journal.connection if self._journal else None

    def status(self) -> SyncStatus:
        """How many batches there were so far, how many have not arrived yet, and when the last one did."""
        arrived = datetime.fromtimestamp(self._arrived, UTC) if self._arrived else None
        count = self._backlog.count
        return SyncStatus(count, max(0, count - self._backlog.sent), arrived)

    def add(self, step: int, row: dict[str, Any]) -> bool:
        """Add a row of plain values, which is the writer's from now on; whether the flusher is to be woken."""
        size = 32 + 16 * len(row)
        for value in row.values():
            if type(value) not in _NUMBERS:
                size += 8 + size_of(value)
        with self._rows:
            self._steps.append(step)
            self._logged.append(row)
            self._size += size
            if self._summary:  # what was set before is logged now
                for key in self._summary.keys() & row.keys():
                    del self._summary[key]
            news = self._noted()
            too_many = self._size > self._memory * _ROWS
        if too_many:  # in the thread that logs, since they come faster than the flusher takes them
            self._cut()
        return news

    def set_summary(self, values: Mapping[str, Any]) -> bool:
        """Set summary values explicitly."""
        with self._rows:
            self._summary.update(values)
            self._size += sum(24 + len(key) + size_of(value) for key, value in values.items())
            return self._noted()

    def set_config(self, values: Mapping[str, Any]) -> bool:
        """Update the run's config."""
        with self._rows:
            self._config.update(values)
            self._size += sum(24 + len(key) + size_of(value) for key, value in values.items())
            return self._noted()

    def add_line(self, stream: str, seconds: float, line: str) -> bool:
        """Add a line of console output."""
        with self._rows:
            self._console.append((stream, seconds, line))
            self._size += 24 + len(line)
            return self._noted()

    def tell(self, event: Event) -> None:
        """Record an event now; what Redis does not take is tried again with the next, and at `close`."""
        with self._telling:
            self._untold.append(event)
            self._tell_rest(0.0)

    def await_verdict(self) -> None:
        """Stay until it is known whether the trial may go on, where a stopping rule judges it now; see `control`."""

    # ---- what the flusher calls

    def due(self) -> float | None:
        """When `flush` should be called next, in the clock's seconds; None when nothing waits."""
        if self.full:
            return 0.0
        if self._size or self._unsent():
            return self._due
        return None

    def flush(self) -> bool:
        """Send what waits; False when Redis did not take all of it."""
        with self._sending:
            self._cut()
            sent = self._send(patience=0.0)
            self._due = self._clock() + (FLUSH_SECONDS if sent else 1.0)
            return sent

    def close(self, patience: float) -> int:
        """Send everything, waiting up to `patience` seconds for Redis; how many batches there were.

        What cannot be sent stays in the spool file, and a later process sends it.
        """
        with self._sending:
            self._cut()
            deadline = self._clock() + patience
            sent = self._send(patience=patience)
            while not sent and (left := deadline - self._clock()) > 0:
                threading.Event().wait(min(left, 0.1))
                sent = self._send(patience=left)
            if not sent:
                self._leave_behind()
            self._spool.close(keep=not sent)
        with self._telling:
            self._tell_rest(patience)
            for event in self._untold:
                log.error("run %s: Redis is away, so this is not recorded: %r", self.name.run, event)
        return self._backlog.count

    # ---- inside

    def _make_backlog(self) -> Backlog:
        return Backlog(self._spool, int(self._memory * _BATCHES), int(self._memory * _LATE), self._complain_of_run)

    def _clear(self) -> None:
        self._steps: list[int] = []
        self._logged: list[dict[str, Any]] = []
        self._summary: dict[str, Any] = {}
        self._config: dict[str, Any] = {}
        self._console: list[tuple[str, float, str]] = []
        self._size = 0
        self._announced = False  # the flusher knows that something waits
        self.full = False

    def _noted(self) -> bool:
        """Whether the flusher does not know yet that there is something to send, or that it is due at once."""
        if not self.full and (self._size >= BATCH_BYTES or len(self._steps) >= BATCH_ROWS):
            self.full = self._announced = True
            return True
        if not self._announced:
            self._announced = True
            if not self._unsent():
                self._due = self._clock() + FLUSH_SECONDS
            return True
        return False

    def _tell_rest(self, patience: float) -> None:
        try:
            while self._untold:
                self._tell_one(self._untold[0], patience)
                del self._untold[0]
        except Unreachable as error:
            self._complain("untold", f"{error}; what run {self.name.run} records is told later")

    def _tell_one(self, event: Event, patience: float) -> None:
        assert self._journal is not None
        self._journal.append(event, patience=patience)

    def _unsent(self) -> bool:
        return self._backlog.count > self._backlog.sent

    def _cut(self) -> None:
        """Turn what is logged into numbered batches."""
        with self._cutting:
            with self._rows:
                if not self._size:
                    return
                waiting = self._steps, self._logged, self._summary, self._config, self._console
                self._clear()
            for body in bodies_of(*waiting):
                self._backlog.put(body.pack())

    def _send(self, patience: float) -> bool:
        """Send all that is kept and not sent, in order."""
        while (record := self._backlog.next()) is not None:
            status = self._send_one(*record, patience)
            if status == "gap":
                self._backlog.send_again()
            elif status != "ok":
                return False
        return True

    def _send_one(self, seq: int, body: bytes, patience: float) -> str:
        assert self._journal is not None
        try:
            answer = self._journal.append_batch(
                self.name.batch(seq, body),
                first=self._backlog.is_oldest(seq),
                limit=self._limit,
                claim=self.name.claim,
                patience=patience,
            )
        except Unreachable as error:
            self._complain("away", f"{error}; what run {self.name.run} logs is kept and sent later")
            return "away"
        self.control = answer.control
        if answer.status == "full":
            self._complain(
                "full",
                f"the journal is full, no controller is reading it; run {self.name.run} logs to {self._spool.path}",
            )
        if answer.status == "ok":
            self._arrived = time.time()
        self._backlog.settle(seq if answer.status == "ok" else 0, answer.recorded)
        return answer.status

    def _leave_behind(self) -> None:
        waiting, lost = self._backlog.leave()
        if waiting:
            log.warning("run %s: %d batches wait in %s", self.name.run, waiting, self._spool.path)
        if lost:
            log.error("run %s: %d batches are lost, %s cannot be written", self.name.run, lost, self._spool.path)

    def _complain_of_run(self, about: str, message: str) -> None:
        self._complain(about, f"run {self.name.run}: {message}")

    def _complain(self, about: str, message: str) -> None:
        if about not in self._complained:
            self._complained.add(about)
            log.warning("%s", message)
