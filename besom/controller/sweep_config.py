"""The sweep config: what to search, how to score, how much to run.

Reads: a mapping written by a user, in a file or in Python.  Gives: `SweepConfig`, checked and frozen.
Knows nothing of Redis, agents, or how a strategy works inside.
"""

from __future__ import annotations

import copy
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from besom.controller.parameters import (
    Categorical,
    Constant,
    Group,
    IntUniform,
    LogUniformValues,
    Parameter,
    Parameters,
    Problems,
    QUniform,
    Section,
    Uniform,
    WholeNumber,
    check,
    nearest,
    read_parameters,
    shown,
)
from besom.controller.sweep_file import plain_config, read_sweep_file
from besom.errors import ConfigError

if TYPE_CHECKING:
    from besom.strategies import Domain, Space

__all__ = ["MetricConfig", "SweepConfig", "load", "parse"]

_LAUNCH_KEYS = ("apiVersion", "image_uri", "job", "kind", "settings")
_NOT_YET_KEYS = ("constraints", "early_terminate", "metrics", "repeats", "scheduler")
_LOCAL_CONTROLLER = {"type": "local"}
_NOT_YET = "cannot be, this is not supported yet; remove the key"

Text = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\x00]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^/\\#?%:\x00-\x1f]+$")]
_NAME_RULE = r"a text of 1 to 128 characters without / \ # ? % :"


_DURATION_RULE = "seconds above 0, or a text such as 90s, 30m, 2h or 1d"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _seconds(value: Any) -> Any:
    """Seconds of 2h and the like; what is none goes on to the check that explains it."""
    if isinstance(value, str) and (found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", value.strip())):
        value = float(found[1]) * _UNITS[found[2] or "s"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise PydanticCustomError("duration", _DURATION_RULE)
    return float(value)


class MetricConfig(Section):
    """What a sweep optimises."""

    hints = dict.fromkeys(("target", "impute", "impute_while_running", "use"), _NOT_YET)
    name: Text = Field(description="the name that train logs, such as name: loss")
    goal: Literal["minimize", "maximize"] = Field("minimize", description="minimize or maximize")


class SweepConfig(Section):
    """A sweep as its user wants it, checked; `parse` and `load` make it."""

    method: Literal["grid", "random", "bayes"] = Field(description="grid, random or bayes")
    parameters: Parameters = Field(description="at least one parameter, such as lr: {min: 0.0001, max: 0.1}")
    metric: MetricConfig | None = Field(None, description="{name: loss, goal: minimize}")
    run_cap: WholeNumber | None = Field(None, gt=0, lt=2**63, description="a whole number above 0, such as 20")
    seed: WholeNumber | None = Field(None, ge=0, lt=2**63, description="a whole number from 0, such as 42")
    name: str | None = Field(None, description="a text, in quotes if it looks like a number")
    description: str | None = Field(None, description="a text, in quotes if it looks like a number")
    project: Name | None = Field(None, description=_NAME_RULE)
    entity: Name | None = Field(None, description=_NAME_RULE)
    program: Text | None = Field(None, description="the path of a script, such as train.py")
    command: tuple[Text, ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        description="a list of non-empty texts, such as [python, train.py, '--n', '5']",
    )
    retries: WholeNumber = Field(0, ge=0, le=1000, description="a whole number from 0, such as 2")
    timeout: Annotated[float, BeforeValidator(_seconds)] | None = Field(None, description=_DURATION_RULE)
    weight: float = Field(
        1.0, strict=False, gt=0, le=1e6, allow_inf_nan=False, description="a number above 0, such as 2"
    )
    warnings: tuple[str, ...] = ()
    """What was ignored, one sentence each."""
    written: dict[str, Any] = Field(default_factory=dict, repr=False)
    """The config as plain JSON values, run_cap and such normalised."""

    def space(self) -> Space:
        """What a strategy searches, constants included."""
        from besom.strategies import Dimension, Space

        return Space(tuple(Dimension(path, _domain(parameter)) for path, parameter in _leaves(self.parameters)))

    def as_dict(self) -> dict[str, Any]:
        """The config as written, in plain JSON values, to be kept or parsed again; a copy."""
        return copy.deepcopy(self.written)


_OWN_KEYS = tuple(name for name in SweepConfig.model_fields if name not in ("warnings", "written"))
_KNOWN_KEYS = frozenset((*_OWN_KEYS, *_NOT_YET_KEYS, "controller"))


def _leaves(parameters: Parameters, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Parameter]]:
    for name, parameter in parameters.items():
        if isinstance(parameter, Group):
            yield from _leaves(parameter.parameters, (*path, name))
        else:
            yield (*path, name), parameter


def _domain(parameter: Parameter) -> Domain:
    from besom import strategies

    match parameter:
        case Categorical():
            return strategies.Categorical(tuple(parameter.values))
        case IntUniform():
            return strategies.IntUniform(parameter.min, parameter.max)
        case Uniform():
            return strategies.Uniform(parameter.min, parameter.max)
        case LogUniformValues():
            return strategies.LogUniform(parameter.min, parameter.max)
        case QUniform():
            return strategies.QUniform(parameter.min, parameter.max, parameter.q)
        case Constant():
            return strategies.Constant(parameter.value)
    raise TypeError(f"{parameter!r} has no domain")


def load(config_or_path: Mapping[str, Any] | str | os.PathLike[str], **overrides: Any) -> SweepConfig:
    """The sweep config in a file or mapping, with `overrides` (None means not given) in place of its keys.

    Raises:
        ConfigError: names each key whose value cannot be, after the file that holds it.
    """
    given = {key: value for key, value in overrides.items() if value is not None}
    if isinstance(config_or_path, Mapping):
        return parse({**config_or_path, **given})
    if not isinstance(config_or_path, str | os.PathLike):
        raise ConfigError(
            f"a sweep config cannot be {config_or_path!r:.60}; write a mapping or the path of a YAML file"
        )
    config = read_sweep_file(config_or_path)
    try:
        return parse({**config, **given})
    except ConfigError as error:
        lines = str(error).split("\n")
        raise ConfigError("\n".join(f"{os.fspath(config_or_path)}: {line}" for line in lines)) from None


def parse(config: Mapping[str, Any]) -> SweepConfig:
    """The checked form of a sweep config.

    Raises:
        ConfigError: lists every problem, one a line: the key, its value, and what to write instead.
    """
    problems = Problems()
    written = plain_config(config, problems)
    parts, warnings = _sort_keys(written, problems)
    metric = _read_metric(parts.get("metric"), problems)
    parameters: Parameters = {}
    if "parameters" in parts:
        parameters = read_parameters(parts["parameters"], ("parameters",), problems)
    _check_search(parts, parameters, problems)
    _check_command(parts.get("command"), problems)
    checked = {**parts, "metric": metric, **({"parameters": parameters} if "parameters" in parts else {})}
    sweep = check(SweepConfig, checked, (), problems)
    if sweep is None or problems:
        raise problems.error(warnings)
    for key in ("run_cap", "seed", "retries"):
        if key in written:
            written[key] = getattr(sweep, key)
    if metric:
        written["metric"] = metric.model_dump()
    return sweep.model_copy(update={"warnings": warnings, "written": written})


def _sort_keys(written: dict[str, Any], problems: Problems) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The keys we know, and a warning for each that is ignored. An optional key with null is one left out."""
    parts: dict[str, Any] = {}
    warnings: list[str] = []
    for key, value in list(written.items()):
        if value is None and key not in ("method", "parameters") and key in _KNOWN_KEYS:
            del written[key]
        elif key in _OWN_KEYS:
            parts[key] = value
        elif key in _NOT_YET_KEYS:
            problems.add((key,), f"{shown(value)} {_NOT_YET}")
        elif key == "controller" and value != _LOCAL_CONTROLLER:
            problems.add((key,), f"{shown(value)} cannot be, only {{type: local}} is supported yet; remove the key")
        elif key == "controller" or key in _LAUNCH_KEYS:
            warnings.append(f"{key}: {shown(value)} is ignored, nothing here needs it; {_nearest_known(key)}")
        else:
            warnings.append(f"{shown(key)}: {shown(value)} is ignored, the key is unknown; {_nearest_known(key)}")
    return parts, tuple(warnings)


def _nearest_known(key: str) -> str:
    near = nearest(key, _OWN_KEYS)
    return f"did you mean {near}?" if near else f"the keys are {', '.join(_OWN_KEYS)}"


def _read_metric(written: Any, problems: Problems) -> MetricConfig | None:
    if written is None:
        return None
    if not isinstance(written, dict):
        name = shown(written) if isinstance(written, str) else "loss"
        problems.add(("metric",), f"{shown(written)} is not a mapping; write {{name: {name}, goal: minimize}}")
        return None
    given = {key: value for key, value in written.items() if value is not None or key == "name"}
    return check(MetricConfig, given, ("metric",), problems)


def _check_search(parts: dict[str, Any], parameters: Parameters, problems: Problems) -> None:
    """What the method cannot do with these parameters."""
    method = parts.get("method")
    if method == "custom":
        problems.add(("method",), "'custom' is not supported yet; write grid, random or bayes")
    elif method == "grid":
        for names, parameter in _leaves(parameters):
            if parameter.continuous:
                path = tuple(part for name in names for part in ("parameters", name))
                form = shown(parameter.model_dump())
                remedy = "write values: [...], distribution: q_uniform with a q, or method: random"
                problems.add(path, f"{form} is continuous, so no grid covers it; {remedy}")
    elif method == "bayes":
        if "metric" not in parts:
            problems.add(("metric",), "missing, and method bayes searches by it; write {name: loss, goal: minimize}")
        if parameters and all(isinstance(parameter, Constant) for _, parameter in _leaves(parameters)):
            form = shown(parts["parameters"])
            problems.add(
                ("parameters",),
                f"{form} has only constants, nothing for bayes to search; write values: or min: and max:",
            )


def _check_command(command: Any, problems: Problems) -> None:
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError:
            words = [command]
        problems.add(("command",), f"{shown(command)} is one text; write the list {shown(words, limit=200)}")
