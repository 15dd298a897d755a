"""SIGTERM and SIGINT for the time that an agent runs: first to end or hand back, second now.

A Python handler runs only between bytecodes of the main thread, seconds late inside one long C call. So the signal's
number also goes down a socket (`signal.set_wakeup_fd`) to the beat thread, which acts at once.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from besom.errors import TrialPreempted
from besom.settings import Settings

__all__ = ["IdleAgentInterrupted", "Signals"]

_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT)


class IdleAgentInterrupted(BaseException):
    """A signal came while the agent waited for work."""


class Signals:
    """A context; outside the main thread it does nothing.

    Args:
        settings: What the first SIGTERM and SIGINT mean.
        say: Prints one line for the user.
    """

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self.ending = threading.Event()
        """No more trials are taken."""
        self.handing_back = threading.Event()
        """The trial that runs is to be handed back."""
        self.idle = False
        """The agent waits for work, so a signal ends the wait."""
        self.in_function = False
        """User code runs in the main thread; a second signal is raised there."""
        self.number = 0
        """The last signal."""
        self._settings = settings
        self._say = say
        self._lock = threading.Lock()
        self._seen = 0
        self._handled = 0
        self._old: dict[int, Any] = {}
        self._old_fd = -1
        self.wakeup, self._write = socket.socketpair()
        self.wakeup.setblocking(False)
        self._write.setblocking(False)

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in _NUMBERS:
                self._old[number] = signal.signal(number, self._handle)
            self._old_fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._old:
            signal.set_wakeup_fd(self._old_fd)
            for number, handler in self._old.items():
                signal.signal(number, handler)
        self.wakeup.close()
        self._write.close()

    def woken(self) -> None:
        """Read what the socket holds and act; called by the beat thread."""
        try:
            numbers = self.wakeup.recv(64)
        except BlockingIOError:
            return
        for number in numbers:
            if number in _NUMBERS:
                self._arrived(number)

    def wake(self) -> None:
        """Make the beat thread look around."""
        try:
            self._write.send(b"\0")
        except (BlockingIOError, OSError):
            return  # it is awake, or the agent has ended

    def deliver_again(self) -> None:
        """After the context: let the signal mean what it meant before, so that callers and shells see it."""
        if self.number:
            signal.raise_signal(self.number)

    def _arrived(self, number: int) -> None:
        with self._lock:
            self._seen += 1
            self.number = number
            wish = self._settings.on_sigterm if number == signal.SIGTERM else self._settings.on_sigint
            if self._seen == 1 and wish == "finish":
                self.ending.set()
                if not self.idle:
                    self._say("ending after this trial; once more to hand it back now")
                return
            self.ending.set()
            self.handing_back.set()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._handled += 1
        if self.idle:
            self.number = number
            self.ending.set()
            raise IdleAgentInterrupted
        # Acting on it is the beat thread's; here only what must happen in the main thread.
        if self._handled >= 2 and self.in_function:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise TrialPreempted("a second signal")
