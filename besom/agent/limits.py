"""When an agent ends by itself: trials run, failures, time without work, time in all.

Reads: what the user asked for, how trials ended.  Gives: whether to take another one, and
the sentence that says why not.  Knows nothing of Redis, processes or signals.
"""

from __future__ import annotations

import math
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from besom.errors import UsageError
from besom.settings import Settings

__all__ = ["Limits", "Tally", "read_limits", "read_seconds"]

_FLAPPING_SECONDS: Final = 60.0
_FLAPPING_FAILURES: Final = 3
_MARGIN_SECONDS: Final = 5.0
"""Between handing back and the limit of `max_runtime`, besides the kill delay; a tenth of short limits."""
_SMOOTHING: Final = 0.2

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_WITH_UNITS = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_SLURM = re.compile(r"(?:(?P<days>\d+)-)?(?P<clock>\d+(?::\d+){0,2})")


@dataclass(frozen=True, slots=True)
class Limits:
    """What was asked for; None is no limit."""

    count: int | None = None
    """Trials run."""
    max_failures: int | None = None
    """Failed trials."""
    max_consecutive_failed_runs: int | None = None
    """Failed trials with none in between that ended otherwise."""
    idle_seconds: float | None = None
    """Time without work."""
    runtime_seconds: float | None = None
    """Time in all, such as a batch system gives."""
    flapping: bool = True
    """Whether 3 failures within the first minute, and no success, end the agent."""
    initial_failures: int = 5
    """So many failures and no success end the agent; 0 is no limit."""


def read_limits(
    settings: Settings,
    *,
    count: int | None = None,
    max_failures: int | None = None,
    max_consecutive_failed_runs: int | None = None,
    idle_timeout: float | str | None = None,
    max_runtime: float | str | None = None,
) -> Limits:
    """What a caller asks for, checked, and what the settings say of failures.

    Raises:
        UsageError: a value that cannot be.
    """
    numbers = {
        "count": count,
        "max_failures": max_failures,
        "max_consecutive_failed_runs": max_consecutive_failed_runs,
    }
    for name, value in numbers.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise UsageError(f"{name}={value!r} cannot be; write a whole number above 0, or leave it out")
    return Limits(
        **numbers,
        idle_seconds=None if idle_timeout is None else read_seconds(idle_timeout, "idle_timeout"),
        runtime_seconds=None if max_runtime is None else read_seconds(max_runtime, "max_runtime"),
        flapping=not settings.agent_disable_flapping,
        initial_failures=settings.agent_max_initial_failures,
    )


def read_seconds(value: float | str, name: str) -> float:
    """Seconds: a number, `90s`, `10m`, `1h30m`, or as SLURM writes it: `mm:ss`, `hh:mm:ss`, `days-hh[:mm[:ss]]`.

    Raises:
        UsageError: it is none of these, or not above 0.
    """
    seconds = _number(value) if not isinstance(value, str) else _duration(value.strip().lower())
    if seconds is None or not math.isfinite(seconds) or seconds <= 0:
        raise UsageError(f"{name}={value!r} cannot be; write seconds, or such as 90s, 10m, 2h, 1-12:00:00")
    return seconds


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _duration(text: str) -> float | None:
    if _WITH_UNITS.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)([smhd])", text))
    try:
        return float(text)
    except ValueError:
        found = _SLURM.fullmatch(text)
    if found is None:
        return None
    clock = [int(part) for part in found["clock"].split(":")]
    if found["days"] is not None:  # days-hours[:minutes[:seconds]]
        hours, minutes, seconds = (*clock, 0, 0)[:3]
        return int(found["days"]) * 86400.0 + hours * 3600 + minutes * 60 + seconds
    hours, minutes, seconds = (0,) * (3 - len(clock)) + tuple(clock)
    return hours * 3600.0 + minutes * 60 + seconds


class Tally:
    """What an agent has done, held against its limits. Safe to use from several threads.

    Args:
        limits: What was asked for.
        kill_delay: Seconds between SIGTERM and SIGKILL, kept free before `max_runtime`.
        clock: Seconds, monotonic.
    """

    def __init__(self, limits: Limits, kill_delay: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.left = limits.count if limits.count is not None else sys.maxsize
        """Trials that may still be claimed."""
        self.ran = 0
        self.failed = 0
        self.reason = ""
        """A sentence, once the agent is to take no more trials."""
        self.gave_up = False
        """Failures are the reason."""
        self.seconds = 0.0
        """Smoothed length of a trial, 0 while unknown."""
        self._longest = 0.0  # rises at once, falls slowly
        self._succeeded = 0
        self._in_a_row = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._started = self._idle_since = clock()
        runtime = limits.runtime_seconds
        self.hand_back_at = (
            math.inf
            if runtime is None
            else self._started + max(0.0, runtime - kill_delay - min(_MARGIN_SECONDS, runtime / 10))
        )
        """Clock time at which what still runs is handed back."""

    # ---- what happened

    def claimed(self, count: int) -> None:
        """So many trials were claimed, or with a negative number handed back."""
        with self._lock:
            self.left -= count
            self._idle_since = self._clock()

    def ended(self, state: str, error: str, seconds: float) -> None:
        """A trial ended here."""
        with self._lock:
            self.ran += 1
            self.seconds = self.seconds + _SMOOTHING * (seconds - self.seconds) if self.seconds else seconds
            self._longest = max(seconds, self._longest + _SMOOTHING * (seconds - self._longest))
            if state != "failed":
                self._succeeded += state == "finished"
                self._in_a_row = 0
                return
            self.failed += 1
            self._in_a_row += 1
            if not self.gave_up and (reason := self._failing()):
                self.reason, self.gave_up = f"{reason}; the last said: {_last_line(error)}", True

    def busy(self) -> None:
        """A trial runs, or ran until now, so the agent is not idle."""
        self._idle_since = self._clock()

    def _failing(self) -> str:
        limits = self.limits
        within = self._clock() - self._started
        if limits.max_failures is not None and self.failed >= limits.max_failures:
            return f"{_trials(self.failed)} failed and --max-failures is {limits.max_failures}, so this agent ends"
        if limits.max_consecutive_failed_runs is not None and self._in_a_row >= limits.max_consecutive_failed_runs:
            return f"{_trials(self._in_a_row)} in a row failed (--max-consecutive-failed-runs), so this agent ends"
        if self._succeeded:
            return ""
        if limits.flapping and self.failed >= _FLAPPING_FAILURES and within <= _FLAPPING_SECONDS:
            return (
                f"{_trials(self.failed)} failed within the first {_FLAPPING_SECONDS:.0f} s and none succeeded, so this "
                "agent ends (BESOM_AGENT_DISABLE_FLAPPING=true lets it go on)"
            )
        if limits.initial_failures and self.failed >= limits.initial_failures:
            return (
                f"all of the first {_trials(self.failed)} failed, so this agent ends "
                "(BESOM_AGENT_MAX_INITIAL_FAILURES sets how many; 0 is no limit)"
            )
        return ""

    # ---- what follows

    def may_take(self) -> bool:
        """Whether another trial may be claimed now; sets `reason` when the answer is no for good."""
        if self.left <= 0 or self.reason:
            return False
        now = self._clock()
        if now + self._longest > self.hand_back_at:
            needed = f", and a trial takes up to {self._longest:.0f} s" if self._longest >= 1 else ""
            self.reason = f"--max-runtime is nearly over{needed}: no more trials are taken"
            return False
        return True

    def is_idle(self) -> bool:
        """Whether there was no work for so long that the agent ends; sets `reason`. Ask only while nothing runs."""
        idle = self.limits.idle_seconds
        if idle is None or self._clock() - self._idle_since < idle:
            return False
        self.reason = self.reason or f"no work for {idle:.0f} s (--idle-timeout), so this agent ends"
        return True

    def patience(self, most: float) -> float:
        """How long to wait for work at once, `most` at most, so that no limit is passed by much."""
        now = self._clock()
        idle = math.inf if self.limits.idle_seconds is None else self._idle_since + self.limits.idle_seconds - now
        return max(0.0, min(most, idle, self.hand_back_at - self._longest - now))


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


def _last_line(error: str) -> str:
    lines = error.strip().splitlines()
    return lines[-1].strip() if lines else "nothing"
