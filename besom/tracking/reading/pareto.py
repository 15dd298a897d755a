"""Sweeps with several metrics: which trials no other trial beats in all of them.

Reads: the store.  Gives: plain dicts.  A trial's values are the last ones that it logged, so that they belong together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from besom.messages import run_id_of
from besom.tracking.reading.tried_points import counted_by_point, repeats_of
from besom.tracking.store import reader
from besom.tracking.store.means import mean, standard_error
from besom.tracking.store.score import vectors

__all__ = ["front", "metric_values", "pareto_front"]


def pareto_front(conn: Connection, sweep_id: str) -> list[dict[str, Any]]:
    """Finished and stopped trials, with `values` by metric, of which no other is as good in all and better in one.

    By the first metric, best first. A sweep with one metric has a front of its best trials. What is worse than a
    metric's threshold is not in it. With `repeats` a row is a point: its `values` are means with `spreads`, their
    standard errors, and `trials` has the numbers of the trials, of which the first gives the rest of the row.
    """
    found = reader.sweep(conn, sweep_id)
    spec = found["spec"] if found else {}
    written = spec.get("config", {}).get("metrics") or [metric for metric in [spec.get("metric")] if metric]
    signs = {metric["name"]: -1.0 if metric.get("goal") == "maximize" else 1.0 for metric in written}
    rows = metric_values(conn, sweep_id, list(signs)) if signs else []
    whole = [row for row in rows if None not in row["values"].values()]
    tried = [_point(group) for group in counted_by_point(conn, sweep_id, whole, repeats_of(spec))]
    useful = [row for row in tried if all(_is_useful(row["values"], metric) for metric in written)]
    points = [[sign * row["values"][name] for name, sign in signs.items()] for row in useful]
    kept = front(points)
    return [useful[index] for index in sorted(kept, key=lambda index: (points[index], useful[index]["number"]))]


def _point(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    columns = {name: [row["values"][name] for row in rows] for name in rows[0]["values"]}
    return {
        **rows[0],
        "values": {name: mean(column) for name, column in columns.items()},
        "spreads": {name: standard_error(column) for name, column in columns.items()},
        "trials": [row["number"] for row in rows],
    }


def _is_useful(values: Mapping[str, float], metric: Mapping[str, Any]) -> bool:
    threshold: float | None = metric.get("threshold")
    if threshold is None:
        return True
    value = values[metric["name"]]
    return value >= threshold if metric.get("goal") == "maximize" else value <= threshold


def metric_values(
    conn: Connection,
    sweep_id: str,
    metrics: Sequence[str],
    state: str | Collection[str] | None = ("finished", "stopped"),
    order: str = "number",
    limit: int | None = None,
    after: int | None = None,
) -> list[dict[str, Any]]:
    """Trials as `reader.trials` gives them, with `values`: the last valid one that each logged of these, or None."""
    rows = reader.trials(conn, sweep_id, state, order, limit, after)
    found = vectors(conn, [run_id_of(sweep_id, row["number"]) for row in rows], metrics)
    for row in rows:
        row["values"] = dict(zip(metrics, found[run_id_of(sweep_id, row["number"])], strict=True))
    return rows


def front(points: Sequence[Sequence[float]]) -> list[int]:
    """Indices of the points that no other dominates, lower being better; equal ones all stay."""
    ordered = sorted(range(len(points)), key=lambda index: tuple(points[index]))
    kept: list[int] = []
    for index in ordered:
        # What dominates a point comes before it in this order, and is dominated by none or by one that is kept.
        if not any(_dominates(points[other], points[index]) for other in kept):
            kept.append(index)
    return sorted(kept)


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
