"""What a process prints while a run is open: each line of stdout and stderr kept as well as shown.

Taps the `write` of `sys.stdout` and `sys.stderr`, so that loggers and notebooks that hold these streams are heard too.
What a forked child or a C library prints, or goes to `sys.stdout.buffer`, is shown and not kept.
Knows nothing of runs: lines go to a function that is passed in.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["LINE_LIMIT", "Console", "Lines"]

LINE_LIMIT: Final = 16_000
"""Characters of one line that are kept."""
_STREAMS: Final = ("stdout", "stderr")
_JOIN_SECONDS: Final = 10.0


class Lines:
    """Turns pieces of text into lines; of what `\\r` wrote over itself the last state is kept."""

    def __init__(self) -> None:
        self._open = ""

    def feed(self, text: str) -> list[str]:
        """The lines that are whole now."""
        *whole, rest = (self._open + text).split("\n")
        self._open = _last_state(rest) + ("\r" if rest.endswith("\r") else "")
        return [_last_state(line) for line in whole]

    def end(self) -> list[str]:
        """What is left without a line end."""
        rest, self._open = _last_state(self._open), ""
        return [rest] if rest else []


def _last_state(line: str) -> str:
    return line.rstrip("\r").rpartition("\r")[2][:LINE_LIMIT]


class Console:
    """Hears what is printed between `start` and `stop`.

    Args:
        keep: Called with stream, seconds since the epoch and line, on a thread of its own.
    """

    def __init__(self, keep: Callable[[str, float, str], None]) -> None:
        self._keep = keep
        # Its put may be called by a signal handler or a destructor that interrupts another put.
        self._heard: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="besom-console", daemon=True)
        self._pid = os.getpid()

    def start(self) -> None:
        """Listen from now on."""
        self._thread.start()
        for name in _STREAMS:
            _listen(name, self)

    def stop(self) -> None:
        """Listen no longer; all that was heard is kept when this returns."""
        for tap in list(_taps.values()):
            tap.leave(self)
        if self._pid == os.getpid():  # a fork has no thread to wait for
            self._heard.put(None)
            self._thread.join(_JOIN_SECONDS)

    def hear(self, stream: str, text: str) -> None:
        """Take what was written; returns at once, in any process and any thread."""
        if self._pid == os.getpid():
            self._heard.put((stream, text))

    def _work(self) -> None:
        lines = {name: Lines() for name in _STREAMS}
        while (heard := self._heard.get()) is not None:
            stream, text = heard
            now = time.time()
            for line in lines[stream].feed(text):
                self._keep(stream, now, line)
        for stream, some in lines.items():
            for line in some.end():
                self._keep(stream, time.time(), line)


class _Tap:
    """A stream's `write` that also tells the consoles; taken off with the last of them."""

    def __init__(self, name: str, stream: Any) -> None:
        self._name, self._stream = name, stream
        self._real = stream.write
        self._own = vars(stream).get("write")  # somebody else's patch, to be put back
        self._consoles: tuple[Console, ...] = ()
        self._write = self.write
        stream.write = self._write

    def write(self, text: str) -> Any:
        """In place of the stream's own."""
        written = self._real(text)
        for console in self._consoles:
            console.hear(self._name, text)
        return written

    def join(self, console: Console) -> None:
        """Tell this console too."""
        self._consoles = (*self._consoles, console)

    def leave(self, console: Console) -> None:
        """Tell it no longer."""
        self._consoles = tuple(one for one in self._consoles if one is not console)
        # Over a patch that came later this one stays, and passes on.
        if not self._consoles and vars(self._stream).get("write") is self._write:
            _taps.pop(id(self._stream), None)
            if self._own is not None:
                self._stream.write = self._own
            else:
                del self._stream.write


_taps: dict[int, _Tap] = {}
"""By the stream's identity; a tap holds its stream."""


def _listen(name: str, console: Console) -> None:
    stream = getattr(sys, name)
    if stream is None:
        return
    tap = _taps.get(id(stream))
    if tap is None:
        try:
            tap = _taps[id(stream)] = _Tap(name, stream)
        except (AttributeError, TypeError):
            return  # an object that lets nothing be set: it is only shown
    if console not in tap._consoles:  # both names may mean one stream
        tap.join(console)
