"""Points that a user wants tried: from a partial mapping of params to a point of the space.

Reads: mappings, nested as params are, or with dots.  What is wrong goes to `Problems`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from besom.controller.conditions import Leading, Names
from besom.controller.sections import Path, Problems, shown

if TYPE_CHECKING:
    from besom.controller.sweep_config import SweepConfig
    from besom.strategies import Params, Space

__all__ = ["check_points", "complete"]

_TRIES = 2000


def check_points(sweep: SweepConfig, space: Space, problems: Problems) -> None:
    """Tell which of `points` are none of the space."""
    names = Names(sweep.parameters)
    for index, written in enumerate(sweep.points):
        path: Path = ("points", index)
        given = _read(written, names, path, problems)
        if problems:
            continue
        point = _filled(space, given, "check")
        if point is None:
            problems.add(path, _why_none(written, space, given))
        elif sweep.method == "grid":
            active = space.active(point)
            missing = [
                one.name
                for one, there in zip(space.dimensions, active, strict=True)
                if there and one.path not in given and one.domain.size != 1
            ]
            if missing:
                problems.add(path, f"{shown(written)} lacks {', '.join(missing)}; a point of a grid has them all")


def _why_none(written: Mapping[str, Any], space: Space, given: Mapping[Leading, Any]) -> str:
    """Which of the given parameters is in the way of a point with all of them."""
    for leading in given:
        others = {path: value for path, value in given.items() if path != leading}
        if all(not _has(space.fill(others, units), leading) for units in _units(space, "check")):
            return f"{shown(written)} has {'.'.join(leading)}, which is not there with the other values; remove it"
    return f"{shown(written)} satisfies the constraints with no values of the others; change it"


def complete(written: Mapping[str, Any], sweep: SweepConfig, space: Space, seed: str) -> Params:
    """The point that one of `points` means; what it leaves open is drawn from the seed."""
    given = _read(written, Names(sweep.parameters), (), Problems())
    point = _filled(space, given, f"{seed}:point")
    # It was checked; that other draws find nothing is next to impossible, and the point as given is then right.
    return point if point is not None else space.fill(given, [0.5] * len(space.dimensions))


def _filled(space: Space, given: Mapping[Leading, Any], seed: str) -> Params | None:
    """A point with all that is given, where the conditions of each hold."""
    choice = random.Random(f"{seed}:conditions")
    for units in _units(space, seed):
        point = space.fill(_with_conditions(space, given, choice), units)
        if space.allows(point) and all(_has(point, leading) for leading in given):
            return point
    return None


def _with_conditions(space: Space, given: Mapping[Leading, Any], choice: random.Random) -> dict[Leading, Any]:
    """What is given, and of what it depends on and that is left open, a value with which it is there."""
    whole = dict(given)
    for dimension in reversed(space.dimensions):  # what others depend on stands before them
        if dimension.path in whole:
            for condition in dimension.when:
                if condition.path not in whole:
                    whole[condition.path] = choice.choice(condition.values)
    return whole


def _units(space: Space, seed: str) -> Iterator[list[float]]:
    source = random.Random(seed)
    return ([source.random() for _ in space.dimensions] for _ in range(_TRIES))


def _read(written: Mapping[str, Any], names: Names, path: Path, problems: Problems) -> dict[Leading, Any]:
    """The parameters that a point gives a value to."""
    given: dict[Leading, Any] = {}
    for at, leading, value in _given(written, names, path, problems):
        if leading in given:
            problems.add(at, f"{shown(value)} is a second value of {'.'.join(leading)}; remove one of the two")
        given[leading] = value
    return given


def _given(
    written: Mapping[str, Any], names: Names, path: Path, problems: Problems, within: Leading = ()
) -> Iterator[tuple[Path, Leading, Any]]:
    """Where each value stands, of which parameter it is, and the value."""
    for name, value in written.items():
        full = ".".join((*within, name))
        found = names.find(full)
        if isinstance(found, str) and isinstance(value, dict):
            yield from _given(value, names, (*path, name), problems, (*within, name))
        elif isinstance(found, str):
            problems.add((*path, name), found)
        else:
            domain = names.sound[found].domain()
            try:
                yield (*path, name), found, domain.own(value)
            except (ValueError, TypeError):
                problems.add((*path, name), f"{shown(value)} is none of {full}'s values, {domain}; write one of them")


def _has(point: Params, leading: Leading) -> bool:
    value: Any = point
    for name in leading:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True
