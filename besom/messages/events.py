"""The events of the journal, but for the batches of what runs log."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from besom.messages.message import FromJson, Message, unpack
from besom.messages.sweep import SweepSpec, SweepState
from besom.messages.trial import TrialState

__all__ = [
    "EVENTS",
    "ArtifactLogged",
    "AttemptLost",
    "AttemptReleased",
    "Event",
    "FileSaved",
    "RunAlerted",
    "RunBeat",
    "RunEdited",
    "RunEnded",
    "RunStarted",
    "SweepCreated",
    "SweepEdited",
    "SweepRemoved",
    "SweepStateSet",
    "TrialClaimed",
    "TrialEnded",
    "TrialEvent",
    "TrialRetried",
    "TrialsReopened",
]


class Event(Message):
    """Base of the journal's entries. `at_ms` is Redis' clock where Lua wrote the event."""

    kind: ClassVar[str]
    at_ms: int = 0


class SweepCreated(Event):
    """A sweep was asked for."""

    kind = "sweep"
    spec: Annotated[SweepSpec, FromJson]


class SweepStateSet(Event):
    """pause, resume, stop, cancel. The controller's own finish comes from the store and is not told."""

    kind = "state"
    sweep: str
    state: SweepState


class SweepEdited(Event):
    """`besom edit` and `besom enqueue`: another config from here on."""

    kind = "sweep_edit"
    sweep: str
    base: int
    """Edits that its author knew of; when there are others it does nothing."""
    config: Annotated[dict[str, Any], FromJson]
    """Its `points` are those that its author knew of, and then the new ones."""


class SweepRemoved(Event):
    """`besom rm`: a sweep or a run is to go from the store."""

    kind = "remove"
    sweep: str = ""
    run: str = ""


class TrialEvent(Event):
    """Base of what happens to one attempt of one trial."""

    sweep: str
    number: int
    attempt: int
    token: str


class TrialClaimed(TrialEvent):
    """An agent took the trial; `params` is what it really runs with."""

    kind = "claim"
    agent: str
    params: Annotated[dict[str, Any], FromJson]


class TrialEnded(TrialEvent):
    """A trial's final state."""

    kind = "end"
    state: TrialState
    error: str = ""
    """Last lines of the traceback or of stderr."""
    exit_code: int = 0
    writers: Annotated[dict[str, int], FromJson] = Field(default_factory=dict)
    """Batches sent by each writer of the attempt; the run closes when all are recorded."""


class TrialRetried(TrialEvent):
    """An attempt failed, and the trial waits to be tried again."""

    kind = "retry"
    failures: int
    details: Annotated[dict[str, Any], FromJson]
    """error, exit_code, writers, as in `TrialEnded`."""


class TrialsReopened(Event):
    """`besom retry`: trials of these states are to run again."""

    kind = "reopen"
    sweep: str
    states: Annotated[tuple[TrialState, ...], FromJson]


class AttemptReleased(TrialEvent):
    """The agent handed the trial back."""

    kind = "release"
    reason: str


class AttemptLost(TrialEvent):
    """The lease ran out; another attempt may follow."""

    kind = "lost"
    losses: int


class RunStarted(Event):
    """`init()` was called: outside a sweep `attempt` is 1 and `sweep` empty."""

    kind = "run"
    run: str
    attempt: int = 1
    sweep: str = ""
    number: int = 0
    body: bytes
    """msgpack map: project, entity, name, group, job_type, tags, notes, config, program, host; `unsaid`: which of the
    names are made up."""

    def info(self) -> dict[str, Any]:
        """The decoded body.

        Raises:
            Unreadable: the bytes are no msgpack map.
        """
        return unpack(self.body)


class RunEnded(Event):
    """`finish()` of a run outside a sweep."""

    kind = "finish"
    run: str
    exit_code: int = 0
    error: str = ""
    writers: Annotated[dict[str, int], FromJson] = Field(default_factory=dict)


class ArtifactLogged(Event):
    """`log_artifact()`: a version of an artifact, or new aliases of one that is there."""

    kind = "artifact"
    run: str
    entity: str
    project: str
    name: str
    type: str
    description: str = ""
    metadata: Annotated[dict[str, Any], FromJson] = Field(default_factory=dict)
    digest: str
    """sha256 of its manifest, which is a blob."""
    size: int
    """Bytes of its files."""
    files: int
    aliases: Annotated[tuple[str, ...], FromJson] = ()


class FileSaved(Event):
    """`save()`: a file of a run, new or with other content."""

    kind = "file"
    run: str
    name: str
    """Its path in the run, with "/"."""
    sha256: str
    size: int


class RunAlerted(Event):
    """`alert()`: a message about a run."""

    kind = "alert"
    run: str
    id: str
    """Its own, so that one that comes twice is known; in the order of time."""
    title: str
    text: str
    level: str
    """INFO, WARN or ERROR."""


class RunBeat(Event):
    """A run outside a sweep went silent (`alive` 0) or came back (`alive` 1)."""

    kind = "beat"
    run: str
    alive: int


class RunEdited(Event):
    """`besom.Api()`: somebody changed what is written about a run."""

    kind = "edit"
    run: str
    body: bytes
    """msgpack map of what changed: name, notes, tags, group, job_type, config, dropped (config keys), summary."""

    def info(self) -> dict[str, Any]:
        """The decoded body.

        Raises:
            Unreadable: the bytes are no msgpack map.
        """
        return unpack(self.body)


EVENTS: tuple[type[Event], ...] = (
    SweepCreated, SweepEdited, SweepStateSet, SweepRemoved, TrialRetried, TrialsReopened, AttemptReleased, AttemptLost,
    RunStarted, RunEnded, RunBeat, RunEdited, RunAlerted, ArtifactLogged, FileSaved,
)  # fmt: skip
"""Those that have an entry of their own; claims and ends come several in one."""
