"""What a run is asked to be: the arguments of `init()`, its `settings`, and the environment, in this order.

Reads: BESOM_X, and WANDB_X where BESOM_X is not set.  Gives: `RunSettings`, under W&B's names.
Knows nothing of Redis.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Mapping
from typing import Any, Final, Literal

from besom.errors import UsageError

__all__ = ["VARIABLES", "RunSettings", "as_settings", "from_environment", "nearest", "run_mode"]

log = logging.getLogger("besom")

_NAMES: Final = (
    "entity", "project", "run_id", "run_name", "run_notes", "run_tags", "run_group", "run_job_type", "mode", "resume",
    "reinit", "root_dir", "config_paths", "silent", "console", "disable_git", "disable_code", "disable_stats",
    "save_code", "sync_tensorboard", "monitor_gym", "anonymous", "resume_from", "fork_from",
)  # fmt: skip

VARIABLES: Final = {
    "entity": "ENTITY", "project": "PROJECT", "run_id": "RUN_ID", "run_name": "NAME", "run_notes": "NOTES",
    "run_tags": "TAGS", "run_group": "RUN_GROUP", "run_job_type": "JOB_TYPE", "mode": "MODE", "resume": "RESUME",
    "root_dir": "DIR", "config_paths": "CONFIG_PATHS", "silent": "SILENT",
    "console": "CONSOLE", "disable_git": "DISABLE_GIT", "disable_code": "DISABLE_CODE",
    "disable_stats": "DISABLE_STATS", "save_code": "SAVE_CODE", "sync_tensorboard": "SYNC_TENSORBOARD",
    "monitor_gym": "MONITOR_GYM", "anonymous": "ANONYMOUS", "resume_from": "RESUME_FROM", "fork_from": "FORK_FROM",
}  # fmt: skip
"""Setting to variable, after BESOM_ or WANDB_."""

_OF_THE_PROCESS: Final = ("entity", "project", "root_dir")
"""BESOM_X of these is read and checked by `besom.settings`."""
_LISTS: Final = ("run_tags", "config_paths")
_SWITCHES: Final = (
    "silent",
    "disable_git",
    "disable_code",
    "disable_stats",
    "save_code",
    "sync_tensorboard",
    "monitor_gym",
)
_OTHER_NAMES: Final = {"x_disable_stats": "disable_stats", "_disable_stats": "disable_stats"}
"""Names that W&B's versions had for the same."""
_YES: Final = ("1", "true", "yes", "on")
_NO: Final = ("0", "false", "no", "off")


class RunSettings:
    """`besom.Settings`: what `init(settings=...)` takes; None is not given.

    Args:
        values: By W&B's names: entity, project, run_id, run_name, run_notes, run_tags, run_group, run_job_type, mode,
            resume, reinit, root_dir, config_paths; silent (errors only are told), console ("off" keeps nothing of what
            is printed), disable_git, disable_code (neither diff nor script), disable_stats (no system metrics),
            save_code (the script is kept), sync_tensorboard; monitor_gym, anonymous, resume_from and fork_from, which
            `init()` answers. Other settings of W&B are kept in `others` and do nothing.

    Raises:
        TypeError: a name that is nearly one of these.
        UsageError: a switch that is neither true nor false.
    """

    def __init__(self, **values: Any) -> None:
        self.entity: str | None = None
        self.project: str | None = None
        self.run_id: str | None = None
        self.run_name: str | None = None
        self.run_notes: str | None = None
        self.run_tags: tuple[str, ...] | None = None
        self.run_group: str | None = None
        self.run_job_type: str | None = None
        self.mode: str | None = None
        self.resume: str | bool | None = None
        self.reinit: str | bool | None = None
        self.root_dir: str | os.PathLike[str] | None = None
        self.config_paths: tuple[str, ...] | None = None
        self.silent: bool | None = None
        self.console: str | None = None
        self.disable_git: bool | None = None
        self.disable_code: bool | None = None
        self.disable_stats: bool | None = None
        self.save_code: bool | None = None
        self.sync_tensorboard: bool | None = None
        self.monitor_gym: bool | None = None
        self.anonymous: str | bool | None = None
        self.resume_from: str | None = None
        self.fork_from: str | None = None
        self.others: dict[str, Any] = {}
        for name, value in values.items():
            self._take(name, value)

    def _take(self, name: str, value: Any) -> None:
        name = _OTHER_NAMES.get(name, name)
        if name in _LISTS:
            setattr(self, name, _listed(value))
        elif name in _SWITCHES:
            setattr(self, name, _switch(name, value))
        elif name in _NAMES:
            setattr(self, name, value)
        elif name not in VARIABLES and (close := nearest(name, _NAMES, 0.85)):
            raise TypeError(f"besom.Settings has no {name!r}; did you mean {close!r}?")
        else:
            self.others[name] = value

    def __getattr__(self, name: str) -> Any:
        others = self.__dict__.get("others", {})
        if name not in others:
            raise AttributeError(f"besom.Settings has no {name!r}")
        return others[name]

    def __repr__(self) -> str:
        return f"besom.Settings({', '.join(f'{name}={value!r}' for name, value in self.given().items())})"

    def given(self) -> dict[str, Any]:
        """What was given, by name."""
        known = {name: getattr(self, name) for name in _NAMES}
        return {name: value for name, value in known.items() if value is not None} | self.others

    def over(self, other: RunSettings) -> RunSettings:
        """These settings, with `other` where they say nothing."""
        return RunSettings(**(other.given() | self.given()))


def as_settings(written: Any) -> RunSettings:
    """Settings from what a script passes: a dict, `besom.Settings`, or any object with such attributes.

    Raises:
        UsageError: it is none of these.
        TypeError: as `RunSettings`.
    """
    if written is None:
        return RunSettings()
    if isinstance(written, RunSettings):
        return written
    if isinstance(written, Mapping):
        return RunSettings(**{str(name): value for name, value in written.items()})
    if not hasattr(written, "__dict__") or isinstance(written, type):
        raise UsageError(f"settings={written!r} cannot be; write a dict or besom.Settings(...)")
    return RunSettings(**{name: getattr(written, name) for name in _NAMES if hasattr(written, name)})


def from_environment() -> RunSettings:
    """BESOM_X, else WANDB_X; an empty variable says nothing."""
    found: dict[str, Any] = {}
    for name, variable in VARIABLES.items():
        ours = os.environ.get(f"BESOM_{variable}")
        if ours and name in _OF_THE_PROCESS:
            continue
        text = ours or os.environ.get(f"WANDB_{variable}")
        if text:
            found[name] = text
    if any(os.environ.get(f"WANDB{other}", "").lower() in _YES for other in ("_X_DISABLE_STATS", "__DISABLE_STATS")):
        found.setdefault("disable_stats", True)
    return RunSettings(**found)


def run_mode(written: str | None) -> Literal["online", "offline", "disabled"]:
    """The mode meant; W&B's older "run" and "dryrun" are online and offline, and "shared" is online.

    Raises:
        UsageError: it is none.
    """
    known: dict[str, Literal["online", "offline", "disabled"]] = {
        "online": "online", "offline": "offline", "disabled": "disabled", "run": "online", "dryrun": "offline",
        "shared": "online",  # any run may have several writers
    }  # fmt: skip
    mode = known.get(str(written or "online").lower())
    if mode is None:
        raise UsageError(f"mode={written!r} cannot be; write 'online', 'offline' or 'disabled'")
    return mode


def refuse_other_histories(asked: RunSettings) -> None:
    """`resume_from` and `fork_from` want a run whose history was cut at a step, or copied; there is no such run here.

    Raises:
        UsageError: one of them is given.
    """
    for what in ("resume_from", "fork_from"):
        if (written := getattr(asked, what)) is not None:
            run = str(written).partition("?")[0]
            raise UsageError(
                f"{what}={written!r} cannot be: besom neither cuts nor copies a run's history; to go on after its last "
                f"step write id={run!r}, resume='must', and for a new run with its config "
                f"config=besom.Api().run({run!r}).config"
            )


def warn_of_what_does_nothing(asked: RunSettings) -> None:
    """Say why what W&B's scripts ask for changes nothing here."""
    if asked.monitor_gym:
        log.warning(
            "monitor_gym=True does nothing: besom does not change gym; log its recordings with besom.Video(path)"
        )
    if asked.anonymous not in (None, False, "never"):
        log.warning("anonymous=%r does nothing: besom has no accounts", asked.anonymous)


def nearest(name: str, known: Any, cutoff: float = 0.6) -> str:
    """The known name that is most like this one; '' when none is."""
    return next(iter(difflib.get_close_matches(name, list(known), 1, cutoff)), "")


def _switch(name: str, value: Any) -> bool | None:
    text = str(value).lower()
    if value is None or text in _YES or text in _NO:
        return None if value is None else text in _YES
    raise UsageError(f"{name}={value!r} cannot be; write true or false")


def _listed(value: Any) -> tuple[str, ...] | None:
    """Tags and paths: a text is split at its commas."""
    if value is None:
        return None
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(text for part in parts if (text := str(part).strip()))
