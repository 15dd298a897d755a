"""What goes with a run that is removed, and what others need of it stays."""

from __future__ import annotations

import zlib
from typing import Any

from sqlalchemy import func, select

from besom.messages import FileSaved, SweepRemoved
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store import schema
from besom.tracking.store.store import Store
from tests.tracking.store.test_artifact_rows import held, logged
from tests.tracking.stories import play, started


def _texts(store: Store) -> list[str]:
    with store.read() as conn:
        return sorted(zlib.decompress(row.text).decode() for row in conn.execute(select(schema.texts)))


def _of(packages: str, diff: str = "") -> dict[str, Any]:
    told = {"packages": packages, **({"diff": diff} if diff else {})}
    return {"texts": {name: zlib.compress(text.encode()) for name, text in told.items()}}


def test_texts_go_with_their_last_run(store: Store, recorder: Recorder) -> None:
    """A package list that another run shares stays; a diff that only the removed one had goes, and may come again."""
    play(store, recorder, [started("a", **_of("numpy", "-x")), started("b", **_of("numpy"))])
    assert _texts(store) == ["-x", "numpy"]
    play(store, recorder, [SweepRemoved(run="a")], first=10)
    assert _texts(store) == ["numpy"]
    play(store, recorder, [SweepRemoved(run="b")], first=20)
    assert _texts(store) == []
    play(store, recorder, [started("c", **_of("numpy", "-x"))], first=30)
    assert _texts(store) == ["-x", "numpy"]


def test_versions_go_with_the_run_that_logged_them(store: Store, recorder: Recorder) -> None:
    """ "latest" falls back to the newest that is left, other aliases go, and no number is given twice."""
    play(store, recorder, [logged("a", run="a"), logged("b", "best", run="b"), logged("c", "prod", run="b")])
    play(store, recorder, [SweepRemoved(run="b")], first=10)
    assert held(store) == {"v0": ("a", ["latest"])}
    play(store, recorder, [logged("d", run="c")], first=20)
    assert held(store) == {"v0": ("a", []), "v3": ("d", ["latest"])}
    play(store, recorder, [SweepRemoved(run="a"), SweepRemoved(run="c"), logged("e", run="d")], first=30)
    assert held(store) == {"v4": ("e", ["latest"])}


def test_latest_stays_where_it_was_moved_to(store: Store, recorder: Recorder) -> None:
    """Removing the newest version does not move a "latest" that stands elsewhere."""
    play(store, recorder, [logged("a", run="a"), logged("b", run="b"), logged("c", run="c"), logged("a", run="a")])
    play(store, recorder, [SweepRemoved(run="c")], first=10)
    assert held(store) == {"v0": ("a", ["latest"]), "v1": ("b", [])}


def test_a_late_artifact_of_a_removed_run_is_nothing(store: Store, recorder: Recorder) -> None:
    """The journal read again does not bring back what went with its run."""
    story = [started("a"), logged("a", run="a"), FileSaved(run="a", name="f", sha256="0" * 64, size=1)]
    play(store, recorder, [*story, SweepRemoved(run="a")])
    play(store, Recorder(), story)
    assert held(store) == {}
    with store.read() as conn:
        assert conn.scalar(select(func.count()).select_from(schema.files)) == 0
