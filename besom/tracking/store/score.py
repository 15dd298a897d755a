"""What a trial was worth: the best, or last, valid value of its sweep's metric.

Reads: visible history, explicit summary, the sweep's spec.  Writes nothing.
A valid value is a finite number and no bool. A metric's name is a logged key, or else a path into logged dicts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from besom.tracking.store.history import read_many
from besom.tracking.store.points import Points
from besom.tracking.store.rows import pieces_of
from besom.tracking.store.schema import last

__all__ = ["Score", "Target", "metrics_of", "scores", "vectors"]


@dataclass(frozen=True, slots=True)
class Target:
    """The metric of a sweep."""

    name: str
    goal: str = "minimize"
    use: str = "best"
    """"best" or "last"."""

    @classmethod
    def of(cls, spec: dict[str, Any]) -> Target | None:
        """The target in a sweep's spec."""
        metric = spec.get("metric")
        if not metric:
            return None
        written = spec.get("config", {}).get("metric")
        use = written.get("use", "best") if isinstance(written, dict) else "best"
        return cls(metric["name"], metric.get("goal") or "minimize", use)

    @classmethod
    def judged(cls, spec: dict[str, Any]) -> Target | None:
        """What a stopping rule judges by: the target, or the one of several metrics that `early_terminate` names."""
        config = spec.get("config", {})
        name = (config.get("early_terminate") or {}).get("metric")
        named = (one for one in config.get("metrics") or () if one["name"] == name)
        return cls.of(spec) or next((cls(one["name"], one.get("goal", "minimize"), "last") for one in named), None)

    def splits(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Key and path within its values: the whole name first, then ever shorter keys."""
        parts = self.name.split(".")
        for size in range(len(parts), 0, -1):
            yield ".".join(parts[:size]), tuple(parts[size:])


@dataclass(frozen=True, slots=True)
class Score:
    """The value of one run, and the valid values it was chosen from in order of step."""

    value: float | None
    curve: tuple[float, ...]


def scores(conn: Connection, runs: Collection[str], target: Target) -> dict[str, Score]:
    """The score of each of these runs."""
    names = [key for key, _ in target.splits()]
    logged = read_many(conn, runs, names)
    explicit: dict[tuple[str, str], Any] = {}
    for some in pieces_of(runs):
        query = select(last.c.run, last.c.key, last.c.value).where(last.c.run.in_(some), last.c.key.in_(names))
        for run, key, value in conn.execute(query.where(last.c.explicit == 1)):
            explicit[run, key] = json.loads(value)
    return {run: _score(run, target, logged, explicit) for run in runs}


def metrics_of(spec: dict[str, Any]) -> tuple[str, ...]:
    """Names of the several `metrics` in a sweep's spec; empty where it has one or none."""
    return tuple(metric["name"] for metric in spec.get("config", {}).get("metrics") or ())


def vectors(conn: Connection, runs: Collection[str], metrics: Sequence[str]) -> dict[str, tuple[float | None, ...]]:
    """The last valid value of each metric for each of these runs, so that they belong together; None without one."""
    found = [scores(conn, runs, Target(name, use="last")) for name in metrics]
    return {run: tuple(of_metric[run].value for of_metric in found) for run in runs}


def _score(
    run: str, target: Target, logged: dict[tuple[str, str], Points], explicit: dict[tuple[str, str], Any]
) -> Score:
    curve: tuple[float, ...] = ()
    for key, path in target.splits():
        points = logged.get((run, key))
        if points is not None and (curve := _valid(points, path)):
            break
    extra: list[float] = []
    for key, path in target.splits():
        if (run, key) in explicit and (extra := _summary_values(_follow(explicit[run, key], path), target)):
            break
    return Score(_choose([*curve, *extra], target), curve)


def _valid(points: Points, path: tuple[str, ...]) -> tuple[float, ...]:
    if path:
        found = [_follow(value, path) for value in points.values.tolist()]
        return tuple(float(value) for value in found if _is_valid(value))
    numbers = points.numbers()
    return tuple(numbers[np.isfinite(numbers)].tolist())


def _summary_values(value: Any, target: Target) -> list[float]:
    """Of a number itself; of {min, max, last}, which `define_metric` makes, the one the goal asks for."""
    if isinstance(value, dict):
        wanted = "last" if target.use == "last" else "max" if target.goal == "maximize" else "min"
        value = value.get(wanted)
    return [float(value)] if _is_valid(value) else []


def _choose(values: list[float], target: Target) -> float | None:
    if not values:
        return None
    if target.use == "last":
        return values[-1]
    return max(values) if target.goal == "maximize" else min(values)


def _follow(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_valid(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < 2**1023 and math.isfinite(value)
