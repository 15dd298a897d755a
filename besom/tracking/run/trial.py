"""The trial that this code runs in, if any: set by a function agent, or found in a command trial's environment."""

from __future__ import annotations

import json
import logging
import math
import os
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from besom.disk import private_folder
from besom.errors import BesomError, TrialCancelled, TrialInterrupted, TrialStopped, UsageError
from besom.messages import Claim, SweepSpec

if TYPE_CHECKING:
    from besom.broker.connection import Connection

__all__ = [
    "PREEMPTIONS",
    "TRIAL_FILE",
    "Trial",
    "current_trial",
    "goes_back",
    "set_trial",
    "trial_from_environment",
    "was_told_to_end",
]

log = logging.getLogger("besom")

TRIAL_FILE = "trial.json"
"""In the trial's directory: what a command trial's `init()` needs; its path is in BESOM_TRIAL."""

_MARK_FILE: Final = "preempting"
"""In the trial's directory: the token of the attempt that called `run.mark_preempting()`."""
_END_FILE: Final = "interrupted"
"""In the trial's directory: the token of the attempt whose code met an interrupt, and the interrupt's name."""
_INTERRUPTS: Final = {interrupt.__name__: interrupt for interrupt in (TrialStopped, TrialCancelled)}
PREEMPTIONS: Final = 20
"""Attempts after which a trial that fails is no longer handed back, marked or not: one that always fails must end."""


@dataclass
class Trial:
    """One attempt, as the code that runs in it sees it."""

    spec: SweepSpec
    claim: Claim
    directory: Path
    connection: Connection | None = None
    interrupt: type[TrialInterrupted] | None = None
    """Set from outside; raised at the next `log()`."""
    writers: dict[str, int] = field(default_factory=dict)
    """Batches sent by each writer that is closed."""
    patience: float = math.inf
    """Seconds that its runs wait for Redis at their end."""
    next_step: int = 0
    """Where a second `init()` in the same trial goes on."""

    def mark_preempting(self) -> None:
        """The machine may be taken away at any moment: if this attempt fails from now on, the trial is handed back."""
        self._leave(_MARK_FILE, self.claim.token)

    def meets(self, interrupt: type[TrialInterrupted]) -> None:
        """Its code is about to be interrupted, and may end by it before its agent has heard of it."""
        if interrupt.__name__ in _INTERRUPTS:
            self._leave(_END_FILE, f"{self.claim.token} {interrupt.__name__}")

    def _leave(self, name: str, text: str) -> None:
        """Leave word for the agent, which has no other way to hear from a child."""
        try:
            private_folder(self.directory)
            (self.directory / name).write_text(text, encoding="utf-8")
        except (OSError, BesomError) as error:
            log.warning("trial %s cannot be marked as %s: %s", self.claim.run_id, name, error)

    def to_json(self) -> str:
        """What a child process needs."""
        return json.dumps({"spec": self.spec.model_dump(mode="json"), "claim": self.claim.model_dump(mode="json")})


def goes_back(directory: Path, claim: Claim) -> bool:
    """Whether an attempt that failed is to be handed back: it was marked as preempting, and not too often."""
    try:
        marked = (directory / _MARK_FILE).read_text(encoding="utf-8") == claim.token
    except (OSError, ValueError):
        return False
    return marked and claim.attempt < PREEMPTIONS


def was_told_to_end(directory: Path, claim: Claim) -> type[TrialInterrupted] | None:
    """The interrupt that the attempt's code has met, if it has."""
    try:
        token, _, name = (directory / _END_FILE).read_text(encoding="utf-8").partition(" ")
    except (OSError, ValueError):
        return None
    return _INTERRUPTS.get(name) if token == claim.token else None


_current: ContextVar[Trial | None] = ContextVar("besom_trial", default=None)
_of_process: list[Trial] = []


def current_trial() -> Trial | None:
    """The trial this code belongs to, or None."""
    return _current.get() or (_of_process[-1] if _of_process else None) or trial_from_environment()


def set_trial(trial: Trial | None) -> None:
    """Called by the agent around each function trial; threads that the function starts see it too."""
    _current.set(trial)
    _of_process[:] = [trial] if trial is not None else []


def trial_from_environment() -> Trial | None:
    """The command trial that BESOM_TRIAL names; the same object for the life of the process.

    Raises:
        UsageError: the file it names cannot be read.
    """
    path = os.environ.get("BESOM_TRIAL")
    if not path:
        return None
    known = _from_files.get(path)
    if known is None:
        try:
            held = json.loads(Path(path).read_text(encoding="utf-8"))
            spec, claim = SweepSpec.model_validate(held["spec"]), Claim.model_validate(held["claim"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = str(error).split("\n")[0]
            raise UsageError(
                f"BESOM_TRIAL={path!r} names no trial file ({problem}); unset it to log outside a sweep"
            ) from None
        known = _from_files[path] = Trial(spec, claim, Path(path).parent)
    return known


_from_files: dict[str, Trial] = {}
