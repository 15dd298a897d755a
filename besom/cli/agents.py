"""`besom agent`, `besom agents`, `besom run`, `besom demo`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

__all__ = ["agent", "agents", "demo", "run"]


def _slot_options(command: Callable[..., None]) -> Callable[..., None]:
    """--slots, --gpus and --gpus-per-trial: for `agent`, and passed on by `run`."""
    options = (
        click.option(
            "--slots",
            type=click.IntRange(1, 1024),
            metavar="N",
            help="Trials at once; default what the GPUs carry, else 1.",
        ),
        click.option(
            "--gpus", metavar="LIST|auto", help="GPUs that trials get: indices or UUIDs such as 0,1, or auto."
        ),
        click.option(
            "--gpus-per-trial",
            metavar="N",
            help="GPUs for each trial (default 1), or a fraction such as 0.5: trials share one.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(epilog="Example: besom agent me/digits/k3x9a2bq --slots 4 --gpus 0,1 --gpus-per-trial 0.5")
@click.argument("sweep", required=False)
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Run at most N trials.")
@click.option("-p", "--project", help="Project of the sweep; without SWEEP, serve all sweeps of this project.")
@click.option("-e", "--entity", help="Entity of the sweep or project, when SWEEP does not say.")
@_slot_options
@click.option(
    "--max-failures", type=click.IntRange(min=1), metavar="N", help="End, with exit code 1, after N failed trials."
)
@click.option(
    "--max-consecutive-failed-runs", type=click.IntRange(min=1), metavar="N", help="The same after N in a row."
)
@click.option("--idle-timeout", metavar="TIME", help="End when there was no work for so long: seconds, 10m, 2h.")
@click.option(
    "--max-runtime",
    metavar="TIME",
    help="Take no trial that would not end in time, and hand back what runs shortly before: seconds, 2h, 1-00:00:00.",
)
@click.option("-f", "--forward-signals", is_flag=True, help="Pass signals on to the trials.")
@click.option(
    "--kill-delay", type=click.FloatRange(min=0), metavar="SECONDS", help="Between SIGTERM and SIGKILL of a trial."
)
@click.option("--allow-command", is_flag=True, help="Execute whatever command the sweep names, not only its program.")
@click.option("--quiet", is_flag=True, help="Keep the trials' output for `besom logs` without showing it.")
def agent(
    sweep: str | None,
    count: int | None,
    project: str | None,
    entity: str | None,
    slots: int | None,
    gpus: str | None,
    gpus_per_trial: str | None,
    max_failures: int | None,
    max_consecutive_failed_runs: int | None,
    idle_timeout: str | None,
    max_runtime: str | None,
    forward_signals: bool,
    kill_delay: float | None,
    allow_command: bool,
    quiet: bool,
) -> None:
    """Take trials of SWEEP and run its program or command for each, until none is left.

    SWEEP is id, project/id or entity/project/id. The first Ctrl-C ends after the trials that run, the second hands them
    back; SIGTERM hands them back at once.

    Without SWEEP, --project P serves all sweeps of P, those that come later too, until a limit or a signal ends it.
    """
    from besom.agent.agent import Agent
    from besom.agent.gpus import read_gpus
    from besom.agent.limits import read_limits
    from besom.broker.find import find_sweep, read_address
    from besom.broker.ledger import Ledger
    from besom.broker.service import connect
    from besom.cli.options import settings_with

    if sweep is None and not project:
        raise click.UsageError("Missing argument 'SWEEP', or --project P to serve all sweeps of a project")
    settings = settings_with(kill_delay_seconds=kill_delay)
    limits = read_limits(
        settings,
        count=count, max_failures=max_failures, max_consecutive_failed_runs=max_consecutive_failed_runs,
        idle_timeout=idle_timeout, max_runtime=max_runtime,
    )  # fmt: skip
    devices = read_gpus(slots, gpus, gpus_per_trial)
    if sweep is not None:
        read_address(sweep)  # before anything is opened
    connection = connect(settings, start=False)
    spec = None if sweep is None else find_sweep(Ledger(connection), sweep, project=project, entity=entity)
    worker = Agent(
        connection, spec, settings, limits=limits, gpus=devices, allow_command=allow_command, echo=not quiet,
        forward_signals=forward_signals, project=None if spec else (entity or "", project or ""),
    )  # fmt: skip
    click.echo(f"agent {worker.id} takes trials of {spec.path if spec else f'all sweeps of {project}'}", err=True)
    ran = worker.run()
    click.echo(f"agent {worker.id} ran {ran} trial{'' if ran == 1 else 's'}", err=True)
    if worker.tally.gave_up:
        sys.exit(1)


@click.command(epilog="Example: besom agents --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def agents(as_json: bool) -> None:
    """List the agents that are there: where, since when, and what they run."""
    from besom.agent.present import present_agents
    from besom.broker.service import connect
    from besom.cli.options import settings_with
    from besom.cli.tables import Column, ago, print_table

    rows = present_agents(connect(settings_with(), start=False, patience=10))
    columns: list[Column | str] = [
        "id",
        "host",
        Column("pid", right=True),
        Column("serves", "sweep"),
        Column("slots", right=True),
        Column("gpus", show=",".join),
        Column("running", show=" ".join),
        Column("since", "age", right=True, show=ago),
        Column("beat", "last beat", right=True, show=lambda seconds: f"{seconds:.0f}s"),
    ]
    print_table(rows, columns, as_json=as_json)


@click.command(epilog="Example: besom run examples/digits/sweep.yaml --agents 4")
@click.argument("file", type=click.Path())
@click.option(
    "--agents", type=click.IntRange(1, 1024), metavar="N", help="Agent processes; default 2, with slots or GPUs 1."
)
@_slot_options
@click.option("-p", "--project", help="Project; default BESOM_PROJECT or the file's.")
@click.option("-e", "--entity", help="User or team; default BESOM_ENTITY or the file's.")
def run(
    file: str,
    agents: int | None,
    slots: int | None,
    gpus: str | None,
    gpus_per_trial: str | None,
    project: str | None,
    entity: str | None,
) -> None:
    """Run the sweep in FILE here, all in one: service, sweep, agents, progress.

    Agents that die are started again. Ctrl-C ends everything that was started; the sweep is kept.
    """
    from besom.agent.gpus import read_gpus
    from besom.cli.all_in_one import run_sweep
    from besom.cli.options import settings_with
    from besom.errors import UsageError

    read_gpus(slots, gpus, gpus_per_trial)  # before anything is started
    if gpus is not None and (agents or 1) > 1:
        raise UsageError(
            f"--agents {agents} would each use --gpus {gpus}; one agent drives them all: leave --agents out"
        )
    passed_on = {"--slots": slots, "--gpus": gpus, "--gpus-per-trial": gpus_per_trial}
    options = [text for name, value in passed_on.items() if value is not None for text in (name, str(value))]
    settings = settings_with(project=project, entity=entity)
    sys.exit(run_sweep(file, settings, agents=agents or (1 if options else 2), options=options))


@click.command(epilog="Example: besom demo --agents 4")
@click.option("--agents", type=click.IntRange(min=1, max=64), default=2, show_default=True, help="Agent processes.")
def demo(agents: int) -> None:
    """Search the parameters of a small network on scikit-learn's digits: 24 trials, about a minute."""
    from besom.cli.all_in_one import demo_file, run_sweep
    from besom.cli.options import settings_with

    settings = settings_with()
    settings = settings_with(dir=settings.home / "demo")
    sys.exit(run_sweep(demo_file(), settings, agents=agents))
