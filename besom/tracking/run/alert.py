"""`run.alert`: a message about a run that somebody should see, kept with the run.

Gives: what is to be recorded of it, at most one of a title within its wait.  Knows nothing of where that goes.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from besom.messages import RunAlerted
from besom.tracking.values import utf8

__all__ = ["LOG_LEVELS", "WAIT_SECONDS", "AlertLevel", "Alerts"]

WAIT_SECONDS: Final = 60.0
"""Between two alerts of one title, unless said otherwise; as in W&B."""
LOG_LEVELS: Final = {"INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}
"""What an alert is in Python's log."""
_TITLE_LIMIT: Final = 256
_TEXT_LIMIT: Final = 16_000
_TITLES: Final = 1000
"""Titles whose time is remembered."""


class AlertLevel(Enum):
    """How much an alert matters."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


class Alerts:
    """The alerts of one run.

    Args:
        run: Its id.
        clock: Seconds, monotonic.
    """

    def __init__(self, run: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._told: dict[str, float] = {}  # by title, oldest first

    def made(self, title: str, text: str, level: Any, wait_duration: Any) -> RunAlerted | None:
        """The alert to record; None when one of this title was recorded less than `wait_duration` ago.

        Raises:
            ValueError: a level or a wait that cannot be.
        """
        importance, wait = _level(level), _seconds(wait_duration)
        heading, now = utf8(str(title))[:_TITLE_LIMIT], self._clock()
        before = self._told.pop(heading, None)
        if before is not None and now - before < wait:
            self._told[heading] = before
            return None
        self._told[heading] = now
        if len(self._told) > _TITLES:
            del self._told[next(iter(self._told))]
        # Sorts by time, since the journal's clock is the same for those that come within a millisecond.
        id = f"{time.time_ns():016x}{secrets.token_hex(4)}"
        return RunAlerted(run=self._run, id=id, title=heading, text=utf8(str(text))[:_TEXT_LIMIT], level=importance)


def _level(level: Any) -> str:
    if level is None:
        return AlertLevel.INFO.value
    name = level.value if isinstance(level, Enum) else level
    if name not in AlertLevel.__members__:
        raise ValueError(f"level={level!r} cannot be; write 'INFO', 'WARN' or 'ERROR'")
    return str(name)


def _seconds(wait: Any) -> float:
    if wait is None:
        return WAIT_SECONDS
    if isinstance(wait, timedelta):
        return wait.total_seconds()
    if isinstance(wait, int | float) and not isinstance(wait, bool):
        return float(wait)
    raise ValueError(f"wait_duration={wait!r} cannot be; write seconds or a timedelta")
