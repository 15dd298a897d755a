"""`besom gc`: delete the files that nothing refers to any more."""

from __future__ import annotations

import click

__all__ = ["gc"]


@click.command(epilog="Example: besom gc --older-than 7d --dry-run")
@click.option(
    "--older-than", default="24h", show_default=True, metavar="TIME", help="Spare what is younger; 1h at least."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
def gc(older_than: str, dry_run: bool) -> None:
    """Delete media and files of artifacts that no run and no artifact refers to.

    After `besom rm` they are still there. Folders of offline runs that `besom sync` has sent go as well. Call it where
    the controller runs, with the same BESOM_BLOBS.
    """
    import time
    from functools import partial

    from besom.agent.limits import read_seconds
    from besom.cli.options import connection_for, settings_with
    from besom.cli.reading import opened
    from besom.cli.tables import size
    from besom.errors import UsageError
    from besom.tracking.blobs.place import MIN_GRACE_SECONDS
    from besom.tracking.blobs.ways import kept_at
    from besom.tracking.store.garbage import has_batches, sweep_blobs
    from besom.tracking.writing.sent import sweep_sent

    settings = settings_with()
    grace = read_seconds(older_than, "--older-than")
    if grace < MIN_GRACE_SECONDS:
        raise UsageError(
            f"--older-than {older_than} cannot be: a file is sent before its run says so; write 1h or more"
        )
    connection_for(settings, start=True).close()
    with opened(settings) as api:
        if api.store is None:
            raise UsageError("the store is not on this machine; run besom gc where the controller runs")
        if not api.caught_up():
            raise UsageError("the recorder has not caught up with the journal; try again when a controller is running")
        before = time.time() - grace
        blobs = sweep_blobs(api.store, kept_at(settings), before, dry_run=dry_run, patience=5)
        runs = sweep_sent(settings.dir / "besom-runs", before, partial(has_batches, api.store), dry_run=dry_run)
    would = "would delete" if dry_run else "deleted"
    click.echo(f"{would} {_counted(blobs.count, 'file')}, {size(blobs.bytes)}")
    if runs.count:
        click.echo(f"{would} {_counted(runs.count, 'offline run')}, {size(runs.bytes)}")


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
