"""A trial as it is lent to an agent, and the run that records it."""

from __future__ import annotations

from typing import Any, Literal

from besom.messages.message import Message

__all__ = ["Claim", "TrialState", "home_of", "run_id_of"]

TrialState = Literal["queued", "running", "finished", "failed", "crashed", "stopped", "cancelled"]


class Claim(Message):
    """A trial lent to an agent: what it needs to run it and to report."""

    sweep: str
    number: int
    attempt: int
    token: str
    """Fencing token; every later call about this attempt carries it."""
    params: dict[str, Any]

    @property
    def run_id(self) -> str:
        """Id of the run that records this trial."""
        return run_id_of(self.sweep, self.number)


def run_id_of(sweep: str, number: int) -> str:
    """Id of the run of one trial."""
    return f"{sweep}-{number}"


def home_of(run: str) -> tuple[str, int]:
    """Sweep and number that a run's id speaks of; ("", 0) when it is no trial's id."""
    sweep, _, number = run.rpartition("-")
    return (sweep, int(number)) if sweep and number.isascii() and number.isdigit() else ("", 0)
