"""A sweep's points: the trials of each, of which `repeats` makes several, and what they came to in the mean.

Reads: the store.  Gives: plain dicts.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, select

from besom.tracking.store import reader, schema
from besom.tracking.store.means import mean, standard_error
from besom.tracking.store.score import Target

__all__ = ["best_points", "counted_by_point", "repeats_of"]

_OPEN: Final = ("queued", "running")


def best_points(conn: Connection, sweep_id: str, count: int = 1) -> list[dict[str, Any]]:
    """The best points, by the mean of their trials and how exact that is, best first; of equals the earlier.

    What counts is what a point almost surely reaches: its mean, worse by two standard errors as all points together
    tell them. By the mean alone the noisiest point would lead, as soon as it is lucky.

    Each as the row of its best trial, with the mean as `value`, its standard error as `spread` (None of a single
    trial), and the numbers of the `trials` it is the mean of. Without `repeats` a point is a trial.
    """
    found = reader.sweep(conn, sweep_id)
    target = Target.of(found["spec"]) if found else None
    if found is None or target is None:
        return []
    repeats, sign = repeats_of(found["spec"]), -1.0 if target.goal == "maximize" else 1.0
    if repeats == 1:
        rows = reader.best_trials(conn, sweep_id, count)
        return [{**row, "spread": None, "trials": [row["number"]]} for row in rows]
    rows = [row for row in reader.trials(conn, sweep_id, state=("finished", "stopped")) if row["value"] is not None]
    points = [_point(group, sign) for group in counted_by_point(conn, sweep_id, rows, repeats)]
    bounds = _surely_reached(points, sign)
    return [points[index] for index in sorted(range(len(points)), key=lambda index: (bounds[index], index))[:count]]


def _surely_reached(points: Sequence[dict[str, Any]], sign: float) -> list[float]:
    """Lower is better."""
    from besom.strategies.repeats import Repeats  # scipy, which sweeps without repeats need not wait for

    spreads = np.array([math.nan if point["spread"] is None else point["spread"] for point in points])
    repeats = Repeats(spreads, np.array([len(point["trials"]) for point in points]))
    found: list[float] = repeats.cautious(np.array([sign * point["value"] for point in points])).tolist()
    return found


def repeats_of(spec: dict[str, Any]) -> int:
    """How many trials a point of the sweep has."""
    return int(spec.get("config", {}).get("repeats", 1))


def counted_by_point(
    conn: Connection, sweep_id: str, rows: Sequence[dict[str, Any]], repeats: int
) -> list[list[dict[str, Any]]]:
    """The rows of each point that count: of a point that has finished trials, those.

    A point counts when all of its trials are over, as for the search, lest the luckiest first trial lead; when there is
    no such point yet, what there is.
    """
    groups: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[_point_of(row["number"], repeats)].append(row)
    counted = {point: [row for row in group if row["state"] == "finished"] or group for point, group in groups.items()}
    if repeats == 1:
        return list(counted.values())
    trials = schema.trials.c
    over = conn.scalars(select(trials.number).where(trials.sweep == sweep_id, trials.state.not_in(_OPEN)))
    sizes = Counter(_point_of(number, repeats) for number in over)
    whole = [group for point, group in counted.items() if sizes[point] == repeats]
    return whole or list(counted.values())


def _point(rows: Sequence[dict[str, Any]], sign: float) -> dict[str, Any]:
    values = [row["value"] for row in rows]
    best = min(rows, key=lambda row: (sign * row["value"], row["number"]))
    facts = {"value": mean(values), "spread": standard_error(values), "trials": [row["number"] for row in rows]}
    return {**best, **facts}


def _point_of(number: int, repeats: int) -> int:
    return -(-number // repeats)
