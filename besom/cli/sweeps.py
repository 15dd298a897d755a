"""`besom sweep`, and what steers a sweep: `pause`, `resume`, `stop`, `cancel`, `rm`."""

from __future__ import annotations

import sys

import click

__all__ = ["cancel", "pause", "resume", "retry", "rm", "stop", "sweep"]


@click.command(epilog="Example: besom sweep sweep.yaml --project digits")
@click.argument("file", type=click.Path())
@click.option("-p", "--project", help="Project; default BESOM_PROJECT or the file's.")
@click.option("-e", "--entity", help="User or team; default BESOM_ENTITY or the file's.")
@click.option("--name", help="Name of the sweep, in place of the file's.")
@click.option("--program", help="Script that trains, in place of the file's.")
@click.option(
    "-R", "--prior-run", "--prior_run", "prior_runs", multiple=True, help="Id of a run to learn from. Repeats."
)
def sweep(
    file: str,
    project: str | None,
    entity: str | None,
    name: str | None,
    program: str | None,
    prior_runs: tuple[str, ...],
) -> None:
    """Create a sweep from a YAML or JSON FILE; agents take its trials from then on.

    Without a Redis configured, the service starts by itself.
    """
    from besom.cli.options import settings_with
    from besom.cli.steering import create

    settings = settings_with(project=project, entity=entity)
    create(
        settings, file, project=project, entity=entity, name=name, program=program, prior_runs=list(prior_runs) or None
    )


@click.command(epilog="Example: besom pause k3x9a2bq")
@click.argument("sweep")
def pause(sweep: str) -> None:
    """Start no new trial of SWEEP; those that run go on, agents wait."""
    _steer(sweep, "paused")


@click.command(epilog="Example: besom resume k3x9a2bq")
@click.argument("sweep")
def resume(sweep: str) -> None:
    """Go on with a paused SWEEP."""
    _steer(sweep, "running")


@click.command(epilog="Example: besom stop k3x9a2bq")
@click.argument("sweep")
def stop(sweep: str) -> None:
    """End SWEEP: no new trial starts, those that run may finish, agents leave."""
    _steer(sweep, "stopping")


@click.command(epilog="Example: besom cancel k3x9a2bq")
@click.argument("sweep")
def cancel(sweep: str) -> None:
    """End SWEEP at once: trials that run are ended, agents leave."""
    _steer(sweep, "cancelled")


@click.command(epilog="Example: besom retry k3x9a2bq --failed")
@click.argument("sweep")
@click.option("--failed", is_flag=True, help="Only trials that failed.")
@click.option("--crashed", is_flag=True, help="Only trials that crashed.")
def retry(sweep: str, failed: bool, crashed: bool) -> None:
    """Run the failed and crashed trials of SWEEP again, with the same params; a finished sweep goes on.

    They keep their numbers and folders, and count for run_cap once, as before.
    """
    from besom.cli.options import settings_with
    from besom.cli.steering import reopen

    both = failed == crashed
    click.echo(reopen(settings_with(), sweep, ["failed", "crashed"] if both else ["failed"] if failed else ["crashed"]))


@click.command(epilog="Example: besom rm k3x9a2bq me/digits/h7d0w4zn")
@click.argument("names", nargs=-1, required=True, metavar="SWEEP|RUN...")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def rm(names: tuple[str, ...], yes: bool) -> None:
    """Delete sweeps, with their trials, and runs, with all they logged.

    Nothing brings them back. A sweep that is not over is refused: cancel it first.
    """
    from besom.cli.options import settings_with
    from besom.cli.steering import Removal
    from besom.errors import UsageError

    with Removal(settings_with(), names) as removal:
        if not yes:
            if not sys.stdin.isatty():
                raise UsageError(f"would delete {removal.words}, and nobody can be asked; add --yes")
            if not click.confirm(f"Delete {removal.words}?"):
                click.echo("nothing deleted", err=True)
                sys.exit(1)
        removal.carry_out()
        click.echo(f"deleted {removal.words}")


def _steer(sweep: str, state: str) -> None:
    from besom.cli.options import settings_with
    from besom.cli.steering import move

    click.echo(move(settings_with(), sweep, state))
