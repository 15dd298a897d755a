"""`besom agent`, `besom run`, `besom demo`."""

from __future__ import annotations

import sys

import click

__all__ = ["agent", "demo", "run"]


@click.command(epilog="Example: besom agent me/digits/k3x9a2bq --count 10")
@click.argument("sweep")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Run at most N trials.")
@click.option("-p", "--project", help="Project of the sweep, when SWEEP does not say.")
@click.option("-e", "--entity", help="Entity of the sweep, when SWEEP does not say.")
@click.option("--allow-command", is_flag=True, help="Execute whatever command the sweep names, not only its program.")
@click.option("--quiet", is_flag=True, help="Keep the trials' output for `besom logs` without showing it.")
def agent(
    sweep: str, count: int | None, project: str | None, entity: str | None, allow_command: bool, quiet: bool
) -> None:
    """Take trials of SWEEP and run its program or command for each, until none is left.

    SWEEP is id, project/id or entity/project/id. The first Ctrl-C ends after the trial that runs, the second hands it
    back; SIGTERM hands it back at once.
    """
    from besom.agent.agent import Agent
    from besom.broker.find import find_sweep
    from besom.broker.ledger import Ledger
    from besom.broker.service import connect
    from besom.cli.options import settings_with

    settings = settings_with()
    connection = connect(settings, start=False)
    spec = find_sweep(Ledger(connection), sweep, project=project, entity=entity)
    worker = Agent(connection, spec, settings, count=count, allow_command=allow_command, echo=not quiet)
    click.echo(f"agent {worker.id} takes trials of {spec.path}", err=True)
    ran = worker.run()
    click.echo(f"agent {worker.id} ran {ran} trial{'' if ran == 1 else 's'}", err=True)


@click.command(epilog="Example: besom run examples/digits/sweep.yaml --agents 4")
@click.argument("file", type=click.Path())
@click.option("--agents", type=click.IntRange(min=1, max=1024), default=2, show_default=True, help="Agent processes.")
@click.option("-p", "--project", help="Project; default BESOM_PROJECT or the file's.")
@click.option("-e", "--entity", help="User or team; default BESOM_ENTITY or the file's.")
def run(file: str, agents: int, project: str | None, entity: str | None) -> None:
    """Run the sweep in FILE here, all in one: service, sweep, agents, progress.

    Agents that die are started again. Ctrl-C ends everything that was started; the sweep is kept.
    """
    from besom.cli.all_in_one import run_sweep
    from besom.cli.options import settings_with

    sys.exit(run_sweep(file, settings_with(project=project, entity=entity), agents=agents))


@click.command(epilog="Example: besom demo --agents 4")
@click.option("--agents", type=click.IntRange(min=1, max=64), default=2, show_default=True, help="Agent processes.")
def demo(agents: int) -> None:
    """Search the parameters of a small network on scikit-learn's digits: 24 trials, about a minute."""
    from besom.cli.all_in_one import demo_file, run_sweep
    from besom.cli.options import settings_with

    settings = settings_with()
    settings = settings_with(dir=settings.home / "demo")
    sys.exit(run_sweep(demo_file(), settings, agents=agents))
