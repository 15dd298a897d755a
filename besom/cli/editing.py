"""`besom edit` and `besom enqueue`: change a sweep that runs."""

from __future__ import annotations

import click

__all__ = ["edit", "enqueue"]


@click.command(epilog="Example: besom edit k3x9a2bq --set parameters.lr.max=0.3 --set run_cap=200")
@click.argument("sweep")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Set a key; null takes it away. Repeats."
)
@click.option("--file", type=click.Path(), help="Take what may change, points aside, from a whole sweep file.")
def edit(sweep: str, assignments: tuple[str, ...], file: str | None) -> None:
    """Change the config of SWEEP while it runs.

    Trials that are issued stay as they are; those that follow are drawn from the new space, and what has ended is not
    forgotten. A grid tries the points of the new space that were not tried yet. A parameter inside another is named
    with dots: parameters.optimizer.lr.max=0.3.
    """
    from besom.cli.edits import change
    from besom.cli.options import settings_with
    from besom.controller.editing import assigned, replaced
    from besom.controller.sweep_config import load
    from besom.errors import UsageError

    if bool(assignments) == bool(file):
        raise UsageError("say what to change: --set run_cap=200, or --file sweep.yaml, and not both")
    if file:
        written = load(file).as_dict()
        lines = change(settings_with(), sweep, lambda config, done: replaced(config, written, done))
    else:
        lines = change(settings_with(), sweep, lambda config, done: assigned(config, assignments, done))
    click.echo("\n".join(lines) or "nothing changed")


@click.command(epilog="Example: besom enqueue k3x9a2bq lr=0.01 layers=2")
@click.argument("sweep")
@click.argument("params", nargs=-1, required=True, metavar="PARAM=VALUE...")
def enqueue(sweep: str, params: tuple[str, ...]) -> None:
    """Add a point to SWEEP, the next to be issued after those that wait; what it leaves open is drawn.

    A parameter inside another is written with a dot: optimizer.lr=0.1.
    """
    from besom.cli.edits import change
    from besom.cli.options import settings_with
    from besom.controller.editing import enqueued

    change(settings_with(), sweep, lambda config, done: enqueued(config, params, done))
    click.echo(f"added to {sweep}, next to be issued: {' '.join(params)}")
