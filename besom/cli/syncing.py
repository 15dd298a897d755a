"""`besom sync`: send what was recorded without a Redis."""

from __future__ import annotations

import sys

import click

__all__ = ["sync"]


@click.command(epilog="Example: besom sync besom-runs")
@click.argument("folder", type=click.Path(), metavar="DIR")
def sync(folder: str) -> None:
    """Send the offline runs and spools in DIR and below it to Redis.

    Nothing is sent twice, however often it is called. The folders of offline runs stay; spools that were left behind
    by other runs are gone once they are sent. Media and artifacts that wait on this machine go too. Exit code 1 when a
    folder is damaged.
    """
    from pathlib import Path

    from besom.broker.journal import Journal
    from besom.cli.options import connection_for, settings_with
    from besom.errors import NotFound
    from besom.tracking.blobs.ways import blobs_of
    from besom.tracking.writing.syncing import sync as send

    settings = settings_with()
    blobs = blobs_of(settings)
    connection = connection_for(settings, start=True)
    damaged, leftovers = False, blobs.send_leftovers()
    try:
        for one in send(Path(folder), Journal(connection), blobs, patience=10):
            told = {"sent": f"sent, {one.batches} batches", "running": "still running; call again when it has ended"}
            click.echo(f"{one.run or one.folder}: {told.get(one.outcome, one.outcome)}")
            damaged = damaged or one.outcome == "damaged"
    except NotFound:
        if not leftovers:
            raise
    finally:
        if left := blobs.settle(600):
            click.echo(f"{left} files have not arrived at {blobs.where} yet; call again", err=True)
        connection.close()
    sys.exit(1 if damaged else 0)
