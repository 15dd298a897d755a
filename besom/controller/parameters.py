"""The parameters of a sweep: the forms in which a user may write one.

Reads: plain JSON values.  Gives: frozen parameters, each with the domain that a strategy searches, and
`Problems`, which gathers all that is wrong so that it can be told at once.
Knows nothing of files, nor of a config's other keys.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from besom.errors import ConfigError

__all__ = [
    "Categorical", "Constant", "Group", "IntUniform", "LogUniformValues", "Parameter", "Parameters", "Path", "Problems",
    "QUniform", "Section", "Uniform", "WholeNumber", "check", "nearest", "read_parameters", "shown",
]  # fmt: skip

MAX_DEPTH = 20
"""Levels of nested `parameters`; a real space has two or three."""
MAX_STEPS = 2**50
"""Steps of a q_uniform; a strategy's unit interval tells no more apart."""
MAX_PROBLEMS = 100
"""Problems told one by one; the rest are counted."""

Path = tuple[str | int, ...]
"""Where a value stands in the config: keys, and indices of lists."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,80}")
_FORMS = ("{value: 1}", "{values: [1, 2]}", "{min: 0.1, max: 1.0}", "{parameters: {...}}")
_NOT_YET = (
    "beta", "categorical_w_probabilities", "inv_log_uniform", "inv_log_uniform_values", "log_normal", "log_uniform",
    "normal", "q_beta", "q_log_normal", "q_log_uniform", "q_log_uniform_values", "q_normal",
)  # fmt: skip

M = TypeVar("M", bound="Section")


class Problems:
    """What is wrong with a config, one line for each place; a place with a problem inside it gets no other."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._told: set[Path] = set()

    def add(self, path: Path, text: str) -> None:
        """`text` is wrong at `path`."""
        if path not in self._told:
            self._told.update(path[:end] for end in range(len(path) + 1))
            self._lines.append(f"{_written_path(path)}: {text}")

    def __bool__(self) -> bool:
        return bool(self._lines)

    def error(self, warnings: Iterable[str] = ()) -> ConfigError:
        """All problems as one error, then `warnings`, which often tell the cause."""
        more = len(self._lines) - MAX_PROBLEMS
        rest = [f"and {more} more problems"] if more > 0 else []
        return ConfigError("\n".join([*self._lines[:MAX_PROBLEMS], *rest, *warnings]))


def shown(value: Any, limit: int = 60) -> str:
    """The value as a user would write it, cut to about `limit` characters."""
    text = repr(value[:limit]) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 3] + "..."


def nearest(word: str, options: Iterable[str]) -> str | None:
    """The option that `word` was probably meant to be."""
    found = difflib.get_close_matches(word[:40].lower(), list(options), n=1)
    return found[0] if found else None


class Section(BaseModel):
    """A mapping in the config. A field's description is what a user may write for it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    hints: ClassVar[Mapping[str, str]] = {}
    """Keys that are not fields, and what to tell who writes them."""


def check(section: type[M], written: Mapping[str, Any], path: Path, problems: Problems) -> M | None:
    """The section as written at `path`, or None after adding what is wrong with it to `problems`."""
    try:
        return section.model_validate(written)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            key, *rest = problem["loc"] or ("",)
            indices = [part for part in rest if isinstance(part, int)]
            place = (*path, key, *indices) if problem["loc"] else path
            problems.add(place, _explain(section, written, str(key), problem))
    return None


def _explain(section: type[Section], written: Mapping[str, Any], key: str, problem: Any) -> str:
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "extra_forbidden":
        return _unknown_key(section, key, written)
    rule = section.model_fields[key].description or ""
    if problem["type"] == "missing":
        return f"missing; write {key}: with {rule}"
    near = nearest(str(problem["input"]), re.findall(r"\w+", rule)) if problem["type"] == "literal_error" else None
    return f"{shown(problem['input'])} cannot be; write {rule}" + (f" (nearest: {near})" if near else "")


def _unknown_key(section: type[Section], key: str, written: Mapping[str, Any]) -> str:
    value = shown(written[key])
    if key in section.hints:
        return f"{value} {section.hints[key]}"
    near = nearest(key, [name for name in section.model_fields if name not in written])
    if near:
        return f"{value} stands under an unknown key; write {near} instead of {shown(key)}"
    return f"{value} stands under an unknown key; remove it, the keys here are {', '.join(section.model_fields)}"


def _written_path(path: Path) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _PLAIN_KEY.fullmatch(part) else shown(part)
            text += f".{key}" if text else key
    return text or "config"


def _whole(value: Any) -> Any:
    """1.0 is the integer 1, as in JSON schema; anything else stays for the strict check."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]


class Parameter(Section):
    """One value of a trial's params, searched or constant."""

    continuous: ClassVar[bool] = False
    """Whether it has infinitely many values, so that no grid covers it."""


class Group(Section):
    """Parameters that stand together under one name."""

    parameters: dict[str, Parameter | Group] = Field(description="{parameters: {...}}")


Parameters = dict[str, Parameter | Group]


class Constant(Parameter):
    """One value for every trial."""

    distribution: Literal["constant"] = "constant"
    value: Any = Field(description="the value that every trial gets, such as value: 0.1")


class Categorical(Parameter):
    """One of several values, equally likely."""

    hints = {"probabilities": "cannot be, weights are not supported yet; remove probabilities"}
    distribution: Literal["categorical"] = "categorical"
    values: list[Any] = Field(min_length=1, description="a list of at least one value, such as values: [1, 2]")


class _Range(Parameter):
    hints = {"q": "needs another distribution; write distribution: q_uniform with it, or remove q"}
    min: float = Field(description="a number, such as min: 0.1")
    max: float = Field(description="a number, such as max: 1.0")

    @model_validator(mode="after")
    def _in_order(self) -> _Range:
        if not self.min < self.max:
            raise ValueError(
                f"min {self.min} is not below max {self.max}; write a min below max, or value: for a single one"
            )
        if not math.isfinite(self.max - self.min):
            raise ValueError(f"min {self.min} and max {self.max} are too far apart; write bounds within 1e300")
        return self


class Uniform(_Range):
    """A real number drawn evenly from [min, max]."""

    continuous = True
    distribution: Literal["uniform"] = "uniform"


class IntUniform(_Range):
    """An integer from [min, max], both included."""

    distribution: Literal["int_uniform"] = "int_uniform"
    min: WholeNumber = Field(description="a whole number, such as min: 1")
    max: WholeNumber = Field(description="a whole number, such as max: 10")


class LogUniformValues(_Range):
    """A real number from [min, max] whose logarithm is drawn evenly."""

    continuous = True
    hints = {"q": "cannot be, log steps are not supported yet; remove q, or write values: with each step"}
    distribution: Literal["log_uniform_values"] = "log_uniform_values"
    min: float = Field(gt=0, description="a number above 0, the value itself, such as min: 0.0001")
    max: float = Field(gt=0, description="a number above 0, the value itself, such as max: 0.1")


class QUniform(_Range):
    """A multiple of `q` within [min, max]; an int when `q` is one."""

    distribution: Literal["q_uniform"] = "q_uniform"
    q: int | float = Field(1.0, gt=0, description="a number above 0, such as q: 0.5")

    @model_validator(mode="after")
    def _has_steps(self) -> QUniform:
        # By the decimals as written: 0.3 - 0.1 is a step of 0.2, which floats would deny.
        low, high, step = (Fraction(str(number)) for number in (self.min, self.max, self.q))
        if not 1 <= (high - low) / step <= MAX_STEPS:
            fault = "above" if high - low < step else "too small for"
            raise ValueError(f"q {self.q} is {fault} max - min = {float(high - low)}; write a q that gives some steps")
        return self


_KINDS: dict[str, type[Parameter]] = {
    "uniform": Uniform,
    "int_uniform": IntUniform,
    "log_uniform_values": LogUniformValues,
    "q_uniform": QUniform,
    "categorical": Categorical,
    "constant": Constant,
}


def read_parameters(written: Any, path: Path, problems: Problems, depth: int = 1) -> Parameters:
    """The parameters as written at `path`; what is wrong goes to `problems`, and only sound ones come out."""
    read: Parameters = {}
    if not isinstance(written, dict):
        problems.add(path, f"{shown(written)} is not a mapping; write a name and a form for each, lr: {_FORMS[0]}")
    elif not written:
        problems.add(path, f"{{}} is empty; write at least one parameter, such as lr: {_FORMS[2]}")
    elif depth > MAX_DEPTH:
        problems.add(path, f"{shown(written)} is nested too deep; write at most {MAX_DEPTH} levels of parameters")
    else:
        for name, form in written.items():
            if not _NAME.fullmatch(name):
                problems.add(
                    (*path, name), f"{shown(name)} is no name; write a letter or _, then letters, digits, _ - and ."
                )
            elif parameter := _read_parameter(form, (*path, name), problems, depth):
                read[name] = parameter
    return read


def _read_parameter(written: Any, path: Path, problems: Problems, depth: int) -> Parameter | Group | None:
    if not isinstance(written, dict):
        form = f"{{values: {shown(written)}}}" if isinstance(written, list) else f"{{value: {shown(written)}}}"
        problems.add(path, f"{shown(written)} is not a parameter; write {form}")
        return None
    if "parameters" in written and "distribution" not in written:
        nested = read_parameters(written["parameters"], (*path, "parameters"), problems, depth + 1)
        return check(Group, {**written, "parameters": nested}, path, problems)
    kind = _kind(written, path, problems)
    return check(kind, written, path, problems) if kind else None


def _kind(written: dict[str, Any], path: Path, problems: Problems) -> type[Parameter] | None:
    if "distribution" in written:
        return _named_kind(written["distribution"], (*path, "distribution"), problems)
    if "values" in written:
        return Categorical
    if "value" in written:
        return Constant
    if "min" in written or "max" in written:
        whole = all(type(written.get(bound, 0)) is int for bound in ("min", "max"))
        return IntUniform if whole else Uniform
    _explain_formless(written, path, problems)
    return None


def _named_kind(name: Any, path: Path, problems: Problems) -> type[Parameter] | None:
    if isinstance(name, str) and name in _KINDS:
        return _KINDS[name]
    near = nearest(name, _KINDS) if isinstance(name, str) else None
    if name in _NOT_YET:
        problems.add(path, f"{shown(name)} is not supported yet; write one of {', '.join(_KINDS)}")
    else:
        hint = f"{near} (all: {', '.join(_KINDS)})" if near else f"one of {', '.join(_KINDS)}"
        problems.add(path, f"{shown(name)} is no distribution; write {hint}")
    return None


def _explain_formless(written: dict[str, Any], path: Path, problems: Problems) -> None:
    """Says what a mapping with no key of any form was probably meant to be."""
    keys = ("value", "values", "min", "max", "parameters", "distribution")
    close = [(key, near) for key in written if (near := nearest(key, keys))]
    if close:
        key, near = close[0]
        problems.add((*path, key), f"{shown(written[key])} stands under an unknown key; write {near} instead of {key}")
    elif written and all(isinstance(form, dict) for form in written.values()):
        problems.add(path, f"{shown(written)} has no form; to nest parameters write {{parameters: {shown(written)}}}")
    elif written.keys() & {"mu", "sigma", "a", "b"}:
        problems.add(path, f"{shown(written)}: normal and beta are not supported yet; write {_FORMS[2]}")
    else:
        problems.add(path, f"{shown(written)} has no form; write one of {', '.join(_FORMS)}")
