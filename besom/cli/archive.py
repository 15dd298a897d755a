"""`besom runs`, `besom export`, `besom backup`."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["backup", "export", "runs"]


@click.command(epilog="Example: besom runs digits --filter state=finished --filter 'config.lr<0.1'")
@click.argument("project", required=False)
@click.option("--filter", "filters", multiple=True, metavar="FIELD=VALUE", help="Only these; also < <= > >= != ~regex.")
@click.option("--order", default="-created_at", show_default=True, help="A field, with - for the largest first.")
@click.option("-n", "--count", type=click.IntRange(1), help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with config and summary.")
def runs(project: str | None, filters: tuple[str, ...], order: str, count: int | None, as_json: bool) -> None:
    """List the runs of PROJECT or ENTITY/PROJECT, or all, the trials of sweeps among them.

    A field is config.NAME, summary_metrics.NAME, state, tags, created_at, display_name, group, sweep and others.
    """
    from besom.cli.options import settings_with
    from besom.cli.reading import opened
    from besom.cli.run_rows import print_runs, read_filters
    from besom.errors import UsageError

    wanted = read_filters(filters)
    with opened(settings_with()) as api:
        try:
            found = api.runs(project, wanted, order)
        except ValueError as error:
            raise UsageError(str(error)) from None
        print_runs(found, count, as_json=as_json)


@click.command(epilog="Example: besom export k3x9a2bq --format csv -o trials.csv")
@click.argument("name", metavar="SWEEP|PROJECT")
@click.option("--format", "kind", type=click.Choice(["csv", "parquet", "jsonl"]), required=True, help="How to write.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File; default is stdout.")
@click.option("--history", is_flag=True, help="One row for each step that was logged; else one for each run.")
def export(name: str, kind: str, output: Path | None, history: bool) -> None:
    """Write the runs of SWEEP or PROJECT with their config and summary, or all that they logged."""
    from besom.cli.exporting import export as export_runs
    from besom.cli.exporting import runs_of
    from besom.cli.options import settings_with
    from besom.cli.reading import opened

    with opened(settings_with(), name, "sweep or project") as api:
        count = export_runs(runs_of(api, name), kind, output, history=history)
    if output is not None:
        click.echo(f"{count} rows in {output}")


@click.command(epilog="Example: besom backup besom-backup.db")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Copy the SQLite store to FILE while a controller works, and check the copy."""
    from besom.cli.options import settings_with
    from besom.cli.reading import opened
    from besom.cli.tables import size
    from besom.errors import UsageError
    from besom.tracking.store.backup import back_up

    with opened(settings_with()) as api:
        if api.store is None:
            raise UsageError("the store is not on this machine; run besom backup where the controller runs")
        copied = back_up(api.store, file)
    click.echo(f"{copied.path}: {size(copied.bytes)}, {copied.runs} runs, checked")
