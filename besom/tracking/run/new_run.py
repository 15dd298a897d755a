"""How a run is made, for each kind there is: a trial's, one of its own, offline, disabled.

Reads: what `init()` was asked for.  Gives: a `Run` with its writer, its start told and its end arranged.
"""

from __future__ import annotations

import getpass
import logging
import secrets
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgpack

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.errors import BesomError, UsageError
from besom.messages import RunEnded, RunStarted
from besom.settings import Settings
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.ways import blobs_of
from besom.tracking.run.active import forget
from besom.tracking.run.config import RunConfig, merge
from besom.tracking.run.disabled import DisabledRun
from besom.tracking.run.resuming import Earlier, ResumeFile, find_earlier, resume_rule
from besom.tracking.run.run import Run, RunIdentity
from besom.tracking.run.settings import RunSettings
from besom.tracking.run.surroundings import describe
from besom.tracking.run.trial import Trial
from besom.tracking.values import packable
from besom.tracking.writing.connections import shared_connection
from besom.tracking.writing.flusher import RUN_BEAT_MS, flusher
from besom.tracking.writing.judged_writer import JudgedWriter
from besom.tracking.writing.offline import BLOBS, OfflineRecord, OfflineWriter
from besom.tracking.writing.spool import WriterName, send_leftovers
from besom.tracking.writing.writer import Writer

__all__ = ["disabled_run", "new_id", "offline_run", "own_run", "trial_run"]

log = logging.getLogger("besom")

_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def new_id() -> str:
    """Eight random characters, as W&B's ids."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def trial_run(trial: Trial, settings: Settings, given: dict[str, Any], asked: RunSettings, changeable: bool) -> Run:
    """The run that records this attempt of a trial."""
    spec, claim = trial.spec, trial.claim
    identity = RunIdentity(
        id=claim.run_id, name=asked.run_name or f"{spec.name or spec.id}-{claim.number}", project=spec.project,
        entity=spec.entity, group=asked.run_group or spec.id, job_type=asked.run_job_type or "",
        tags=tuple(asked.run_tags or ()), notes=asked.run_notes or "",
    )  # fmt: skip
    connection = trial.connection or shared_connection(settings)
    config = _Config(merge(given, claim.params), frozenset(claim.params), changeable)
    writer = _online_writer(WriterName(identity.id, claim.attempt, Writer.new_id(), claim), settings, connection, trial)
    run = _build(identity, config, writer, trial.directory, lambda *_: None, settings, trial=trial)
    started = RunStarted(
        run=claim.run_id,
        attempt=claim.attempt,
        sweep=claim.sweep,
        number=claim.number,
        body=_body(identity, run.config, asked, of_trial=True),
    )
    Journal(connection).append(started)
    return run


def own_run(asked: RunSettings, settings: Settings, given: dict[str, Any], changeable: bool) -> Run:
    """A run outside of sweeps, new or gone on with."""
    rule, connection = resume_rule(asked.resume), shared_connection(settings)
    resume_file = ResumeFile(_runs(settings)) if rule == "auto" else None
    run_id = asked.run_id or (resume_file.read() if resume_file else None)
    if rule == "must" and run_id is None:
        raise UsageError("resume='must' needs the id= of the run to go on with")
    journal = Journal(connection)
    earlier = None
    if rule and run_id is not None:
        _send_leftovers(settings, journal)
        earlier = find_earlier(settings, run_id, rule)
    identity = _own_identity(run_id or new_id(), asked, settings, earlier)
    config = _Config(merge(earlier.config, given) if earlier else given, frozenset(), changeable)
    writer = _online_writer(WriterName(identity.id, 1, Writer.new_id()), settings, connection)

    def ended(exit_code: int, error: str, batches: int) -> None:
        _end_own_run(identity.id, connection, exit_code, error, {writer.name.writer: batches}, settings.finish_seconds)
        if resume_file:
            resume_file.ended(identity.id, exit_code)

    folder = _runs(settings) / f"run-{identity.id}"
    run = _build(identity, config, writer, folder, ended, settings, earlier=earlier)
    journal.append(RunStarted(run=identity.id, body=_body(identity, run.config, asked, of_trial=False)))
    connection.script("run_beat", RUN_BEAT_MS, "start", identity.id)
    flusher().keep_alive(identity.id, connection)
    if resume_file:
        resume_file.write(identity.id)
    _send_leftovers(settings, journal)
    return run


def offline_run(asked: RunSettings, settings: Settings, given: dict[str, Any], changeable: bool) -> Run:
    """A run that is recorded in a folder."""
    rule = resume_rule(asked.resume)
    identity = _own_identity(asked.run_id or new_id(), asked, settings, None)
    if rule and asked.run_id:
        log.warning("offline, what run %s logged before is not looked up; its steps begin at 0", identity.id)
    record = OfflineRecord(_runs(settings), identity.id)
    config = _Config(given, frozenset(), changeable)
    name = WriterName(identity.id, 1, Writer.new_id())
    writer = OfflineWriter(name, record.folder, settings.memory_mb * 1_000_000)

    def ended(exit_code: int, error: str, batches: int) -> None:
        record.end(exit_code, error, {name.writer: batches})
        log.info("run %s is in %s; send it with: besom sync %s", identity.id, record.folder, record.folder)

    run = _build(identity, config, writer, record.folder, ended, settings)
    run.mode = "offline"
    run.blobs = Blobs(Folder(record.folder / BLOBS))
    record.start(_body(identity, run.config, asked, of_trial=False))
    return run


def disabled_run(asked: RunSettings, settings: Settings, given: dict[str, Any], trial: Trial | None) -> Run:
    """A run that is recorded nowhere."""
    params = trial.claim.params if trial else {}
    own = _own_identity(f"dummy-{new_id()}", asked, settings, None)
    identity = replace(own, name=asked.run_name or own.id)
    return DisabledRun(
        identity, RunConfig(merge(given, params), frozenset(params)), _runs(settings) / f"run-{own.id}"
    )  # fmt: skip


def _own_identity(run_id: str, asked: RunSettings, settings: Settings, earlier: Earlier | None) -> RunIdentity:
    """Who a run outside of sweeps is; one that goes on is called as before where nothing new is given."""
    row: Mapping[str, Any] = earlier.row if earlier else {}
    return RunIdentity(
        id=run_id, name=asked.run_name or row.get("name", ""),
        project=asked.project or row.get("project") or settings.project or "uncategorized",
        entity=asked.entity or row.get("entity") or settings.entity or getpass.getuser(),
        group=asked.run_group or row.get("group_name", ""), job_type=asked.run_job_type or row.get("job_type", ""),
        tags=tuple(asked.run_tags if asked.run_tags is not None else row.get("tags", ())),
        notes=asked.run_notes or row.get("notes", ""),
    )  # fmt: skip


def _send_leftovers(settings: Settings, journal: Journal) -> None:
    try:
        send_leftovers(_spools(settings), journal, patience=5)
        blobs_of(settings).send_leftovers()
    except BesomError as error:
        log.warning("%s; what earlier runs left in %s is sent later", error, _spools(settings))


class _Config(NamedTuple):
    """What a run's config is made of."""

    values: dict[str, Any]
    locked: frozenset[str]
    changeable: bool


def _online_writer(name: WriterName, settings: Settings, connection: Connection, trial: Trial | None = None) -> Writer:
    make: Callable[..., Writer] = Writer
    if trial is not None and trial.spec.may_stop_early:
        make = partial(JudgedWriter, judged=trial.spec.judged)
    return make(
        Journal(connection),
        name,
        trial.directory if trial else _spools(settings),
        settings.journal_limit_mb * 1_000_000,
        memory=settings.memory_mb * 1_000_000,
    )


def _build(
    identity: RunIdentity,
    config: _Config,
    writer: Writer,
    folder: Path,
    ended: Callable[[int, str, int], None],
    settings: Settings,
    *,
    trial: Trial | None = None,
    earlier: Earlier | None = None,
) -> Run:
    """The run; `ended` is told its exit code, error and number of batches."""

    def config_changed(changed: dict[str, Any]) -> None:
        run.config_changed(changed)

    def finished(run: Run, exit_code: int, error: str, batches: int) -> None:
        forget(run)
        ended(exit_code, error, batches)

    run = Run(
        identity, RunConfig(config.values, config.locked, config_changed, changeable=config.changeable), writer,
        trial=trial, directory=folder.absolute(), on_finish=finished,
        patience=settings.finish_seconds, earlier=earlier,
    )  # fmt: skip
    flusher().add(writer)
    return run


def _end_own_run(
    run: str, connection: Connection, exit_code: int, error: str, writers: dict[str, int], patience: float
) -> None:
    flusher().let_go(run)
    ended = RunEnded(run=run, exit_code=exit_code, error=error, writers=writers)
    try:
        Journal(connection).append(ended, patience=patience)
        connection.script("run_beat", 0, "end", run, patience=patience)
    except BesomError as problem:
        log.warning("run %s: its end could not be recorded: %s", run, problem)


def _body(identity: RunIdentity, config: RunConfig, asked: RunSettings, *, of_trial: bool) -> bytes:
    told = {
        "project": identity.project, "entity": identity.entity, "name": identity.name, "group": identity.group,
        "job_type": identity.job_type, "tags": list(identity.tags), "notes": identity.notes,
        "unsaid": [name for name in ("name", "group") if of_trial and not getattr(asked, f"run_{name}")],
        "config": packable(config.as_dict()), "program": Path(sys.argv[0]).name if sys.argv else "",
        "host": socket.gethostname(),
        **describe(asked, of_trial=of_trial),
    }  # fmt: skip
    return bytes(msgpack.packb(told))


def _runs(settings: Settings) -> Path:
    return settings.dir / "besom-runs"


def _spools(settings: Settings) -> Path:
    return settings.home / "spool"
