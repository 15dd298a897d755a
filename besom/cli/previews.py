"""What `besom check` prints of a sound sweep file."""

from __future__ import annotations

import dataclasses
import sys

import click

from besom.cli.tables import print_facts, print_json, print_table
from besom.controller.overview import Overview, look_over
from besom.controller.sections import shown
from besom.controller.stopping_config import EarlyTerminate
from besom.controller.sweep_config import Goal, SweepConfig

__all__ = ["preview"]


def preview(config: SweepConfig, file: str, *, as_json: bool) -> None:
    """Print a config's space, its size, its first points and its bands; warnings go to stderr.

    Raises:
        ConfigError: the method cannot search this space.
    """
    for warning in config.warnings:
        print(f"besom: {warning}", file=sys.stderr)
    found = look_over(config)
    if as_json:
        print_json({"method": config.method, **dataclasses.asdict(found), "warnings": list(config.warnings)})
        return
    conditional = any(row["when"] for row in found.rows)
    print_table(found.rows, ["name", "law", "range", "examples", *(["when"] if conditional else [])])
    click.echo()
    print_facts(_facts(config, found))
    # Without a seed of its own the sweep will draw one, and these are those of another.
    label = "first" if config.method == "grid" or config.seed is not None else "such as"
    for number, params in enumerate(found.first, start=1):
        click.echo(f"{label if number == 1 else '':<8}{number}  {shown(params, limit=200)}")
    click.echo(f"{file} is sound; create the sweep with: besom sweep {file}")


def _facts(config: SweepConfig, found: Overview) -> dict[str, str]:
    metrics = [config.metric] if config.metric else list(config.metrics or ())
    rule = config.early_terminate
    uncounted = "infinitely many" if not found.allowed else "not counted"
    facts = {
        "method": config.method,
        "metric": ", ".join(map(_aim, metrics)),
        "points": str(uncounted if found.points is None else found.points),
        "allowed": found.allowed,
        "trials": _trials(config, found),
        "stopping": _stopping(rule, found) if rule else "",
    }
    return {name: fact for name, fact in facts.items() if fact}


def _stopping(rule: EarlyTerminate, found: Overview) -> str:
    bands = ", ".join(map(str, found.bands)) + (", ..." if found.more_bands else "")
    by = f" by {rule.metric}" if rule.metric else ""
    judged = f"judged{by} at {bands or 'every value'}"
    return f"{rule.type}, {judged}{', stopped ones are promoted' if found.promotes else ''}"


def _aim(metric: Goal) -> str:
    """Where a metric should go, and the values that matter on the way."""
    bounds = {"threshold": getattr(metric, "threshold", None), "target": metric.target}
    told = ", ".join(f"{name} {value:g}" for name, value in bounds.items() if value is not None)
    return f"{metric.goal} {metric.name}" + (f" ({told})" if told else "")


def _trials(config: SweepConfig, found: Overview) -> str:
    whole = None if found.points is None or config.method == "random" else found.points * config.repeats
    limits = [limit for limit in (whole, config.run_cap) if limit is not None]
    return str(min(limits)) if limits else "without end; write run_cap or time_cap to have one" * (not config.time_cap)
