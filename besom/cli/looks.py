"""`besom ls`, `besom show`, `besom logs`, `besom best`."""

from __future__ import annotations

import click

__all__ = ["best", "logs", "ls", "show"]


@click.command(epilog="Example: besom ls --project digits")
@click.option("-p", "--project", help="Only this project's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ls(project: str | None, as_json: bool) -> None:
    """List the sweeps, newest first."""
    from besom.cli.options import settings_with
    from besom.cli.reading import opened, sweep_rows
    from besom.cli.tables import Column, ago, print_table

    with opened(settings_with()) as api:
        rows = sweep_rows(api, project)
    numbers = [Column(name, right=True) for name in ("done", "running", "queued", "failed")]
    age = Column("created", "age", right=True, show=ago)
    columns: list[Column | str] = [
        "id",
        "project",
        "name",
        "method",
        "state",
        *numbers,
        Column("best", right=True),
        age,
    ]
    print_table(rows, columns, as_json=as_json)


@click.command(epilog="Example: besom show k3x9a2bq-7 --follow")
@click.argument("name", metavar="SWEEP|TRIAL|RUN")
@click.option("--follow", is_flag=True, help="Draw the metric's curve until it is over.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, follow: bool, as_json: bool) -> None:
    """Show a sweep, a trial (SWEEP-NUMBER) or a run; a failed trial with the end of its traceback."""
    from besom.cli.options import settings_with
    from besom.cli.reading import opened
    from besom.cli.showing import follow_curve, show_one
    from besom.errors import UsageError

    if follow and as_json:
        raise UsageError("--follow draws a curve and --json prints one document; write one of them")
    with opened(settings_with(), name, "sweep, trial or run") as api:
        if follow:
            follow_curve(api, name)
        else:
            show_one(api, name, as_json=as_json)


@click.command(epilog="Example: besom logs k3x9a2bq-7 --follow")
@click.argument("name", metavar="TRIAL|RUN")
@click.option("--follow", is_flag=True, help="Go on until the run is over.")
def logs(name: str, follow: bool) -> None:
    """Print what a trial or run wrote: its stdout to stdout, its stderr to stderr."""
    from besom.cli.options import settings_with
    from besom.cli.reading import opened
    from besom.cli.showing import print_console

    with opened(settings_with(), name, "trial or run") as api:
        print_console(api, name, follow=follow)


@click.command(epilog="Example: besom best k3x9a2bq --args | xargs python train.py")
@click.argument("sweep")
@click.option("--trial", type=click.IntRange(1), metavar="NUMBER", help="This trial's instead of the best one's.")
@click.option("--args", "as_args", is_flag=True, help="Print the arguments only, to be pasted.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def best(sweep: str, trial: int | None, as_args: bool, as_json: bool) -> None:
    """Print the best parameters of SWEEP, as YAML and as command line arguments.

    Of a sweep with several metrics it prints the trials that no other beats in all of them; pick one with --trial. With
    repeats what counts is the mean of a point's trials.
    """
    from besom.cli.best import print_best
    from besom.cli.options import settings_with
    from besom.cli.reading import opened

    with opened(settings_with(), sweep) as api:
        print_best(api.sweep(sweep), trial=trial, as_args=as_args, as_json=as_json)
