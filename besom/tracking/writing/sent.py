"""Folders of offline runs that `besom sync` has sent: swept out once the store has all that is in them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from besom.messages import RunEnded, RunStarted
from besom.tracking.swept import Swept
from besom.tracking.writing.offline import ENDED, STARTED, read_event
from besom.tracking.writing.syncing import SYNCED

__all__ = ["IsRecorded", "sweep_sent"]

IsRecorded = Callable[[str, Mapping[str, int]], bool]
"""Whether the store has so many batches of each of a run's writers."""


def sweep_sent(root: Path, before: float, is_recorded: IsRecorded, *, dry_run: bool) -> Swept:
    """Delete folders of offline runs that were sent before `before`, seconds since the epoch, and are recorded whole.

    Args:
        root: The folder with the runs' folders.
        before: What was sent later is spared.
        is_recorded: Asked about each run.
        dry_run: Only count.
    """
    count = total = 0
    for marker in sorted(root.glob(f"*/{SYNCED}")):
        folder = marker.parent
        if marker.stat().st_mtime >= before or not _is_whole(folder, is_recorded):
            continue
        count += 1
        total += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if not dry_run:
            shutil.rmtree(folder)
    return Swept(count, total)


def _is_whole(folder: Path, is_recorded: IsRecorded) -> bool:
    started, ended = read_event(folder / STARTED), read_event(folder / ENDED)
    if not isinstance(started, RunStarted) or not isinstance(ended, RunEnded):
        return False
    return is_recorded(started.run, ended.writers)
