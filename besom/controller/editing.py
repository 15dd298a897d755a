"""What may be changed of a sweep that runs, and how its user writes it.

Reads: a config as it stands, and assignments or another file.  Gives: the new config, checked.
Knows nothing of Redis and stores.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from besom.controller.sections import nearest, shown
from besom.controller.sweep_config import OWN_KEYS, parse
from besom.controller.sweep_file import read_config
from besom.errors import ConfigError

__all__ = ["EDITABLE", "assigned", "changes_of", "enqueued", "replaced"]

EDITABLE: Final = ("parameters", "constraints", "metric", "points", "run_cap", "time_cap", "name", "description")
"""Keys that may change while a sweep runs; of `metric` only what does not change the values of trials."""
_METRIC: Final = ("target", "impute", "impute_while_running")


def assigned(config: Mapping[str, Any], assignments: Sequence[str], done: int = 0) -> dict[str, Any]:
    """The config with `parameters.lr.max=0.3` and the like carried out; null takes a key away.

    Args:
        config: As it stands.
        assignments: What to change.
        done: How many of the `points` have had their turn; they need not be of the new space.

    Raises:
        ConfigError: names the assignment or the key, and what to write.
    """
    new = copy.deepcopy(dict(config))
    for assignment in assignments:
        name, value = _read_assignment(assignment)
        _assign(new, name, value)
    return _checked(config, new, done)


def replaced(config: Mapping[str, Any], written: Mapping[str, Any], done: int = 0) -> dict[str, Any]:
    """The config with what another file says of the keys that may change, `points` aside; `done` as in `assigned`.

    Raises:
        ConfigError: the file says otherwise about a key that may not change.
    """
    kept = {key: value for key, value in config.items() if key not in EDITABLE or key == "points"}
    # It stays where it is filed, and points that it was given once are not given again.
    told = {key: value for key, value in written.items() if key not in ("project", "entity", "points")}
    for key in told.keys() & {"prior_sweeps", "prior_runs"}:  # kept without the project
        told[key] = [name.rpartition("/")[2] for name in told[key]]
    return _checked(config, {**kept, **told}, done)


def enqueued(config: Mapping[str, Any], assignments: Sequence[str], done: int = 0) -> dict[str, Any]:
    """The config with one more point, of `lr=0.01` and the like; `done` as in `assigned`.

    Raises:
        ConfigError: names the parameter, its value, and what to write.
    """
    point: dict[str, Any] = {}
    for name, value in map(_read_assignment, assignments):
        if name in point:
            raise ConfigError(
                f"{name}: {shown(value)} is a second value, after {shown(point[name])}; write one of the two"
            )
        point[name] = value
    return _checked(config, {**config, "points": [*config.get("points", ()), point]}, done)


def changes_of(old: Any, new: Any, name: str = "") -> Iterator[str]:
    """What differs, one line for each key: `run_cap: 20 -> 30`."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from changes_of(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    else:
        yield f"{name}: {shown(old)} -> {shown(new)}"


def _read_assignment(assignment: str) -> tuple[str, Any]:
    name, equals, text = assignment.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"{assignment!r} is no assignment; write a key and its value, such as run_cap=200")
    if not text.strip():
        raise ConfigError(f"{assignment!r} has no value; write one, '\"\"' for an empty text, null for none")
    try:
        return name.strip(), read_config(f"value: {text}", assignment).get("value")
    except ConfigError as error:
        raise ConfigError(f"{error}; write the value as in a sweep file") from None


def _assign(config: dict[str, Any], name: str, value: Any) -> None:
    inner, rest = config, name
    while (key := _longest(inner, rest)) != rest:
        group = inner.get("parameters") if inner is not config else None
        if key is not None and isinstance(inner[key], dict):
            inner, rest = inner[key], rest[len(key) + 1 :]
        elif key is None and isinstance(group, dict) and _longest(group, rest):
            inner = group  # opt.lr of a point is opt.parameters.lr in the config
        else:
            break
    if value is None:
        if rest not in inner and inner is not config:
            raise ConfigError(f"{name}: is not there to be taken away; write one of {', '.join(inner)}")
        inner.pop(rest, None)
    else:
        inner[rest] = value


def _longest(mapping: Mapping[str, Any], name: str) -> str | None:
    """The longest key with which the dotted name begins: names of parameters may have dots."""
    parts = name.split(".")
    begins = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((key for key in begins if key in mapping), None)


def _checked(old: Mapping[str, Any], new: dict[str, Any], done: int) -> dict[str, Any]:
    for key in new:
        if key not in OWN_KEYS and key not in old:
            near = nearest(key, EDITABLE)
            hint = f"write {near}" if near else f"the keys that may change are {', '.join(EDITABLE)}"
            raise ConfigError(f"{key}: is no key of a sweep config; {hint}")
    for key in OWN_KEYS:
        if new.get(key) != old.get(key) and key not in EDITABLE:
            raise ConfigError(
                f"{key}: cannot change from {shown(old.get(key))} to {shown(new.get(key))} while the sweep runs; "
                f"make a new sweep, with prior_sweeps to keep what is known ({', '.join(EDITABLE)} may change)"
            )
    points = list(old.get("points", ()))
    if list(new.get("points") or ())[: len(points)] != points:
        raise ConfigError(f"points: {shown(points)} were given before and have their turn; write new ones after them")
    config = parse({**new, "points": new["points"][done:]} if points else new).as_dict()
    if done:
        config["points"] = [*points[:done], *config.get("points", ())]
    before, after = ({k: v for k, v in (one.get("metric") or {}).items() if k not in _METRIC} for one in (old, config))
    if before != after:
        raise ConfigError(
            f"metric: cannot change from {shown(before)} to {shown(after)} while the sweep runs, "
            f"only {', '.join(_METRIC)} may; make a new sweep"
        )
    return config
