"""From a sweep's `command` and a trial's params to the argument list that is executed. No shell is involved."""

from __future__ import annotations

import hmac
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from besom.errors import ConfigError, UsageError
from besom.macros import expanded, fault_in, whole_macro
from besom.messages import SweepSpec, signature_of
from besom.settings import Settings

__all__ = ["DEFAULT_COMMAND", "check_allowed", "command_line", "sign"]

DEFAULT_COMMAND: Final = ("${env}", "${interpreter}", "${program}", "${args}")


def command_line(spec: SweepSpec, params: Mapping[str, Any], params_file: Path) -> list[str]:
    """The arguments to execute for one trial.

    Args:
        spec: Its `command` (default: env, interpreter, program, args) and `program`.
        params: First-level names become arguments; a nested map comes as one.
        params_file: Path that `${args_json_file}` stands for.

    Raises:
        ConfigError: an unknown macro, or `${program}` without program.
    """
    line: list[str] = []
    for item in spec.command or DEFAULT_COMMAND:
        if fault := fault_in(item, params):
            raise ConfigError(f"command: {item!r} {fault}")
        macro = whole_macro(item)
        line.extend(_whole(macro, spec, params, params_file) if macro else [_expanded(item, params)])
    return line


def _expanded(item: str, params: Mapping[str, Any]) -> str:
    return expanded(item, lambda name: str(params[name]), lambda name: os.environ.get(name, name))


def _whole(macro: str, spec: SweepSpec, params: Mapping[str, Any], params_file: Path) -> list[str]:
    pairs = list(params.items())
    match macro:
        case "env":
            return ["/usr/bin/env"] if os.name == "posix" else []
        case "interpreter":
            return [sys.executable]
        case "program":
            if not spec.program:
                raise ConfigError(f"sweep {spec.id}: command has ${{program}}, but the config names no program")
            return [spec.program]
        case "args":
            return [f"--{key}={value}" for key, value in pairs]
        case "args_no_equals":
            return [text for key, value in pairs for text in (f"--{key}", str(value))]
        case "args_no_hyphens":
            return [f"{key}={value}" for key, value in pairs]
        case "args_append_hydra":
            return [f"+{key}={value}" for key, value in pairs]
        case "args_override_hydra":
            return [f"++{key}={value}" for key, value in pairs]
        case "args_no_boolean_flags":
            shown = [(key, value) for key, value in pairs if value is not False]
            return [f"--{key}" if value is True else f"--{key}={value}" for key, value in shown]
        case "args_json":
            return [json.dumps(params)]
    return [str(params_file)]  # args_json_file


def check_allowed(spec: SweepSpec, settings: Settings, *, allow_command: bool) -> None:
    """Whether this agent may execute what the sweep names.

    Allowed is a `program` that is a file below the working directory, run by the interpreter; anything else needs
    `allow_command` or a sweep signed with this agent's BESOM_SECRET. Redis alone can make nothing execute.

    Raises:
        UsageError: it may not, or there is nothing to execute.
    """
    if not spec.program and not spec.command:
        raise UsageError(
            f"sweep {spec.id} names no program; add `program: train.py` to its config, "
            "or pass a function to besom.agent"
        )
    if allow_command or _is_signed(spec, settings):
        return
    command = [item for item in spec.command or DEFAULT_COMMAND if item != "${env}"]
    if command[:2] != ["${interpreter}", "${program}"]:
        raise UsageError(
            f"sweep {spec.id} wants to execute {' '.join(command)!r}; if you trust whoever wrote it, "
            "start the agent with --allow-command, or sign sweeps with BESOM_SECRET"
        )
    program, here = Path(spec.program or "").resolve(), Path.cwd().resolve()
    if not program.is_relative_to(here):
        raise UsageError(
            f"program {spec.program!r} lies outside {here}; start the agent in its folder, or with --allow-command"
        )
    if not program.is_file():
        raise UsageError(f"program {spec.program!r} is no file in {here}; start the agent in the folder that has it")


def sign(spec: SweepSpec, settings: Settings) -> str:
    """A signature of what would be executed, '' without BESOM_SECRET."""
    if settings.secret is None:
        return ""
    return signature_of(spec, settings.secret.get_secret_value())


def _is_signed(spec: SweepSpec, settings: Settings) -> bool:
    return bool(spec.signature) and hmac.compare_digest(spec.signature, sign(spec, settings))
