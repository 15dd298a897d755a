"""What a sweep of files that nobody needs any more has taken, or would take."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Swept"]


@dataclass(frozen=True, slots=True)
class Swept:
    """What was, or would be, deleted."""

    count: int
    bytes: int
