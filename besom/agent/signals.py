"""Signals for the time that an agent runs: first to end or hand back, second now; and those that go on to the trials.

A Python handler runs only between bytecodes of the main thread, seconds late inside one long C call. So the signal's
number also goes down a socket (`signal.set_wakeup_fd`) to the agent's watch thread, which acts at once.
"""

from __future__ import annotations

import ctypes
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from besom.errors import TrialInterrupted, TrialPreempted
from besom.settings import Settings

__all__ = ["FORWARDED", "GOODBYE_SECONDS", "IdleAgentInterrupted", "Signals"]

GOODBYE_SECONDS: Final = 5.0
"""How long an agent that was told to hand back waits for Redis; then the lease runs out by itself."""

_NUMBERS: Final = (signal.SIGTERM, signal.SIGINT)
_LIKE_SIGTERM: Final = frozenset({signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_NUDGE: Final = signal.SIGURG
"""Interrupts the main thread's waiting; does nothing by default, so a late one harms nobody."""

FORWARDED: Final = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGTERM,
    signal.SIGCONT, signal.SIGWINCH, signal.SIGIO,
)  # fmt: skip
"""What `--forward-signals` passes on: all that can be caught and mean something to another process."""


class IdleAgentInterrupted(BaseException):
    """A signal came while the agent waited for work."""


class Signals:
    """A context; outside the main thread it catches nothing.

    Args:
        settings: What the first SIGTERM and SIGINT mean.
        say: Prints one line for the user.
        forward: Called with the number of each signal that may go on to the trials, from the watch thread.
    """

    def __init__(
        self, settings: Settings, say: Callable[[str], None], forward: Callable[[int], None] | None = None
    ) -> None:
        self.ending = threading.Event()
        """No more trials are taken."""
        self.handing_back = threading.Event()
        """The trial that runs is to be handed back."""
        self.idle = False
        """The agent waits for work, so a signal ends the wait."""
        self.quiet = False
        """Nothing runs that a signal would let end, so nothing is said of it."""
        self.in_function = False
        """User code runs in the agent's thread; a second signal, or `raise_in_function`, is raised there."""
        self.number = 0
        """The last signal that ends the agent."""
        self._settings = settings
        self._say = say
        self._forward = forward
        self._lock = threading.Lock()
        self._seen = 0
        self._handled = 0
        self._old: dict[int, Any] = {}
        self._old_fd = -1
        self._thread = 0
        self._pending: type[TrialInterrupted] | None = None
        self.wakeup, self._write = socket.socketpair()
        self.wakeup.setblocking(False)
        self._write.setblocking(False)

    def __enter__(self) -> Signals:
        self._thread = threading.get_ident()
        if threading.current_thread() is threading.main_thread():
            numbers = FORWARDED if self._forward is not None else _NUMBERS
            for number in numbers:
                self._old[number] = signal.signal(number, self._handle)
            if signal.getsignal(_NUDGE) in (signal.SIG_DFL, None):
                self._old[_NUDGE] = signal.signal(_NUDGE, self._nudged)
            self._old_fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._old:
            signal.set_wakeup_fd(self._old_fd)
            for number, handler in self._old.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self.wakeup.close()
        self._write.close()

    def woken(self) -> None:
        """Read what the socket holds and act; called by the watch thread."""
        try:
            numbers = self.wakeup.recv(64)
        except BlockingIOError:
            return
        for number in numbers:
            if self._forward is not None and number in FORWARDED:
                self._forward(number)
            if number in _NUMBERS or (number in _LIKE_SIGTERM and self._forward is not None):
                self._arrived(number)

    def wake(self) -> None:
        """Make the watch thread look around."""
        try:
            self._write.send(b"\0")
        except (BlockingIOError, OSError):
            return  # it is awake, or the agent has ended

    def deliver_again(self) -> None:
        """After the context: let the signal mean what it meant before, so that callers and shells see it."""
        if self.number:
            signal.raise_signal(self.number)

    # ---- a function that is to end

    def leave_function(self) -> None:
        """The user's code has returned: nothing is raised in this thread any more."""
        with self._lock:
            self.in_function = False
            if self._pending is not None:
                self._pending = None
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), None)

    def raise_in_function(self, why: type[TrialInterrupted]) -> None:
        """Raise it in the function that runs, at its next bytecode; called by the watch thread."""
        with self._lock:
            if not self.in_function:
                return
            self._pending = why
            if _NUDGE in self._old:  # a signal also ends a sleep or a read
                signal.pthread_kill(self._thread, _NUDGE)
            else:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread), ctypes.py_object(why))

    def _nudged(self, number: int, frame: FrameType | None) -> None:
        why = self._pending
        if why is not None and self.in_function:
            self._pending = None
            raise why("this trial is to end")

    # ---- SIGTERM and SIGINT

    def _arrived(self, number: int) -> None:
        with self._lock:
            self._seen += 1
            self.number = number
            wish = self._settings.on_sigint if number == signal.SIGINT else self._settings.on_sigterm
            if self._seen == 1 and wish == "finish":
                self.ending.set()
                if not (self.idle or self.quiet):
                    self._say("ending after this trial; once more to hand it back now")
                return
            self.ending.set()
            self.handing_back.set()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number not in _NUMBERS:
            return  # acting on it is the watch thread's
        self._handled += 1
        if self.idle:
            self.number = number
            self.ending.set()
            raise IdleAgentInterrupted
        # Acting on it is the watch thread's; here only what must happen in the main thread.
        if self._handled >= 2 and self.in_function:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            raise TrialPreempted("a second signal")
