"""What crosses Redis: frozen, validated, versioned.

Gives: the sweep as agents and readers see it, the events of the journal, what a claim returns, and the
body of a log batch. Knows nothing of Redis itself, nor of who writes or reads.

A reader takes its own version and the one before; any other is refused with both named.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import msgpack
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from besom.errors import BesomError

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

VERSION = 1

SYSTEM = "_system/"
"""Names in a run's history that begin so are the machine's; their steps are seconds since the epoch."""

SweepState = Literal["pending", "running", "paused", "stopping", "finished", "cancelled"]
TrialState = Literal["queued", "running", "finished", "failed", "crashed", "stopped", "cancelled"]


def _from_json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str | bytes) else value
    except RecursionError:
        raise ValueError("JSON nested too deep") from None


# A field that is JSON text on the wire.
_FromJson = BeforeValidator(_from_json)

ACTIVE_SWEEP_STATES: frozenset[str] = frozenset({"pending", "running", "paused", "stopping"})


class Unreadable(BesomError):
    """A message in Redis that this version cannot read."""


class Message(BaseModel):
    """Base of all messages; an unknown key is a fault of the writer and refused."""

    # Built at first use: an agent needs few of them, and starts sooner.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


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
        if not _is_known(version):
            raise ValueError(_foreign(version))
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


class Event(Message):
    """Base of the journal's entries. `at_ms` is Redis' clock where Lua wrote the event."""

    kind: ClassVar[str]
    at_ms: int = 0


class SweepCreated(Event):
    """A sweep was asked for."""

    kind = "sweep"
    spec: Annotated[SweepSpec, _FromJson]


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
    config: Annotated[dict[str, Any], _FromJson]
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
    params: Annotated[dict[str, Any], _FromJson]


class TrialEnded(TrialEvent):
    """A trial's final state."""

    kind = "end"
    state: TrialState
    error: str = ""
    """Last lines of the traceback or of stderr."""
    exit_code: int = 0
    writers: Annotated[dict[str, int], _FromJson] = Field(default_factory=dict)
    """Batches sent by each writer of the attempt; the run closes when all are recorded."""


class TrialRetried(TrialEvent):
    """An attempt failed, and the trial waits to be tried again."""

    kind = "retry"
    failures: int
    details: Annotated[dict[str, Any], _FromJson]
    """error, exit_code, writers, as in `TrialEnded`."""


class TrialsReopened(Event):
    """`besom retry`: trials of these states are to run again."""

    kind = "reopen"
    sweep: str
    states: Annotated[tuple[TrialState, ...], _FromJson]


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
        return _unpack(self.body)


class RunEnded(Event):
    """`finish()` of a run outside a sweep."""

    kind = "finish"
    run: str
    exit_code: int = 0
    error: str = ""
    writers: Annotated[dict[str, int], _FromJson] = Field(default_factory=dict)


class ArtifactLogged(Event):
    """`log_artifact()`: a version of an artifact, or new aliases of one that is there."""

    kind = "artifact"
    run: str
    entity: str
    project: str
    name: str
    type: str
    description: str = ""
    metadata: Annotated[dict[str, Any], _FromJson] = Field(default_factory=dict)
    digest: str
    """sha256 of its manifest, which is a blob."""
    size: int
    """Bytes of its files."""
    files: int
    aliases: Annotated[tuple[str, ...], _FromJson] = ()


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
        return _unpack(self.body)


class Batch(Event):
    """What one writer logged within a fraction of a second."""

    kind = "batch"
    run: str
    attempt: int
    writer: str
    seq: int
    body: bytes

    def columns(self) -> BatchBody:
        """The decoded body.

        Raises:
            Unreadable: the bytes are no such body.
        """
        try:
            return BatchBody.model_validate(_unpack(self.body))
        except ValidationError as error:
            raise _unreadable(self.kind, error) from None


class BatchBody(Message):
    """A batch's content, columnar.

    `history` maps a key to (kind, steps, values): steps are little-endian int64 bytes; values are float64 bytes for
    kind "d", int64 bytes for kind "q", a list of plain values for kind "j".
    """

    history: dict[str, tuple[str, bytes, Any]] = Field(default_factory=dict)
    summary: dict[str, Any] = Field(default_factory=dict)
    """Values set explicitly after the last log of their key in this batch."""
    config: dict[str, Any] = Field(default_factory=dict)
    console: list[tuple[str, float, str]] = Field(default_factory=list)
    """(stream, seconds since the epoch, line) as captured."""

    def pack(self) -> bytes:
        """msgpack bytes, empty parts left out."""
        parts = {name: value for name in type(self).model_fields if (value := getattr(self, name))}
        return bytes(msgpack.packb(parts))


_KINDS: dict[str, type[Event]] = {
    kind.kind: kind
    for kind in (
        SweepCreated, SweepEdited, SweepStateSet, SweepRemoved, TrialRetried, TrialsReopened, AttemptReleased,
        AttemptLost, RunStarted, RunEnded, RunBeat, RunEdited, RunAlerted, ArtifactLogged, FileSaved, Batch,
    )
}  # fmt: skip


def encode(event: Event) -> dict[str, Any]:
    """The flat fields that an event has in the journal."""
    fields: dict[str, Any] = {"kind": event.kind, "v": VERSION}
    for name in event.model_fields_set:
        value = getattr(event, name)
        if isinstance(value, BaseModel):
            value = value.model_dump_json()
        elif isinstance(value, dict | tuple):
            value = json.dumps(value)
        fields[name] = value
    return fields


def read_events(fields: dict[bytes, bytes]) -> list[Event]:
    """The events in a journal entry: one, or one for each trial that was claimed or ended in the same call.

    Raises:
        Unreadable: unknown kind, foreign version, or a field that does not fit.
    """
    text = fields.get(b"v", b"0").decode("ascii", "replace")
    version = int(text) if text.isdigit() and len(text) < 10 else text
    if not isinstance(version, int) or not _is_known(version):
        raise Unreadable(_foreign(version))
    kind = fields.get(b"kind", b"").decode("utf-8", "replace")
    values: dict[str, Any] = {
        name.decode("utf-8", "replace"): value if name == b"body" else value.decode("utf-8", "replace")
        for name, value in fields.items()
        if name not in _ENVELOPE
    }
    try:
        if kind in _SEVERAL:
            return _SEVERAL[kind](values)
        if kind not in _KINDS:
            raise Unreadable(f"unknown kind of message {kind!r}")
        return [_KINDS[kind].model_validate(values)]
    except ValidationError as error:
        raise _unreadable(kind, error) from None
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{kind}: {type(error).__name__}: {error}") from None


def _claims(values: dict[str, Any]) -> list[Event]:
    shared = {name: values[name] for name in ("sweep", "agent")} | {"at_ms": values.get("at_ms", 0)}
    return [
        TrialClaimed.model_validate({**shared, "number": number, "attempt": attempt, "token": token, "params": params})
        for number, attempt, token, params in json.loads(values["items"])
    ]


def _ends(values: dict[str, Any]) -> list[Event]:
    at = values.get("at_ms", 0)
    return [
        TrialEnded.model_validate(
            {"at_ms": at, "sweep": sweep, "number": number, "attempt": attempt, "token": token, "state": state, **more}
        )
        for sweep, number, attempt, token, state, more in json.loads(values["items"])
    ]


_ENVELOPE = frozenset({b"kind", b"v", b"total"})
_SEVERAL: dict[str, Callable[[dict[str, Any]], list[Event]]] = {"claims": _claims, "ends": _ends}
"""Entries that tell of several trials (`lua/common.lua`)."""


def read_spec(text: bytes | str) -> SweepSpec:
    """The sweep in a sweep's hash.

    Raises:
        Unreadable: foreign version, or a field that does not fit.
    """
    try:
        return SweepSpec.model_validate_json(text)
    except ValidationError as error:
        raise _unreadable("sweep", error) from None


def _is_known(version: int) -> bool:
    return version >= 1 and version in (VERSION, VERSION - 1)


def _foreign(version: object) -> str:
    return f"a message of version {version}, this besom reads version {VERSION}; upgrade the older side"


def _unreadable(kind: str, error: ValidationError) -> Unreadable:
    problem = error.errors()[0]
    return Unreadable(f"{kind}: {'.'.join(map(str, problem['loc']))}: {problem['msg']}")


def _unpack(body: bytes) -> dict[str, Any]:
    try:
        content = msgpack.unpackb(body)
    except (ValueError, msgpack.UnpackException) as error:
        raise Unreadable(f"a body that is not msgpack: {error}") from None
    if not isinstance(content, dict):
        raise Unreadable(f"a body that is no map but {type(content).__name__}")
    return content
