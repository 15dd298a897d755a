"""Folders of offline runs that were sent go once the store has all of them, and no sooner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.garbage import has_batches
from besom.tracking.store.store import Store
from besom.tracking.swept import Swept
from besom.tracking.writing.offline import ENDED, OfflineRecord
from besom.tracking.writing.sent import sweep_sent
from besom.tracking.writing.syncing import SYNCED
from tests.tracking.stories import batch, play, started

WRITERS = {"w": 2}


def offline_run(root: Path, *, ended: bool = True, synced_at: float | None = 100.0) -> Path:
    """The folder that a run with two batches leaves."""
    record = OfflineRecord(root, "r")
    record.start(b"{}")
    record.end(0, "", WRITERS)
    if not ended:
        (record.folder / ENDED).unlink()
    if synced_at is not None:
        (record.folder / SYNCED).write_text("redis")
        os.utime(record.folder / SYNCED, (synced_at, synced_at))
    return record.folder


def test_a_run_that_the_store_has_goes(tmp_path: Path) -> None:
    """It is asked for with what each writer had; a dry run counts the same and deletes nothing."""
    folder, asked = offline_run(tmp_path), []
    size = sum(path.stat().st_size for path in folder.iterdir())
    for dry_run in (True, False):
        assert sweep_sent(tmp_path, 101, lambda *told: asked.append(told) or True, dry_run=dry_run) == Swept(1, size)
        assert folder.exists() is dry_run
    assert asked == [("r", WRITERS)] * 2


@pytest.mark.parametrize(
    ("left", "recorded"),
    [({"synced_at": None}, True), ({"synced_at": 101.0}, True), ({"ended": False}, True), ({}, False)],
    ids=["not sent", "sent just now", "killed", "not recorded"],
)
def test_what_may_still_be_needed_stays(tmp_path: Path, left: dict[str, float], recorded: bool) -> None:
    """A run that was not sent, or just now, or whose end or batches are not known, keeps its folder."""
    folder = offline_run(tmp_path, **left)  # type: ignore[arg-type]
    assert sweep_sent(tmp_path, 101, lambda *_: recorded, dry_run=False) == Swept(0, 0)
    assert folder.exists()


def test_the_store_has_all_batches_or_not(store: Store, recorder: Recorder) -> None:
    """Every writer's highest number counts; a run without any has nothing to wait for."""
    play(store, recorder, [started("r"), batch("r", 1, [0], x=[1.0], writer="w")])
    assert has_batches(store, "r", {"w": 1})
    assert has_batches(store, "r", {})
    assert not has_batches(store, "r", WRITERS)
    assert not has_batches(store, "r", {"w": 1, "other": 1})
