"""The parameters of a sweep: names, nesting, and which form each of them is.

Reads: plain JSON values.  Gives: frozen parameters, nested as they were written; what is wrong goes to `Problems`.
What the forms are is in `distributions.py`. Knows nothing of files, nor of a config's other keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from besom.controller.distributions import (
    KINDS,
    Categorical,
    Constant,
    IntUniform,
    Parameter,
    Uniform,
    WeightedCategorical,
)
from besom.controller.sections import Path, Problems, Section, check, nearest, shown

__all__ = ["Group", "Leaf", "Parameter", "Parameters", "leaves", "path_in_config", "read_parameters"]

MAX_DEPTH = 20
"""Levels of nested `parameters`; a real space has two or three."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_FORMS = ("{value: 1}", "{values: [1, 2]}", "{min: 0.1, max: 1.0}", "{parameters: {...}}")


class Group(Section):
    """Parameters that stand together under one name."""

    parameters: dict[str, Parameter | Group] = Field(description="{parameters: {...}}")
    when: dict[str, Any] | None = Field(None, description=Parameter.model_fields["when"].description)


Parameters = dict[str, Parameter | Group]

Leaf = tuple[tuple[str, ...], Parameter]
"""A parameter and the names that lead to it."""


def leaves(parameters: Parameters, names: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Every parameter that is no group, with its names."""
    for name, parameter in parameters.items():
        if isinstance(parameter, Group):
            yield from leaves(parameter.parameters, (*names, name))
        else:
            yield (*names, name), parameter


def path_in_config(names: tuple[str, ...]) -> Path:
    """Where the parameter with these names stands in the config."""
    return tuple(part for name in names for part in ("parameters", name))


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
    if kind is not None and kind.deprecated:
        problems.warn((*path, "distribution"), f"{written['distribution']} is deprecated; write {kind.deprecated}")
    return check(kind, written, path, problems) if kind else None


def _kind(written: dict[str, Any], path: Path, problems: Problems) -> type[Parameter] | None:
    if "distribution" in written:
        return _named_kind(written["distribution"], (*path, "distribution"), problems)
    if "values" in written:
        return WeightedCategorical if "probabilities" in written else Categorical
    if "value" in written:
        return Constant
    if "min" in written or "max" in written:
        whole = all(type(written.get(bound, 0)) is int for bound in ("min", "max"))
        return IntUniform if whole else Uniform
    _explain_formless(written, path, problems)
    return None


def _named_kind(name: Any, path: Path, problems: Problems) -> type[Parameter] | None:
    if isinstance(name, str) and name in KINDS:
        return KINDS[name]
    wanted = [known for known, kind in KINDS.items() if not kind.deprecated]
    near = nearest(name, wanted) if isinstance(name, str) else None
    hint = f"{near} (all: {', '.join(wanted)})" if near else f"one of {', '.join(wanted)}"
    problems.add(path, f"{shown(name)} is no distribution; write {hint}")
    return None


_LAWS = {"normal": {"mu", "sigma"}, "beta": {"a", "b"}}


def _explain_formless(written: dict[str, Any], path: Path, problems: Problems) -> None:
    """Says what a mapping with no key of any form was probably meant to be."""
    keys = ("value", "values", "min", "max", "parameters", "distribution")
    close = [(key, near) for key in written if (near := nearest(key, keys))]
    if close:
        key, near = close[0]
        problems.add((*path, key), f"{shown(written[key])} stands under an unknown key; write {near} instead of {key}")
    elif written and all(isinstance(form, dict) for form in written.values()):
        problems.add(path, f"{shown(written)} has no form; to nest parameters write {{parameters: {shown(written)}}}")
    elif laws := [law for law, keys in _LAWS.items() if written.keys() & keys]:
        problems.add(path, f"{shown(written)} names no distribution; add distribution: {laws[0]}")
    else:
        problems.add(path, f"{shown(written)} has no form; write one of {', '.join(_FORMS)}")
