"""The one background thread of a process: flushes writers when they are due and keeps their runs alive.

Made at the first row, gone with the process; a forked child makes its own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Final

from besom.broker.connection import Connection
from besom.errors import BesomError
from besom.tracking.writing.writer import Writer

__all__ = ["RUN_BEAT_MS", "Flusher", "flusher"]

log = logging.getLogger("besom")

RUN_BEAT_MS: Final = 300_000
"""A run outside a sweep that has not beaten for so long is taken for crashed."""
_BEAT_SECONDS: Final = 30.0


class Flusher:
    """Owns the thread."""

    def __init__(self) -> None:
        self._writers: set[Writer] = set()
        self._beating: dict[str, Callable[[], None]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._next_beat = 0.0

    def add(self, writer: Writer) -> None:
        """Look after this writer from now on."""
        with self._changed:
            self._writers.add(writer)
            self._wake()

    def expect(self, writer: Writer) -> None:
        """Look after this writer once `wake` is called: a forked child that logs nothing needs no thread."""
        with self._changed:
            self._writers.add(writer)

    def remove(self, writer: Writer) -> None:
        """The writer is closed."""
        with self._changed:
            self._writers.discard(writer)

    def wake(self) -> None:
        """A writer has something new."""
        with self._changed:
            self._wake()

    def keep_alive(self, run: str, connection: Connection) -> None:
        """Beat for a run outside a sweep."""

        def beat() -> None:
            connection.script("run_beat", RUN_BEAT_MS, "beat", run, patience=0)

        with self._changed:
            self._beating[run] = beat
            self._wake()

    def let_go(self, run: str) -> None:
        """The run has ended."""
        with self._changed:
            self._beating.pop(run, None)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="besom-flusher", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait(self._pause())
                now = time.monotonic()
                due = [writer for writer in self._writers if (at := writer.due()) is not None and at <= now]
                beats: list[Callable[[], None]] = []
                if self._beating and now >= self._next_beat:
                    beats = list(self._beating.values())
                    self._next_beat = now + _BEAT_SECONDS
            for action in [*(writer.flush for writer in due), *beats]:
                try:
                    action()
                except BesomError as error:
                    log.debug("flusher: %s", error)
                except Exception:
                    log.exception("flusher: a batch could not be sent; going on")

    def _pause(self) -> float | None:
        times = [at for writer in self._writers if (at := writer.due()) is not None]
        if self._beating:
            times.append(self._next_beat)
        return max(0.0, min(times) - time.monotonic()) if times else None


_flushers: dict[int, Flusher] = {}


def flusher() -> Flusher:
    """This process' flusher."""
    pid = os.getpid()
    if pid not in _flushers:
        _flushers.clear()  # a parent's thread does not live in its child
        _flushers[pid] = Flusher()
    return _flushers[pid]
