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
        given = dict(_given(written, names, path, problems))
        if problems:
            continue
        point = _filled(space, given, "check")
        if point is None:
            problems.add(path, f"{shown(written)} satisfies the constraints with no values of the others; change it")
            continue
        for leading in given:
            if not _has(point, leading):
                name = ".".join(leading)
                problems.add(path, f"{shown(written)} has {name}, which is not there with the other values; remove it")
        if sweep.method == "grid":
            missing = [one.name for one in space.dimensions if one.path not in given and one.domain.size != 1]
            active = dict(zip((one.name for one in space.dimensions), space.active(point), strict=True))
            if wanted := [name for name in missing if active[name]]:
                problems.add(path, f"{shown(written)} lacks {', '.join(wanted)}; a point of a grid has them all")


def complete(written: Mapping[str, Any], sweep: SweepConfig, space: Space, seed: str) -> Params:
    """The point that one of `points` means; what it leaves open is drawn from the seed."""
    given = dict(_given(written, Names(sweep.parameters), (), Problems()))
    point = _filled(space, given, f"{seed}:point")
    # It was checked; that other draws find nothing is next to impossible, and the point as given is then right.
    return point if point is not None else space.fill(given, [0.5] * len(space.dimensions))


def _filled(space: Space, given: Mapping[Leading, Any], seed: str) -> Params | None:
    source = random.Random(seed)
    for _ in range(_TRIES):
        point = space.fill(given, [source.random() for _ in space.dimensions])
        if space.allows(point):
            return point
    return None


def _given(
    written: Mapping[str, Any], names: Names, path: Path, problems: Problems, within: Leading = ()
) -> Iterator[tuple[Leading, Any]]:
    """The parameters that a point gives a value to."""
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
                domain.to_unit(value)
            except (ValueError, TypeError):
                problems.add((*path, name), f"{shown(value)} is none of {full}'s values, {domain}; write one of them")
                continue
            yield found, value


def _has(point: Params, leading: Leading) -> bool:
    value: Any = point
    for name in leading:
        if not isinstance(value, dict) or name not in value:
            return False
        value = value[name]
    return True
