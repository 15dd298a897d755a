"""`besom import`: bring in what another tracker recorded."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from besom.tracking.wandb_files.sending import Imported

__all__ = ["import_"]


@click.command("import", epilog="Example: besom import wandb ./wandb")
@click.argument("kind", type=click.Choice(["wandb"]), metavar="wandb")
@click.argument("folder", type=click.Path(), metavar="DIR")
def import_(kind: str, folder: str) -> None:
    """Bring in the runs that the wandb package recorded in DIR: a .wandb file, a run's folder, a whole wandb folder.

    Their names, config, history, summary, media, console, system metrics and artifacts. Nothing comes in twice, however
    often it is called; DIR stays as it is. Exit code 1 when a file cannot be read, or its run's id is taken.
    """
    from pathlib import Path

    from besom.broker.journal import Journal
    from besom.cli.options import connection_for, settings_with
    from besom.cli.reading import opened
    from besom.tracking.blobs.ways import blobs_of
    from besom.tracking.wandb_files.importing import Importer, find_files

    paths = find_files(Path(folder))
    settings = settings_with()
    connection = connection_for(settings, start=True)
    failed = False
    try:
        with opened(settings) as api:
            importer = Importer(Journal(connection), blobs_of(settings), api.ask, settings, advanced=_show)
            for place, one in enumerate(importer.import_all(paths), 1):
                _show("", 0, 0)
                click.echo(f"[{place}/{len(paths)}] {_line(one)}")
                failed = failed or one.outcome in ("damaged", "taken")
    finally:
        connection.close()
    sys.exit(1 if failed else 0)


def _show(run: str, done: int, of: int) -> None:
    """How far a long file is, on a terminal, in a line that goes away again."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{run}: {100 * done // of} %" if of else "\r\x1b[K", nl=False, err=True)


def _line(one: Imported) -> str:
    told = {
        "imported": f"imported, {one.rows} rows, {one.files} files",
        "running": "still running; call again when it has ended",
        "taken": "left out",
        "damaged": "cannot be read",
    }.get(one.outcome, one.outcome)
    return f"{one.run or one.path}: {told}" + "".join(f"; {problem}" for problem in one.problems)
