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
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, NoReturn, get_args

import msgpack

from besom.broker.connection import Connection
from besom.broker.journal import Journal
from besom.broker.service import connect
from besom.errors import BesomError, UsageError
from besom.messages import RunEnded, RunStarted
from besom.settings import Settings, read_settings
from besom.tracking.config import RunConfig, merge
from besom.tracking.disabled import DisabledRun
from besom.tracking.flusher import RUN_BEAT_MS, flusher
from besom.tracking.given_config import as_mapping, chosen, from_files
from besom.tracking.metrics import Metric
from besom.tracking.offline import OfflineRecord, OfflineWriter
from besom.tracking.resuming import Earlier, ResumeFile, find_earlier, resume_rule
from besom.tracking.run import Run, RunIdentity
from besom.tracking.settings import RunSettings, as_settings, from_environment, nearest, run_mode
from besom.tracking.spool import WriterName, send_leftovers
from besom.tracking.trial import Trial, current_trial
from besom.tracking.writer import Writer

__all__ = [
    "active_run",
    "define_metric",
    "finish",
    "init",
    "log_row",
    "new_id",
    "release_connections",
    "shared_connection",
]

log = logging.getLogger("besom")

Reinit = Literal["default", "return_previous", "finish_previous", "create_new"]
Resume = Literal["allow", "must", "never", "auto"]

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
    config_exclude_keys: Collection[str] | None = None,
    config_include_keys: Collection[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,
    reinit: bool | Reinit | None = None,
    resume: bool | Resume | None = None,
    settings: Any = None,
    **unknown: Any,
) -> Run:
    """Start a run; inside a trial, the run that records it.

    What is not given is looked up in `settings`, then in BESOM_X, then in WANDB_X.

    Args:
        entity: User or team; the default is BESOM_ENTITY or the user's name.
        project: Default BESOM_PROJECT or "uncategorized".
        dir: Folder for the run's files; default BESOM_DIR or the working directory.
        id: Default eight random characters. Ignored inside a sweep, like `project` and `entity`.
        name: Display name.
        notes: Free text.
        tags: Labels.
        config: What the run is made with: a mapping, an argparse.Namespace, absl flags, or the path of a YAML file. It
            goes over `config-defaults.yaml` of the working directory and the files of BESOM_CONFIG_PATHS.
        config_exclude_keys: Names of `config` to leave out.
        config_include_keys: Names of `config` to keep, and no others.
        allow_val_change: Values of the config may be changed later; the default in notebooks.
        group: Name that groups runs.
        job_type: "train", "eval", ...
        mode: "online"; "offline" records in a folder below `dir` only, for `besom sync` to send (ignored inside a
            sweep); "disabled" records nothing. Default BESOM_MODE.
        force: In W&B, do not run without an account; here there is none, and it changes nothing.
        reinit: What a second call does outside a sweep: "return_previous" (the default in scripts), "finish_previous"
            (the default in notebooks; also True) or "create_new".
        resume: Outside a sweep, go on with the run that has this id: "allow" when there is one, "must" or else fail,
            "never" fails when there is one; "auto" or True with the last run of this folder that has not finished well.
            Steps go on after the last; config, summary and names are kept where nothing new is given.
        settings: `besom.Settings`, or a dict of such values.

    Raises:
        UsageError: an id that cannot be; a setting that cannot be; `resume` that cannot be carried out.
        TypeError: a parameter that there is not.
        Unreachable: no service can be started, or Redis refuses the password.
    """
    _refuse_unknown(unknown)
    written = RunSettings(
        entity=entity, project=project, run_id=id, run_name=name, run_notes=notes, run_tags=tags, run_group=group,
        run_job_type=job_type, mode=mode, reinit=reinit, resume=resume, root_dir=dir,
    ).over(as_settings(settings))  # fmt: skip
    asked = written.over(from_environment())
    folder = Path(asked.root_dir) if asked.root_dir is not None else None
    process = read_settings(project=asked.project, entity=asked.entity, dir=folder)
    trial = current_trial()
    if (previous := _run_to_return(asked.reinit, trial)) is not None:
        return previous
    _check_id(asked.run_id)
    given = from_files(asked.config_paths)
    given |= chosen(as_mapping(config), config_exclude_keys, config_include_keys)
    changeable = in_notebook() if allow_val_change is None else allow_val_change
    wanted = run_mode(asked.mode)
    if wanted == "disabled":
        run = _disabled_run(asked, process, given, trial)
    elif trial is not None:
        run = _trial_run(trial, process, given, asked, changeable)
        _warn_of_ignored(run, trial, written)
    elif wanted == "offline":
        run = _offline_run(asked, process, given, changeable)
    else:
        run = _own_run(asked, process, given, changeable)
    run.settings = asked
    _in_context.set(run)
    _in_process.append(run)
    _finish_at_exit()
    return run


def log_row(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """`besom.log`: log to the active run.

    Raises:
        UsageError: there is none.
    """
    needed_run("besom.log()").log(data, step=step, commit=commit)


def define_metric(name: str, *arguments: Any, **named: Any) -> Metric:
    """`besom.define_metric`: as `run.define_metric` of the active run.

    Raises:
        UsageError: there is none.
    """
    return needed_run("besom.define_metric()").define_metric(name, *arguments, **named)


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


def _refuse_unknown(unknown: Mapping[str, Any]) -> None:
    known = list(init.__kwdefaults__ or ())
    for name in unknown:
        close = nearest(name, known)
        advice = f"did you mean {close}=?" if close else f"it takes {', '.join(known)}"
        raise TypeError(f"besom.init() has no parameter {name!r}; {advice}")


def _warn_of_ignored(run: Run, trial: Trial, written: RunSettings) -> None:
    named = {"project": written.project, "entity": written.entity, "id": written.run_id}
    if run_mode(written.mode) != run.mode:
        named["mode"] = written.mode
    for what, value in named.items():
        if value is not None and value != getattr(run, what):
            log.warning("%s=%r is ignored: this run belongs to sweep %s", what, value, trial.spec.id)


def _run_to_return(reinit: bool | str | None, trial: Trial | None) -> Run | None:
    """The run that a second `init()` gives again; else the previous one is finished, or left alone."""
    rule = {None: "default", False: "default", True: "finish_previous"}.get(reinit, reinit)  # type: ignore[arg-type]
    if rule not in get_args(Reinit):
        raise UsageError(f"reinit={reinit!r} cannot be; write one of {', '.join(map(repr, get_args(Reinit)))} or True")
    previous = active_run()
    if previous is None or previous.trial is not trial or rule == "create_new":
        return None  # a script's own run stays open around its trials
    if rule == "return_previous" or (rule == "default" and not in_notebook()):
        return previous
    previous.finish()
    return None


def _trial_run(trial: Trial, settings: Settings, given: dict[str, Any], asked: RunSettings, changeable: bool) -> Run:
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
        body=_body(identity, run.config),
    )
    Journal(connection).append(started)
    return run


def _own_run(asked: RunSettings, settings: Settings, given: dict[str, Any], changeable: bool) -> Run:
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
    journal.append(RunStarted(run=identity.id, body=_body(identity, run.config)))
    connection.script("run_beat", RUN_BEAT_MS, "start", identity.id)
    flusher().keep_alive(identity.id, connection)
    if resume_file:
        resume_file.write(identity.id)
    _send_leftovers(settings, journal)
    return run


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
    except BesomError as error:
        log.warning("%s; what earlier runs left in %s is sent later", error, _spools(settings))


class _Config(NamedTuple):
    """What a run's config is made of."""

    values: dict[str, Any]
    locked: frozenset[str]
    changeable: bool


def _online_writer(name: WriterName, settings: Settings, connection: Connection, trial: Trial | None = None) -> Writer:
    return Writer(
        Journal(connection),
        name,
        trial.directory if trial else _spools(settings),
        settings.journal_limit_mb * 1_000_000,
        memory=settings.memory_mb * 1_000_000,
    )


def _offline_run(asked: RunSettings, settings: Settings, given: dict[str, Any], changeable: bool) -> Run:
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
    record.start(_body(identity, run.config))
    return run


def _disabled_run(asked: RunSettings, settings: Settings, given: dict[str, Any], trial: Trial | None) -> Run:
    params = trial.claim.params if trial else {}
    own = _own_identity(f"dummy-{new_id()}", asked, settings, None)
    identity = replace(own, name=asked.run_name or own.id)
    return DisabledRun(
        identity, RunConfig(merge(given, params), frozenset(params)), _runs(settings) / f"run-{own.id}"
    )  # fmt: skip


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
        _forget(run)
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


def _body(identity: RunIdentity, config: RunConfig) -> bytes:
    told = {
        "project": identity.project, "entity": identity.entity, "name": identity.name, "group": identity.group,
        "job_type": identity.job_type, "tags": list(identity.tags), "notes": identity.notes,
        "config": config.as_dict(), "program": Path(sys.argv[0]).name if sys.argv else "", "host": socket.gethostname(),
    }  # fmt: skip
    return bytes(msgpack.packb(told))


def _runs(settings: Settings) -> Path:
    return settings.dir / "besom-runs"


def _spools(settings: Settings) -> Path:
    return settings.home / "spool"


def _finish_at_exit() -> None:
    if os.getpid() in _at_exit:
        return
    _at_exit[:] = [os.getpid()]
    exits = _watch_exit()

    @atexit.register
    def finish_all() -> None:
        uncaught = getattr(sys, "last_value", None) if not in_notebook() else None
        exit_code, error = (1, repr(uncaught)) if uncaught is not None else _exit_of(exits[-1] if exits else None)
        for run in list(_in_process):
            run.finish(exit_code, error=error)


def _forget(run: Run, *_: Any) -> None:
    if run in _in_process:
        _in_process.remove(run)


def _in_child() -> None:
    """After a fork: the child goes on with its parent's runs, and what it logs is sent before it ends."""
    for run in _in_process:
        run.go_on_in_child(_forget)
    processes = sys.modules.get("multiprocessing.util")
    if _in_process and processes is not None:  # its children end without atexit; it clears what is registered before
        processes.register_after_fork(
            _in_process[-1], lambda _: processes.Finalize(None, _finish_in_child, exitpriority=10)
        )


def _finish_in_child() -> None:
    for run in list(_in_process):
        run.finish()


os.register_at_fork(after_in_child=_in_child)


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
