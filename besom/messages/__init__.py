"""What crosses Redis: frozen, validated, versioned.

Gives: the sweep as agents and readers see it, the events of the journal, what a claim returns, and the
body of a log batch. Knows nothing of Redis itself, nor of who writes or reads.
"""

from __future__ import annotations

from besom.messages.batch import SYSTEM, Batch, BatchBody
from besom.messages.entry import encode, read_events
from besom.messages.events import (
    ArtifactLogged,
    AttemptLost,
    AttemptReleased,
    Event,
    FileSaved,
    RunAlerted,
    RunBeat,
    RunEdited,
    RunEnded,
    RunStarted,
    SweepCreated,
    SweepEdited,
    SweepRemoved,
    SweepStateSet,
    TrialClaimed,
    TrialEnded,
    TrialEvent,
    TrialRetried,
    TrialsReopened,
)
from besom.messages.message import VERSION, Unreadable
from besom.messages.sweep import (
    ACTIVE_SWEEP_STATES,
    Judged,
    Metric,
    SweepEdit,
    SweepSpec,
    SweepState,
    read_spec,
    signature_of,
)
from besom.messages.trial import Claim, TrialState, home_of, run_id_of

__all__ = [
    "ACTIVE_SWEEP_STATES",
    "SYSTEM",
    "VERSION",
    "ArtifactLogged",
    "AttemptLost",
    "AttemptReleased",
    "Batch",
    "BatchBody",
    "Claim",
    "Event",
    "FileSaved",
    "Judged",
    "Metric",
    "RunAlerted",
    "RunBeat",
    "RunEdited",
    "RunEnded",
    "RunStarted",
    "SweepCreated",
    "SweepEdit",
    "SweepEdited",
    "SweepRemoved",
    "SweepSpec",
    "SweepState",
    "SweepStateSet",
    "TrialClaimed",
    "TrialEnded",
    "TrialEvent",
    "TrialRetried",
    "TrialState",
    "TrialsReopened",
    "Unreadable",
    "encode",
    "home_of",
    "read_events",
    "read_spec",
    "run_id_of",
    "signature_of",
]
