"""A clock that tests move."""

from __future__ import annotations


class Clock:
    """Seconds since the epoch; stands still until it is moved."""

    def __init__(self, seconds: float) -> None:
        self._seconds = round(seconds, 3)

    def __call__(self) -> float:
        return self._seconds

    def move(self, seconds: float) -> None:
        """Forward, or back when negative."""
        self._seconds = round(self._seconds + seconds, 3)
