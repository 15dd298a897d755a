"""How one sweep, trial or run is shown: facts, curve, console."""

from __future__ import annotations

import math
import shutil
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import click

from besom.cli.best import best_columns, best_head, best_rows, metrics_told
from besom.cli.curve import Point, best_so_far, draw, sparkline
from besom.cli.reading import find, sweep_row
from besom.cli.tables import Column, clean, duration, moment, on_terminal, print_facts, print_json, print_table
from besom.errors import NotFound, UsageError
from besom.tracking.reading.api import Api, ApiRun, ApiSweep

__all__ = ["follow_curve", "print_console", "show_one"]

_LOOK_SECONDS: Final = 0.5
_OVER: Final = ("finished", "failed", "crashed", "stopped", "cancelled", "removed")
_BEST: Final = 5
_FAILURES: Final = 5
_SPARK_WIDTH: Final = 30
_METRICS: Final = 30
"""Metrics that are drawn."""
_ALERTS: Final = 10
_TAIL: Final = 10
"""Lines of the console."""


def show_one(api: Api, name: str, *, as_json: bool) -> None:
    """Print what there is to know of it."""
    found = find(api, name)
    if isinstance(found, ApiSweep):
        _show_sweep(found, as_json=as_json)
    elif isinstance(found, ApiRun):
        _show_run(found, as_json=as_json)
        if not as_json:
            _show_alerts(found)
            _show_metrics(api, found)
            _show_last_lines(api, found)
    else:
        facts = {key: found[key] for key in ("number", "state", "params", "attempt", "losses", "error") if found[key]}
        print_facts({"trial": name, **facts}, as_json=as_json)


def _show_sweep(sweep: ApiSweep, *, as_json: bool) -> None:
    row = sweep_row(sweep)
    best = best_rows(sweep, None if sweep.config.get("metrics") else _BEST)
    failed = sweep.trials(state=["failed", "crashed"], order="-ended", limit=_FAILURES)
    if as_json:
        told = {"best_trials": sweep.best_trials(_BEST), "best_points": sweep.best_points(_BEST)}
        if sweep.config.get("metrics"):
            told = {"front": sweep.pareto_front()}
        print_json({**row, "config": sweep.config, **told, "failures": failed})
        return
    facts = {
        "sweep": sweep.path,
        "name": row["name"],
        "method": row["method"],
        "state": row["state"],
        "metric": metrics_told(sweep),
        "trials": ", ".join(f"{number} {state}" for state, number in sorted(sweep.counts.items())) or "none",
        "run_cap": row["run_cap"],
        "created": moment(row["created"]),
    }
    print_facts({name: value for name, value in facts.items() if value not in (None, "")})
    if best:
        click.echo(f"\n{best_head(sweep)}")
        print_table(best[:_BEST], [*best_columns(sweep, best), "params"])
        if len(best) > _BEST:
            click.echo(f"and {len(best) - _BEST} more; all of them with: besom best {sweep.id}")
    if failed:
        click.echo("\nlast failures")
        rows = [{"trial": f"{sweep.id}-{trial['number']}", **trial} for trial in failed]
        print_table(rows, ["trial", "state", Column("error", show=_last_line)])
        click.echo(f"\nsee one with: besom show {sweep.id}-{failed[0]['number']}")


def _show_run(run: ApiRun, *, as_json: bool) -> None:
    started, ended = run["started"], run["ended"]
    facts: dict[str, Any] = {
        "run": run.path,
        "name": run.name,
        "state": run.state,
        "value": run.value,
        "attempt": run["attempt"] if run["sweep"] else None,
        "agent": run["agent"],
        "host": run["host"],
        "exit_code": run["exit_code"],
        "started": started,
        "ended": ended,
        "config": run.config,
        "summary": {name: value for name, value in run.summary.items() if name != "_timestamp"},
    }
    if as_json:
        print_json(
            {
                **facts,
                "id": run.id,
                "sweep": run["sweep"] or None,
                "error": run.error,
                "alerts": run.alerts,
                "metadata": run.metadata,
            }
        )
        return
    facts["started"] = moment(started)
    facts["ended"] = f"{moment(ended)}, after {duration(ended - started)}" if ended and started else None
    print_facts({name: value for name, value in facts.items() if value not in (None, "", {})})
    if run.error:
        click.echo("\nerror")
        for line in run.error.splitlines()[-30:]:
            click.echo(f"  {clean(line)}")


def _show_alerts(run: ApiRun) -> None:
    """The last of them, with the beginning of what they say."""
    alerts = run.alerts
    if not alerts:
        return
    click.echo(f"\nalerts, the last {_ALERTS} of {len(alerts)}" if len(alerts) > _ALERTS else "\nalerts")
    shown = [{**alert, "at": moment(alert["created"])} for alert in alerts[-_ALERTS:]]
    print_table(shown, ["at", "level", "title", Column("text", show=_first_line)])


def _show_metrics(api: Api, run: ApiRun) -> None:
    """A line for each number it logged: where it began, how it went, what it came to."""
    rows = []
    for key in api.ask("keys", run=run.id):
        buckets = [] if key.startswith("_") else api.ask("curve", run=run.id, key=key, points=_SPARK_WIDTH)
        means = [bucket[3] for bucket in buckets]
        if finite := [value for value in means if math.isfinite(value)]:
            steps = f"{int(buckets[0][0])}..{int(buckets[-1][0])}"
            rows.append({"metric": key, "first": finite[0], "curve": means, "last": buckets[-1][4], "steps": steps})
    if not rows:
        return
    click.echo("\nmetrics")
    drawn = Column("curve", show=lambda values: sparkline(values, blocks=_is_utf8()))
    print_table(rows[:_METRICS], ["metric", Column("first", right=True), drawn, Column("last", right=True), "steps"])
    if len(rows) > _METRICS:
        click.echo(f"and {len(rows) - _METRICS} more")


def _show_last_lines(api: Api, run: ApiRun) -> None:
    """The end of what it printed."""
    count = sum(attempt["lines"] for attempt in api.ask("attempts", run_id=run.id))
    lines = run.console(after=max(0, count - _TAIL)) if count else []
    if lines:
        click.echo(f"\nconsole, the last {len(lines)} of {count} lines" if count > len(lines) else "\nconsole")
        for _, _, line in lines:
            click.echo(f"  {clean(line)}".rstrip())


def follow_curve(api: Api, name: str) -> None:
    """Draw the metric's curve, again and again until it is over."""
    found = find(api, name)
    if isinstance(found, dict):
        raise UsageError(f"trial {name} waits for an agent, so there is no curve yet; `besom show {name}` shows it")
    picture = _sweep_picture(found) if isinstance(found, ApiSweep) else _run_picture(api, found)
    if not on_terminal():
        _until_over(picture, lambda lines: None)
        click.echo("\n".join(picture()[1]))
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        _until_over(picture, lambda lines: live.update(Text("\n".join(lines)), refresh=True))


def _until_over(picture: Callable[[], tuple[bool, list[str]]], show: Callable[[list[str]], None]) -> None:
    pause = threading.Event()
    while True:
        over, lines = picture()
        show(lines)
        if over:
            return
        pause.wait(_LOOK_SECONDS)


def _sweep_picture(sweep: ApiSweep) -> Callable[[], tuple[bool, list[str]]]:
    metric = sweep.metric
    if metric is None:
        what = (
            "has several metrics, so there is no one curve"
            if sweep.config.get("metrics")
            else "has no metric, so there is no curve"
        )
        raise UsageError(f"sweep {sweep.id} {what}; name a trial: {sweep.id}-1")

    def picture() -> tuple[bool, list[str]]:
        state = sweep.state
        ended = [trial for trial in sweep.trials() if trial["state"] in _OVER]
        values = best_so_far([trial["value"] for trial in ended], maximize=metric["goal"] == "maximize")
        points = [(float(trial["number"]), value) for trial, value in zip(ended, values, strict=True)]
        head = f"{sweep.path}  {state}  {len(ended)} trials ended, best {metric['name']} so far, by trial"
        return state in _OVER, [head, *_drawn(points)]

    return picture


def _run_picture(api: Api, run: ApiRun) -> Callable[[], tuple[bool, list[str]]]:
    sweep = api.sweep(run["sweep"]) if run["sweep"] else None
    written = (sweep.config.get("metrics") or [sweep.metric]) if sweep is not None else [None]
    wanted = written[0]["name"] if written[0] else None

    def picture() -> tuple[bool, list[str]]:
        now = api.run(run.id)
        names = [wanted] if wanted else [name for name in api.ask("keys", run=run.id) if not name.startswith("_")]
        key = names[0] if names else None
        points: list[Point] = []
        if key is not None:
            buckets = api.ask("curve", run=run.id, key=key, points=2 * _width())
            points = [(bucket[0], bucket[3]) for bucket in buckets]
        return now.state in _OVER, [f"{run.path}  {now.state}  {key or 'nothing logged yet'}, by step", *_drawn(points)]

    return picture


def _drawn(points: list[Point]) -> list[str]:
    return draw([point for point in points if not math.isnan(point[1])], _width(), 14, braille=_is_utf8())


def _is_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _width() -> int:
    return min(shutil.get_terminal_size().columns, 100)


def print_console(api: Api, name: str, *, follow: bool) -> None:
    """Print the lines of a run's stdout and stderr, each to its own."""
    run = find(api, name)
    if isinstance(run, ApiSweep):
        raise UsageError(f"{name} is a sweep; name one of its trials, such as {name}-1")
    run_id = run.id if isinstance(run, ApiRun) else name.rpartition("/")[2]
    shown, pause = 0, threading.Event()
    while True:
        try:
            over = api.run(run_id).state in _OVER
        except NotFound:
            over = not follow  # nobody has claimed it yet
        lines = api.ask("console", run_id=run_id, after=shown)
        for stream, _, line in lines:
            click.echo(line, err=stream == "stderr")
        shown += len(lines)
        if over or not follow:
            break
        pause.wait(_LOOK_SECONDS)
    if not shown:
        click.echo(f"run {run_id} has written nothing that was kept (BESOM_CONSOLE=off keeps nothing)", err=True)


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")


def _last_line(error: str) -> str:
    return error.strip().splitlines()[-1] if error.strip() else ""
