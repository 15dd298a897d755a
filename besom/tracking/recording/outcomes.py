"""What the recorder tells the controller: how the world changed with the events just applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from besom.messages import SweepSpec, SweepState, TrialState

__all__ = [
    "Outcome",
    "RunClosed",
    "SweepAppeared",
    "SweepChanged",
    "SweepGone",
    "SweepMoved",
    "TrialBack",
    "TrialClosed",
    "TrialReopened",
    "TrialTaken",
]


@dataclass(frozen=True, slots=True)
class SweepAppeared:
    """A sweep was asked for."""

    spec: SweepSpec


@dataclass(frozen=True, slots=True)
class SweepMoved:
    """A sweep's state changed."""

    sweep: str
    state: SweepState


@dataclass(frozen=True, slots=True)
class SweepChanged:
    """A sweep's config was edited; the store has the new one."""

    sweep: str


@dataclass(frozen=True, slots=True)
class SweepGone:
    """A sweep was removed with all it had."""

    sweep: str


@dataclass(frozen=True, slots=True)
class TrialTaken:
    """An agent runs the trial; `params` are what it really runs with."""

    sweep: str
    number: int
    agent: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrialBack:
    """The trial waits again, released or lost."""

    sweep: str
    number: int


@dataclass(frozen=True, slots=True)
class TrialReopened:
    """A trial that was over is to run again."""

    sweep: str
    number: int
    attempt: int
    """How often it has been claimed so far."""
    params: dict[str, Any]
    losses: int = 0
    failures: int = 0
    promoted: bool = False
    """By its stopping rule; else by `besom retry`."""


@dataclass(frozen=True, slots=True)
class TrialClosed:
    """A trial ended and all it logged is recorded; told once."""

    sweep: str
    number: int
    state: TrialState
    value: float | None
    """Best (or last) valid value of the sweep's metric; None without one."""
    curve: tuple[float, ...]
    """The metric's valid values in order of step."""
    params: dict[str, Any]
    ended: float
    """Seconds since the epoch, by Redis' clock."""
    values: tuple[float | None, ...] = ()
    """Of a sweep with several metrics: the last valid value of each, in their order; None where it has none."""


@dataclass(frozen=True, slots=True)
class RunClosed:
    """A run outside a sweep is finished, failed or crashed."""

    run: str
    state: str


Outcome = (
    SweepAppeared
    | SweepChanged
    | SweepMoved
    | SweepGone
    | TrialTaken
    | TrialBack
    | TrialReopened
    | TrialClosed
    | RunClosed
)
