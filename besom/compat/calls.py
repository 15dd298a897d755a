"""Calls of wandb's that besom spells in another way, or that mean nothing here and are harmless."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from typing import Any

import besom
from besom.errors import UsageError

__all__ = [
    "RunDisabled",
    "agent",
    "finish",
    "get_entity",
    "get_project",
    "init",
    "join",
    "json_dumps_safer",
    "require",
    "set_entity",
    "set_project",
    "sweep",
]

log = logging.getLogger("besom")


class RunDisabled:
    """What libraries compare a run's class with; no run of besom's is one."""


def init(magic: Any = None, **named: Any) -> besom.Run:
    """`besom.init`; `magic`, which early scripts pass and wandb has given up, is named in a warning.

    Raises:
        TypeError: wandb has no such parameter either.
    """
    if magic:
        log.warning("wandb.init(magic=...) is ignored: besom has nothing like it")
    return besom.init(**named)


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


def require(*_: Any, **__: Any) -> None:
    """Nothing is optional."""


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
