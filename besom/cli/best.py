"""How the best of a sweep is shown: one point, or of several metrics the front of those that no other beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from besom.cli.tables import Column, print_json, print_table, short
from besom.errors import UsageError
from besom.tracking.reading.api import ApiSweep

__all__ = ["best_columns", "best_head", "best_rows", "metrics_told", "print_best"]


def metrics_told(sweep: ApiSweep) -> str:
    """What it optimises: `maximize acc, minimize seconds`."""
    metrics = sweep.config.get("metrics") or [metric for metric in [sweep.metric] if metric]
    return ", ".join(f"{metric.get('goal', 'minimize')} {metric['name']}" for metric in metrics)


def best_rows(sweep: ApiSweep, count: int | None = None) -> list[dict[str, Any]]:
    """The best points, or the whole front; rows to print, with a column for each value and for its standard error."""
    if sweep.config.get("metrics"):
        return [_row(sweep, point, point["values"], point["spreads"]) for point in sweep.pareto_front()[:count]]
    name = sweep.metric["name"] if sweep.metric else "value"
    points = sweep.best_points(count or 1)
    return [_row(sweep, point, {name: point["value"]}, {name: point["spread"]}) for point in points]


def _row(
    sweep: ApiSweep, point: dict[str, Any], values: Mapping[str, float], spreads: Mapping[str, float | None]
) -> dict[str, Any]:
    told = {f"value {name}": _with_error(value, spreads[name]) for name, value in values.items()}
    return {**point, "trial": f"{sweep.id}-{point['number']}", "of": len(point["trials"]), **told}


def _with_error(value: float, error: float | None) -> str:
    return short(value) if error is None else f"{short(value)} ± {error:.2g}"


def best_columns(sweep: ApiSweep, rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Columns for `best_rows`: trial, of how many it is the mean, values, and states where one is not finished."""
    several = int(sweep.config.get("repeats", 1)) > 1
    of = [Column("of", "trials", right=True)] if several else []
    values = [Column(key, key.removeprefix("value "), right=True) for key in rows[0] if key.startswith("value ")]
    state = [Column("state")] if any(row["state"] != "finished" for row in rows) else []
    return [Column("trial"), *of, *values, *state]


def best_head(sweep: ApiSweep) -> str:
    """What stands above them."""
    repeats = int(sweep.config.get("repeats", 1))
    means = f", means of {repeats} trials" if repeats > 1 else ""
    if not sweep.config.get("metrics"):
        return f"best points{means}" if means else "best trials"
    return f"Pareto front by {sweep.config['metrics'][0]['name']}{means}"


def print_best(sweep: ApiSweep, *, trial: int | None, as_args: bool, as_json: bool) -> None:
    """Print the best trial's parameters, or those of another; of several metrics the front.

    Raises:
        UsageError: there is no best, or no such trial; or arguments are asked for and there is a front.
    """
    if trial is not None:
        _print_point(sweep, _trial(sweep, trial), as_args=as_args, as_json=as_json)
    elif sweep.config.get("metrics"):
        _print_front(sweep, as_args=as_args, as_json=as_json)
    else:
        best = next(iter(sweep.best_points(1)), None)
        if best is None:
            raise UsageError(_why_none(sweep))
        _print_point(sweep, best, as_args=as_args, as_json=as_json)


def _trial(sweep: ApiSweep, number: int) -> dict[str, Any]:
    """A trial as a point of its own, or as the point of the front that it belongs to."""
    known = sweep.pareto_front() if sweep.config.get("metrics") else []
    found = next((row for row in known if number in row["trials"]), None)
    if found is not None:
        return found
    row = next(iter(sweep.trials(after=number - 1, limit=1)), None)
    if row is None or row["number"] != number:
        raise UsageError(f"sweep {sweep.id} has no trial {number}; `besom show {sweep.id}` shows those it has")
    return {**row, "spread": None, "spreads": dict.fromkeys(row.get("values", ())), "trials": [number]}


def _print_point(sweep: ApiSweep, point: dict[str, Any], *, as_args: bool, as_json: bool) -> None:
    arguments = _arguments(point["params"])
    if as_json:
        print_json({"sweep": sweep.id, "metric": sweep.metric, **_facts(point), "args": arguments})
    elif as_args:
        click.echo(arguments)
    else:
        click.echo(f"# trial {sweep.id}-{point['number']}: {_told(sweep, point)}")
        click.echo(_yaml(point["params"]), nl=False)
        click.echo("\n# ".join(["# as arguments:", *arguments.splitlines()]))


def _told(sweep: ApiSweep, point: dict[str, Any]) -> str:
    """Its values, and how many trials they are the means of."""
    if "values" in point:
        values, spreads = point["values"], point["spreads"]
    else:
        name = sweep.metric["name"] if sweep.metric else "value"
        values, spreads = {name: point["value"]}, {name: point["spread"]}
    known = [f"{name} {_with_error(one, spreads[name])}" for name, one in values.items() if one is not None]
    count = len(point["trials"])
    return (", ".join(known) or str(point["state"])) + (f" (mean of {count} trials)" if count > 1 else "")


def _print_front(sweep: ApiSweep, *, as_args: bool, as_json: bool) -> None:
    front = sweep.pareto_front()
    if not front:
        raise UsageError(_why_none(sweep))
    if as_json:
        points = [{**_facts(point), "args": _arguments(point["params"])} for point in front]
        print_json({"sweep": sweep.id, "metrics": sweep.config["metrics"], "front": points})
        return
    if as_args:
        raise UsageError(
            f"sweep {sweep.id} has several metrics and {len(front)} trials that no other beats; name one: "
            f"besom best {sweep.id} --trial {front[0]['number']} --args"
        )
    rows = best_rows(sweep)
    click.echo(f"# {best_head(sweep)}; {metrics_told(sweep)}")
    print_table(rows, [*best_columns(sweep, rows), "params"])
    click.echo(f"# one of them: besom best {sweep.id} --trial {front[0]['number']}")


def _facts(point: dict[str, Any]) -> dict[str, Any]:
    """What JSON tells of a point."""
    told = ("values", "spreads") if "values" in point else ("value", "spread")
    return {"trial": point["number"], **{key: point[key] for key in (*told, "trials", "state", "params")}}


def _why_none(sweep: ApiSweep) -> str:
    """Why no trial is the best, and what to do."""
    metrics = sweep.config.get("metrics") or [metric for metric in [sweep.metric] if metric]
    names = " and ".join(metric["name"] for metric in metrics)
    bounds = any(metric.get("threshold") is not None for metric in metrics)
    within = " within the thresholds" if bounds else ""
    why = f"no trial of it has logged {names}{within} and finished" if names else "it names no metric to rank by"
    return f"sweep {sweep.id} has no best trial: {why}; `besom show {sweep.id}` shows its trials"


def _arguments(params: Mapping[str, Any]) -> str:
    import shlex

    return " ".join(shlex.quote(f"--{name}={value}") for name, value in params.items())


def _yaml(params: dict[str, Any]) -> str:
    from io import StringIO

    from ruamel.yaml import YAML

    writer, text = YAML(typ="safe", pure=True), StringIO()
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.dump(params, text)
    return text.getvalue()
