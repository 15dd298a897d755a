"""`besom.init()`: what it takes, and which kind of run that makes."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from besom.errors import UsageError
from besom.settings import Settings, read_settings
from besom.tracking.run.active import active_run, make_active
from besom.tracking.run.exits import finish_at_exit
from besom.tracking.run.given_config import as_mapping, chosen, from_files
from besom.tracking.run.identity import RUN_ID
from besom.tracking.run.new_run import disabled_run, offline_run, own_run, trial_run
from besom.tracking.run.run import Run
from besom.tracking.run.saving import program_file
from besom.tracking.run.settings import (
    RunSettings,
    as_settings,
    from_environment,
    nearest,
    refuse_other_histories,
    run_mode,
    warn_of_what_does_nothing,
)
from besom.tracking.run.surroundings import in_notebook, observe
from besom.tracking.run.trial import Trial, current_trial

__all__ = ["init"]

log = logging.getLogger("besom")

Reinit = Literal["default", "return_previous", "finish_previous", "create_new"]
Resume = Literal["allow", "must", "never", "auto"]


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
    resume_from: str | None = None,
    fork_from: str | None = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,
    sync_tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    settings: Any = None,
    anonymous: str | bool | None = None,
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
        mode: "online", or "shared", which is the same (every run takes several writers); "offline" records in a folder
            below `dir` only, for `besom sync` to send (ignored inside a sweep); "disabled" records nothing. Default
            BESOM_MODE.
        force: In W&B, do not run without an account; here there is none, and it changes nothing.
        reinit: What a second call does outside a sweep: "return_previous" (the default in scripts), "finish_previous"
            (the default in notebooks; also True) or "create_new".
        resume: Outside a sweep, go on with the run that has this id: "allow" when there is one, "must" or else fail,
            "never" fails when there is one; "auto" or True with the last run of this folder that has not finished well.
            Steps go on after the last; config, summary and names are kept where nothing new is given.
        resume_from: Refused, as `fork_from`: no run's history is cut or copied. The error says what to write.
        fork_from: See `resume_from`.
        save_code: Keep the script that runs, as `code/NAME`. Default BESOM_SAVE_CODE.
        tensorboard: The older name of `sync_tensorboard`.
        sync_tensorboard: Log the scalars, histograms and images that this context writes with torch's or tensorboardX's
            SummaryWriter or with `tf.summary`, with `global_step`. A later writer's folder stands before its tags.
        monitor_gym: In W&B, log the videos that gym records; here a warning says how to.
        settings: `besom.Settings`, or a dict of such values.
        anonymous: In W&B, do without an account; here there is none, and a warning says so.

    Raises:
        UsageError: an id that cannot be; a setting that cannot be; `resume` that cannot be carried out.
        TypeError: a parameter that there is not.
        Unreachable: no service can be started, or Redis refuses the password.
    """
    _refuse_unknown(unknown)
    written = RunSettings(
        entity=entity, project=project, run_id=id, run_name=name, run_notes=notes, run_tags=tags, run_group=group,
        run_job_type=job_type, mode=mode, reinit=reinit, resume=resume, root_dir=dir, save_code=save_code,
        resume_from=resume_from, fork_from=fork_from, monitor_gym=monitor_gym, anonymous=anonymous,
        sync_tensorboard=tensorboard if sync_tensorboard is None else sync_tensorboard,
    ).over(as_settings(settings))  # fmt: skip
    asked = written.over(from_environment())
    folder = Path(asked.root_dir) if asked.root_dir is not None else None
    process = read_settings(project=asked.project, entity=asked.entity, dir=folder)
    trial = current_trial()
    if (previous := _run_to_return(asked.reinit, trial)) is not None:
        return previous
    _check_id(asked.run_id)
    refuse_other_histories(asked)
    warn_of_what_does_nothing(asked)
    given = from_files(asked.config_paths)
    given |= chosen(as_mapping(config), config_exclude_keys, config_include_keys)
    changeable = in_notebook() if allow_val_change is None else allow_val_change
    if asked.silent:
        log.setLevel(logging.ERROR)
    run = _new_run(asked, process, given, trial, changeable)
    if trial is not None and not run.disabled:
        _warn_of_ignored(run, trial, written)
    run.settings = asked
    make_active(run, beside=asked.reinit == "create_new")
    finish_at_exit()
    if not run.disabled:
        _begin(run, asked)
    return run


def _new_run(
    asked: RunSettings, process: Settings, given: dict[str, Any], trial: Trial | None, changeable: bool
) -> Run:
    mode = run_mode(asked.mode)
    if mode == "disabled":
        return disabled_run(asked, process, given, trial)
    if trial is not None:
        return trial_run(trial, process, given, asked, changeable)
    if mode == "offline":
        return offline_run(asked, process, given, changeable)
    return own_run(asked, process, given, changeable)


def _begin(run: Run, asked: RunSettings) -> None:
    """What goes on beside a run that records."""
    observe(run)
    if asked.sync_tensorboard:
        from besom.tracking.run.tensorboard import follow  # brings numpy along

        follow(run)
    if asked.save_code and not asked.disable_code and (program := program_file()) is not None:
        run.saver.keep(f"code/{program.name}", program)


def _check_id(run_id: str | None) -> None:
    if run_id is not None and not (isinstance(run_id, str) and RUN_ID.fullmatch(run_id)):
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
