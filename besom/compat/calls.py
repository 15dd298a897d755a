"""Calls of wandb's that besom spells in another way, or that mean nothing here and are harmless."""

from __future__ import annotations

import inspect
import json
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, Final

import besom
from besom.errors import UsageError

__all__ = [
    "RunDisabled",
    "Settings",
    "agent",
    "finish",
    "get_entity",
    "get_project",
    "init",
    "join",
    "json_dumps_safer",
    "login",
    "require",
    "set_entity",
    "set_project",
    "setup",
    "sweep",
    "teardown",
    "termerror",
    "termlog",
    "termwarn",
]

log = logging.getLogger("besom")

_INIT_NAMES: Final = frozenset({
        "allow_val_change", "anonymous", "config_exclude_keys", "config_include_keys", "force", "fork_from", "magic",
        "mode", "monitor_gym", "resume", "resume_from", "save_code", "settings", "sync_tensorboard", "tensorboard",
})  # fmt: skip
"""Parameters of wandb.init that scripts pass and besom.init may not have."""

_said: set[str] = set()


class RunDisabled:
    """What libraries compare a run's class with; no run of besom's is one."""


class Settings:
    """The values it is made with, by attribute."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def init(**named: Any) -> besom.Run:
    """`besom.init`; what it has no parameter for is named in a warning.

    Raises:
        UsageError: a disabled run is wanted, which besom has not.
        TypeError: wandb has no such parameter either.
    """
    known = inspect.signature(besom.init).parameters
    left_out = {name for name in named if name in _INIT_NAMES and name not in known}
    if "mode" in left_out and named["mode"] == "disabled":
        raise UsageError("wandb.init(mode='disabled'): besom has no disabled runs; leave out the call")
    if ignored := sorted(name for name in left_out if named[name] not in (None, False, "allow", "online")):
        log.warning("wandb.init(%s=...) is ignored: besom has nothing like it", "=..., ".join(ignored))
    return besom.init(**{name: value for name, value in named.items() if name not in left_out})


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """`besom.finish`."""
    besom.finish(exit_code)


join = finish


def agent(
    sweep_id: str,
    function: Callable[[], Any] | None = None,
    entity: str | None = None,
    project: str | None = None,
    count: int | None = None,
    forward_signals: bool = False,
) -> None:
    """`besom.agent`, with wandb's order of arguments."""
    besom.agent(sweep_id, function, count=count, project=project, entity=entity)


def sweep(sweep: Any, entity: str | None = None, project: str | None = None, prior_runs: Any = None) -> str:
    """`besom.sweep`.

    Raises:
        UsageError: prior runs are given, which besom does not take.
    """
    if prior_runs:
        raise UsageError("wandb.sweep(prior_runs=...): besom's searches begin without prior runs; leave it out")
    return besom.sweep(sweep, entity, project)


def login(*_: Any, **__: Any) -> bool:
    """True: there is no account."""
    return True


def setup(*_: Any, **__: Any) -> None:
    """Nothing is to be prepared."""


def require(*_: Any, **__: Any) -> None:
    """Nothing is optional."""


def teardown(exit_code: int | None = None) -> None:
    """End the active run."""
    besom.finish(exit_code)


def termlog(string: str = "", newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Print to stderr; without `repeat` the same text once only."""
    _say(string, newline, repeat, "besom: " if prefix else "")


def termwarn(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Print a warning to stderr."""
    _say(string, newline, repeat, "besom: WARNING " if prefix else "")


def termerror(string: str, newline: bool = True, repeat: bool = True, prefix: bool = True) -> None:
    """Print an error to stderr."""
    _say(string, newline, repeat, "besom: ERROR " if prefix else "")


def json_dumps_safer(value: Any, **named: Any) -> str:
    """JSON; what has no form in it as text."""
    return json.dumps(value, **{"default": str, **named})


def get_project(default: str | None = None, env: Any = None) -> str | None:
    """The project of runs to come."""
    return os.environ.get("BESOM_PROJECT", default)


def get_entity(default: str | None = None, env: Any = None) -> str | None:
    """The entity of runs to come."""
    return os.environ.get("BESOM_ENTITY", default)


def set_project(value: str, env: Any = None) -> None:
    """Set the project of runs to come."""
    os.environ["BESOM_PROJECT"] = os.environ["WANDB_PROJECT"] = value


def set_entity(value: str, env: Any = None) -> None:
    """Set the entity of runs to come."""
    os.environ["BESOM_ENTITY"] = value


def _say(text: str, newline: bool, repeat: bool, prefix: str) -> None:
    line = prefix + text
    if repeat or line not in _said:
        _said.add(line)
        print(line, end="\n" if newline else "", file=sys.stderr)
