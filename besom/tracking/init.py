"""`besom.init()` and what hangs on "the active run": `besom.log`, `besom.finish`, `besom.config`, `besom.summary`."""

from __future__ import annotations

import atexit
import functools
import getpass
import logging
import os
import re
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

import msgpack

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.broker.service import connect
from besom.errors import BesomError, UsageError
from besom.messages import RunEnded, RunStarted
from besom.settings import Settings, read_settings
from besom.tracking.config import RunConfig, merge
from besom.tracking.flusher import RUN_BEAT_MS, flusher
from besom.tracking.run import Run, RunIdentity
from besom.tracking.spool import WriterName, send_leftovers
from besom.tracking.surroundings import describe, observe
from besom.tracking.trial import Trial, current_trial
from besom.tracking.values import plain
from besom.tracking.writer import Writer

__all__ = ["active_run", "finish", "init", "log_row", "new_id", "release_connections", "shared_connection"]

log = logging.getLogger("besom")

Reinit = Literal["default", "return_previous", "finish_previous", "create_new"]

_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyz"

_in_context: ContextVar[Run | None] = ContextVar("besom_run", default=None)
_in_process: list[Run] = []
_connections: dict[tuple[int, str], Connection] = {}
_at_exit: list[int] = []


def new_id() -> str:
    """Eight random characters, as W&B's ids."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def active_run() -> Run | None:
    """The run that `besom.log` writes to: this context's, else the last one made in this process."""
    for run in (_in_context.get(), *reversed(_in_process)):
        if run is not None and run.state == "running":
            return run
    return None


def init(
    *,
    entity: str | None = None,
    project: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | None = None,
    config: Any = None,
    group: str | None = None,
    job_type: str | None = None,
    reinit: bool | Reinit | None = None,
) -> Run:
    """Start a run; inside a trial, the run that records it.

    Args:
        entity: User or team; the default is BESOM_ENTITY or the user's name.
        project: Default BESOM_PROJECT or "uncategorized".
        dir: Folder for the run's files; default BESOM_DIR or the working directory.
        id: Default eight random characters. Ignored inside a sweep, like `project` and `entity`.
        name: Display name.
        notes: Free text.
        tags: Labels.
        config: Mapping or argparse.Namespace of what the run is made with.
        group: Name that groups runs.
        job_type: "train", "eval", ...
        reinit: What a second call does outside a sweep: "return_previous" (the default in scripts), "finish_previous"
            (the default in notebooks; also True) or "create_new".

    Raises:
        UsageError: an id that cannot be; a setting that cannot be.
        Unreachable: no service can be started, or Redis refuses the password.
    """
    settings = read_settings(project=project, entity=entity, dir=Path(dir) if dir is not None else None)
    trial = current_trial()
    previous = active_run()
    if previous is not None and previous.trial is not trial:
        previous = None  # a script's own run stays open around its trials
    if previous is not None and reinit != "create_new":
        if (reinit in (None, "default", "return_previous") or reinit is False) and not in_notebook():
            return previous
        previous.finish()
    _check_id(id)
    given = _as_mapping(config)
    if trial is not None:
        run = _trial_run(trial, settings, given, name=name, group=group, tags=tags, notes=notes, job_type=job_type)
        for what, value in (("project", project), ("entity", entity), ("id", id)):
            if value is not None and value != getattr(run, what):
                log.warning("%s=%r is ignored: this run belongs to sweep %s", what, value, trial.spec.id)
    else:
        identity = RunIdentity(
            id=id or new_id(), name=name or "", project=settings.project or "uncategorized",
            entity=settings.entity or getpass.getuser(), group=group or "", job_type=job_type or "",
            tags=tuple(tags or ()), notes=notes or "",
        )  # fmt: skip
        run = _own_run(identity, settings, given)
    _in_context.set(run)
    _in_process.append(run)
    _finish_at_exit()
    observe(run, settings)
    return run


def log_row(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """`besom.log`: log to the active run.

    Raises:
        UsageError: there is none.
    """
    needed_run("besom.log()").log(data, step=step, commit=commit)


def finish(exit_code: int | None = None) -> None:
    """`besom.finish`: end the active run, if there is one."""
    run = active_run()
    if run is not None:
        run.finish(exit_code)


def needed_run(call: str) -> Run:
    """The active run.

    Raises:
        UsageError: there is none.
    """
    run = active_run()
    if run is None:
        raise UsageError(f"call besom.init() before {call}")
    return run


def shared_connection(settings: Settings) -> Connection:
    """This process' connection for these settings; the service is started if none is configured."""
    where = settings.redis_url.get_secret_value() if settings.redis_url else str(settings.home)
    key = (os.getpid(), f"{where} {settings.namespace}")
    if key not in _connections:
        _connections[key] = connect(settings)
    return _connections[key]


def release_connections() -> None:
    """Close what `shared_connection` holds."""
    for connection in _connections.values():
        connection.close()
    _connections.clear()


def in_notebook() -> bool:
    """Whether this is an IPython kernel."""
    shell = sys.modules.get("IPython")
    if shell is None:
        return False
    instance = shell.get_ipython()
    return instance is not None and type(instance).__name__ == "ZMQInteractiveShell"


def _check_id(run_id: str | None) -> None:
    if run_id is not None and not (isinstance(run_id, str) and _ID.fullmatch(run_id)):
        raise UsageError(f"id={run_id!r} cannot be a run's id; write letters, digits, '_', '-' or '.', at most 128")


def _as_mapping(config: Any) -> dict[str, Any]:
    if config is None:
        return {}
    if isinstance(config, Mapping):
        given = dict(config)
    elif hasattr(config, "__dict__") and not isinstance(config, type):
        given = dict(vars(config))
    else:
        raise UsageError(f"config={config!r} cannot be a run's config; write a dict or an argparse.Namespace")
    for key in given:
        if not isinstance(key, str):
            raise UsageError(f"config: the name {key!r} is no string")
    return {key: plain(value, f"config.{key}") for key, value in given.items()}


def _trial_run(trial: Trial, settings: Settings, given: dict[str, Any], **said: Any) -> Run:
    spec, claim = trial.spec, trial.claim
    identity = RunIdentity(
        id=claim.run_id, name=said["name"] or f"{spec.name or spec.id}-{claim.number}", project=spec.project,
        entity=spec.entity, group=said["group"] or spec.id, job_type=said["job_type"] or "",
        tags=tuple(said["tags"] or ()), notes=said["notes"] or "",
    )  # fmt: skip
    connection = trial.connection or shared_connection(settings)
    values = merge(given, claim.params)
    run = _build(identity, settings, connection, values, frozenset(claim.params), trial)
    started = RunStarted(
        run=claim.run_id,
        attempt=claim.attempt,
        sweep=claim.sweep,
        number=claim.number,
        body=_body(identity, run.config, of_trial=True),
    )
    Journal(connection).append(started)
    return run


def _own_run(identity: RunIdentity, settings: Settings, given: dict[str, Any]) -> Run:
    connection = shared_connection(settings)
    run = _build(identity, settings, connection, given, frozenset(), None)
    journal = Journal(connection)
    journal.append(RunStarted(run=identity.id, body=_body(identity, run.config, of_trial=False)))
    connection.script("run_beat", RUN_BEAT_MS, "start", identity.id)
    flusher().keep_alive(identity.id, connection)
    try:
        send_leftovers(_spools(settings), journal, patience=5)
    except BesomError as error:
        log.warning("%s; what earlier runs left in %s is sent later", error, _spools(settings))
    return run


def _build(
    identity: RunIdentity,
    settings: Settings,
    connection: Connection,
    values: dict[str, Any],
    locked: frozenset[str],
    trial: Trial | None,
) -> Run:
    journal = Journal(connection)
    claim = trial.claim if trial else None
    attempt = claim.attempt if claim else 1
    writer = Writer(
        journal,
        WriterName(identity.id, attempt, Writer.new_id(), claim),
        trial.directory if trial else _spools(settings),
        settings.journal_limit_mb * 1_000_000,
    )

    def config_changed(changed: dict[str, Any]) -> None:
        if writer.set_config(changed):
            flusher().wake()

    def finished(run: Run, exit_code: int, error: str, batches: int) -> None:
        if run in _in_process:
            _in_process.remove(run)
        if trial is None:
            _end_own_run(run, connection, exit_code, error, {writer.name.writer: batches}, settings.finish_seconds)

    folder = trial.directory if trial else (settings.dir / "besom-runs" / f"run-{identity.id}")
    run = Run(
        identity, RunConfig(values, locked, config_changed), writer,
        trial=trial, directory=folder.absolute(), on_finish=finished,
        patience=settings.finish_seconds,
    )  # fmt: skip
    flusher().add(writer)
    return run


def _end_own_run(
    run: Run, connection: Connection, exit_code: int, error: str, writers: dict[str, int], patience: float
) -> None:
    flusher().let_go(run.id)
    ended = RunEnded(run=run.id, exit_code=exit_code, error=error, writers=writers)
    try:
        Journal(connection).append(ended, patience=patience)
        connection.script("run_beat", 0, "end", run.id, patience=patience)
    except BesomError as problem:
        log.warning("run %s: its end could not be recorded: %s", run.id, problem)


def _body(identity: RunIdentity, config: RunConfig, *, of_trial: bool) -> bytes:
    told = {
        "project": identity.project, "entity": identity.entity, "name": identity.name, "group": identity.group,
        "job_type": identity.job_type, "tags": list(identity.tags), "notes": identity.notes,
        "config": config.as_dict(), "program": Path(sys.argv[0]).name if sys.argv else "", "host": socket.gethostname(),
        **describe(of_trial=of_trial),
    }  # fmt: skip
    return bytes(msgpack.packb(told))


def _spools(settings: Settings) -> Path:
    return settings.home / "spool"


def _finish_at_exit() -> None:
    if os.getpid() in _at_exit:
        return
    _at_exit[:] = [os.getpid()]
    exits = _watch_exit()

    @atexit.register
    def finish_all() -> None:
        if os.getpid() not in _at_exit:
            return  # a forked child does not end its parent's runs
        uncaught = getattr(sys, "last_value", None) if not in_notebook() else None
        exit_code, error = (1, repr(uncaught)) if uncaught is not None else _exit_of(exits[-1] if exits else None)
        for run in list(_in_process):
            run.finish(exit_code, error=error)


def _watch_exit() -> list[Any]:
    """What `sys.exit` is called with from now on: Python tells it to nobody."""
    exits: list[Any] = []
    real = sys.exit

    @functools.wraps(real)
    def noted(status: Any = None, /) -> NoReturn:
        exits[:] = [status]
        real(status)

    sys.exit = noted
    return exits


def _exit_of(status: Any) -> tuple[int, str]:
    """Exit code and error text that `sys.exit(status)` stands for."""
    if status is None or isinstance(status, int):
        return (status, f"SystemExit: {status}") if status else (0, "")
    return 1, f"SystemExit: {status}"
