"""A sweep as agents, readers and the controller see it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Literal

from pydantic import ValidationError, field_validator

from besom.messages.message import VERSION, Message, foreign, is_known, unreadable

__all__ = [
    "ACTIVE_SWEEP_STATES",
    "Judged",
    "Metric",
    "SweepEdit",
    "SweepSpec",
    "SweepState",
    "read_spec",
    "signature_of",
]

SweepState = Literal["pending", "running", "paused", "stopping", "finished", "cancelled"]


ACTIVE_SWEEP_STATES: frozenset[str] = frozenset({"pending", "running", "paused", "stopping"})


class Metric(Message):
    """What a sweep optimises."""

    name: str
    goal: Literal["minimize", "maximize"] = "minimize"


class SweepEdit(Message):
    """When a sweep's config was changed."""

    entry: str
    """Of the journal."""
    issued: int
    """Trials that had been issued. Given points that had had their turn by then are no longer in the config."""


class Judged(Message):
    """What a stopping rule judges trials by."""

    metric: str
    rungs: tuple[int, ...]
    """Values of the metric after which it does, in order."""


class SweepSpec(Message):
    """A sweep as agents, readers and the controller see it; stands in the sweep's hash in Redis."""

    version: int = VERSION
    id: str
    entity: str
    project: str
    name: str
    created: float
    """Seconds since the epoch."""
    config: dict[str, Any]
    """The sweep config, seed included."""
    metric: Metric | None = None
    program: str | None = None
    command: tuple[str, ...] | None = None
    retries: int = 0
    """How often a trial that fails is tried again."""
    timeout: float | None = None
    """Seconds that one attempt may take."""
    weight: float = 1.0
    """Share of the agents that serve several sweeps."""
    judged: Judged | None = None
    """Where its stopping rule judges a trial; `log` waits there for the verdict."""
    signature: str = ""
    """HMAC of what would be executed, by whoever knows BESOM_SECRET."""
    edits: tuple[SweepEdit, ...] = ()
    """Changes of the config, in order; only the store's copy of the sweep has them."""

    @field_validator("version")
    @classmethod
    def _known(cls, version: int) -> int:
        if not is_known(version):
            raise ValueError(foreign(version))
        return version

    @property
    def path(self) -> str:
        """entity/project/id."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def may_stop_early(self) -> bool:
        """Whether a stopping rule may end one of its trials."""
        rule = self.config.get("early_terminate")
        return isinstance(rule, dict) and rule.get("type") != "none"

    def points_done(self, issued: int) -> int:
        """How many of the config's `points` have had their turn, now that so many trials have been issued.

        They have it right after the last edit, each `repeats` times.
        """
        repeats, start = int(self.config.get("repeats", 1)), self.edits[-1].issued if self.edits else 0
        return min(len(self.config.get("points", ())), -(-issued // repeats) - -(-start // repeats))


def signature_of(spec: SweepSpec, secret: str) -> str:
    """HMAC of what agents execute for this sweep, by whoever knows `secret` (BESOM_SECRET)."""
    executed = json.dumps([spec.id, spec.program, spec.command, spec.config.get("parameters")], sort_keys=True)
    return hmac.new(secret.encode(), executed.encode(), hashlib.sha256).hexdigest()


def read_spec(text: bytes | str) -> SweepSpec:
    """The sweep in a sweep's hash.

    Raises:
        Unreadable: foreign version, or a field that does not fit.
    """
    try:
        return SweepSpec.model_validate_json(text)
    except ValidationError as error:
        raise unreadable("sweep", error) from None
