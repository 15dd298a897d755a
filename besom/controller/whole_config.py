"""What the parts of a sweep config say of each other: method and parameters, conditions, constraints, points.

Reads: parts that were read each by itself.  What is wrong goes to `Problems`.  Knows nothing of files.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Final

from besom.controller.conditions import Leading, Names, read_conditions
from besom.controller.distributions import Constant, Parameter, WeightedCategorical
from besom.controller.parameters import Parameters, leaves, path_in_config
from besom.controller.points import check_points
from besom.controller.sections import Problems, shown
from besom.errors import ConfigError
from besom.macros import fault_in, whole_macro

if TYPE_CHECKING:
    from besom.controller.sweep_config import SweepConfig
    from besom.strategies import Space
    from besom.strategies.constraints import Probe

__all__ = ["check_whole"]

_FEW: Final = 1e-3
"""Share of the space below which its user is told how little of it the constraints leave."""
_LOOKED_THROUGH: Final = 1_000_000
"""Points of a grid that are looked at one by one, some 20 µs each, for those that satisfy the constraints."""


def check_whole(
    parts: Mapping[str, Any], parameters: Parameters, sweep: SweepConfig | None, problems: Problems
) -> None:
    """Tell what cannot be; `sweep` is None when some part could not be read, and then less can be told."""
    names = Names(parameters, parts.get("parameters"))
    _check_method(parts, parameters, problems)
    _check_metrics(parts, problems)
    conditions = read_conditions(parameters, names, problems)
    _check_command(parts, parameters, conditions, problems)
    _check_expressions(parts.get("constraints"), names, problems)
    if sweep is None or problems:
        return
    try:
        space = sweep.space()
    except ConfigError as error:
        problems.add(("parameters",), str(error).removeprefix("parameters: "))
        return
    _check_feasible(sweep, space, problems)
    if not problems:
        check_points(sweep, space, problems)


def _check_method(parts: Mapping[str, Any], parameters: Parameters, problems: Problems) -> None:
    """What the method cannot do with these parameters."""
    method = parts.get("method")
    if method == "grid":
        for leading, parameter in leaves(parameters):
            if not parameter.listed:
                form = shown(parameter.model_dump(exclude_unset=True))
                problems.add(path_in_config(leading), f"{form} {_why_no_grid(parameter)}")
    elif method == "bayes":
        if "metric" not in parts and "metrics" not in parts:
            problems.add(("metric",), "missing, and method bayes searches by it; write {name: loss, goal: minimize}")
        if parameters and all(isinstance(parameter, Constant) for _, parameter in leaves(parameters)):
            form = shown(parts["parameters"])
            problems.add(
                ("parameters",),
                f"{form} has only constants, nothing for bayes to search; write values: or min: and max:",
            )


def _why_no_grid(parameter: Parameter) -> str:
    if isinstance(parameter, WeightedCategorical):
        return "has probabilities, and a grid tries each value once; remove them, or write method: random"
    return (
        "is continuous, so no grid covers it; write values: [...], distribution: q_uniform with a q, or method: random"
    )


def _check_metrics(parts: Mapping[str, Any], problems: Problems) -> None:
    if "metrics" in parts:
        if "metric" in parts:
            problems.add(("metrics",), "cannot stand beside metric; write one of the two")
        metrics = parts["metrics"] if isinstance(parts["metrics"], list) else []
        named = [one.get("name") for one in metrics if isinstance(one, dict)]
        for index, name in enumerate(named):
            if name in named[:index]:
                problems.add(("metrics", index, "name"), f"{shown(name)} stands here twice; remove one of the two")
    rule = parts.get("early_terminate")
    if isinstance(rule, dict) and rule.get("type") != "none":
        _check_judged(parts, rule, problems)


def _check_judged(parts: Mapping[str, Any], rule: Mapping[str, Any], problems: Problems) -> None:
    """Whether it is clear which metric a stopping rule judges by."""
    if "metric" not in parts and "metrics" not in parts:
        problems.add(("metric",), "missing, and early_terminate judges by it; write {name: loss, goal: minimize}")
        return
    several = parts.get("metrics")
    written = several if isinstance(several, list) else [parts.get("metric")]
    names = [one["name"] for one in written if isinstance(one, dict) and isinstance(one.get("name"), str)]
    named, path = rule.get("metric"), ("early_terminate", "metric")
    if not names:
        return  # told by the check of the key
    if named is None and "metrics" in parts:
        problems.add(
            path, f"missing, and trials are judged by one metric; write metric: with one of {', '.join(names)}"
        )
    elif named is not None and named not in names:
        problems.add(path, f"{shown(named)} is no metric of this sweep; write {' or '.join(names)}")


def _check_command(
    parts: Mapping[str, Any], parameters: Parameters, conditions: Collection[Leading], problems: Problems
) -> None:
    """Whether each trial has what the command asks for."""
    command, written = parts.get("command"), parts.get("parameters")
    everywhere = {leading[0] for leading, _ in leaves(parameters) if leading not in conditions}
    unread = (written if isinstance(written, dict) else {}).keys() - parameters.keys()
    sometimes = parameters.keys() - everywhere
    for index, item in enumerate(command if isinstance(command, list) else []):
        if not isinstance(item, str):
            continue  # told by the check of the key
        path = ("command", index)
        if fault := fault_in(item, {*everywhere, *sometimes, *unread}):
            problems.add(path, f"{shown(item)} {fault}")
        elif fault_in(item, {*everywhere, *unread}):
            problems.add(
                path, f"{shown(item)} asks for what some trials lack; write ${{args}}, which has what is there"
            )
        elif whole_macro(item) == "program" and "program" not in parts:
            problems.warn(path, "'${program}' needs a program when an agent executes it; add program: train.py")


def _check_expressions(constraints: Any, names: Names, problems: Problems) -> None:
    from besom.strategies.expression import Expression, ExpressionError

    for index, text in enumerate(constraints if isinstance(constraints, list) else []):
        if not isinstance(text, str) or not text:
            continue  # told by the check of the key
        path = ("constraints", index)
        try:
            expression = Expression(text)
        except ExpressionError as error:
            hint = _as_param(text, names)
            problems.add(path, f"{shown(text)}: " + (f"at column {error.column}, {hint}" if hint else str(error)))
            continue
        for name, column in expression.names.items():
            found = names.find(name)
            if isinstance(found, str):
                problems.add(path, f"{shown(text)}: at column {column}, {_as_param(text, names) or found}")
        if not expression.names:
            problems.add(path, f"{shown(text)} names no parameter; write one, such as lr <= 0.1, or remove it")


def _as_param(text: str, names: Names) -> str:
    """How to write a name in `text` that is none in Python, such as batch-size, which reads as a difference."""
    for name in sorted(names, key=len, reverse=True):
        bare = name in text.replace(f'"{name}"', "").replace(f"'{name}'", "")
        if bare and not all(part.isidentifier() and not iskeyword(part) for part in name.split(".")):
            return f"write param({json.dumps(name)}) for {name}"
    return ""


def _check_feasible(sweep: SweepConfig, space: Space, problems: Problems) -> None:
    """Whether any point satisfies the constraints, and each of them says yes or no."""
    from besom.strategies.constraints import probe

    if not space.constraints:
        return
    if sweep.method == "grid" and space.size is not None and space.size > _LOOKED_THROUGH:
        problems.add(
            ("constraints",),
            f"a grid of {space.size} points cannot be looked through for those that satisfy them, "
            f"{_LOOKED_THROUGH} can; write fewer values, or method: random",
        )
        return
    found = probe(space)
    for index, (told, text) in enumerate(zip(found.faults, sweep.constraints, strict=True)):
        if told:
            problems.add(("constraints", index), f"{shown(text)}: {told}")
    if problems:
        return
    if not found.allowed:
        problems.add(("constraints",), _impossible(sweep, found))
    elif found.allowed < _FEW * found.tried and sweep.method != "grid":
        problems.warn(
            ("constraints",),
            f"{found.allowed} of {found.tried} combinations satisfy them, so each trial needs many draws; "
            "narrower ranges would need fewer",
        )


def _impossible(sweep: SweepConfig, found: Probe) -> str:
    looked, never = ("all", "never holds") if found.whole else ("those drawn", "holds for none")
    alone = [text for text, count in zip(sweep.constraints, found.held, strict=True) if not count]
    cause = f"{shown(alone[0])} {never}" if alone else "they do not hold together"
    return (
        f"none of {looked}, {found.tried} combinations of {', '.join(found.names)}, satisfies "
        f"{shown(list(sweep.constraints))}, {cause}; loosen them or widen the parameters"
    )
