"""Blobs that nothing refers to are swept out; whatever refers to one, in whatever way, keeps it."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from besom.errors import UsageError
from besom.messages import ArtifactLogged, FileSaved, SweepRemoved
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.bucket import Bucket
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.place import Keeping
from besom.tracking.recording.recorder import Recorder
from besom.tracking.store.garbage import references, sweep_blobs
from besom.tracking.store.store import Store
from besom.tracking.swept import Swept
from tests.tracking.stories import batch, play, started

LATER = 4e9
"""Long after everything was written."""


class Place:
    """A place with blobs, claimed by a store."""

    def __init__(self, keeping: Keeping, store: Store) -> None:
        self.keeping, self.store = keeping, store
        self.blobs = Blobs(keeping)
        keeping.claim(store.id)

    def put(self, content: str) -> str:
        return self.blobs.put(content.encode())

    def media(self, content: str, path: str = "media/x.png") -> dict[str, Any]:
        return {"_type": "image-file", "path": path, "sha256": self.put(content), "size": len(content)}

    def sweep(self, before: float = LATER, *, dry_run: bool = False) -> Swept:
        return sweep_blobs(self.store, self.keeping, before, dry_run=dry_run)

    @property
    def left(self) -> set[str]:
        return {self.blobs.read(name).decode() for name, _, _ in self.keeping.names()}


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Iterator[Place]:
    if request.param == "folder":
        yield Place(Folder(tmp_path / "blobs"), store)
        return
    pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    yield Place(Bucket("memory://besom/blobs"), store)
    MemoryFileSystem.store.clear()


def test_what_is_referred_to_stays(place: Place, store: Store, recorder: Recorder) -> None:
    """In a row of long ago, a list, a config, a table's cell, a table in a table, an artifact, a saved file."""
    inner = place.media(json.dumps({"data": [[place.media("cell of an inner table")]]}), "media/inner.table.json")
    table = place.media(json.dumps({"data": [[1, place.media("cell")], [2, inner]]}), "media/t.table.json")
    manifest = {"version": 1, "entries": {"m.bin": {"sha256": place.put("artifact"), "size": 8}}}
    digest = place.put(json.dumps(manifest))
    play(store, recorder, [
        started("r", config={"weights": place.put("config")}),
        batch("r", 1, [0, 1, 2], picture=[place.media("first"), place.media("second"), {"a": [place.media("deep")]}]),
        batch("r", 2, [3, 4], picture=[1.0, 2.0], table=[table, None]),
        ArtifactLogged(run="r", entity="e", project="p", name="a", type="t", digest=digest, size=8, files=1),
        batch("r", 3, range(2000), many=[place.media("in a chunk"), *range(1999)], writer="w"),
        FileSaved(run="r", name="model.pt", sha256=place.put("saved"), size=5),
    ])  # fmt: skip
    kept = place.left
    garbage = {place.put("garbage"), place.put("more garbage")}
    assert place.sweep(dry_run=True) == Swept(2, len("garbage") + len("more garbage"))
    assert garbage <= {name for name, _, _ in place.keeping.names()}
    assert place.sweep() == Swept(2, len("garbage") + len("more garbage"))
    assert place.left == kept
    assert len(kept) == 12
    assert place.sweep() == Swept(0, 0)


def test_removed_runs_leave_nothing(place: Place, store: Store, recorder: Recorder) -> None:
    """After `besom rm` of one run the sweep takes its blobs, and not what another run has too."""
    shared = place.media("shared")
    play(store, recorder, [
        started("a"), batch("a", 1, [0], picture=[shared], other=[place.media("of a")], writer="wa"),
        started("b"), batch("b", 1, [0], picture=[shared], writer="wb"),
        SweepRemoved(run="a"),
    ])  # fmt: skip
    place.sweep()
    assert place.left == {"shared"}
    play(store, recorder, [SweepRemoved(run="b")], first=50)
    place.sweep()
    assert place.left == set()


def test_what_is_young_stays(place: Place) -> None:
    """A blob whose event may still be under way is spared, whatever the store says."""
    place.put("young")
    [(_, _, written)] = place.keeping.names()
    assert place.sweep(before=written) == Swept(0, 0)
    assert place.sweep(before=written + 1) == Swept(1, 5)


def test_a_blob_that_is_put_again_while_it_is_swept(store: Store, tmp_path: Path) -> None:
    """It is young again at the moment of its deletion, and stays."""

    class Busy(Folder):
        def delete(self, name: str, before: float) -> bool:
            assert self.renew(name, 3)
            return super().delete(name, before)

    place = Place(Busy(tmp_path / "blobs"), store)
    name = place.put("abc")
    os.utime(place.keeping.path(name), (1, 1))  # type: ignore[attr-defined]
    assert place.sweep(before=1000) == Swept(0, 0)
    assert place.left == {"abc"}


def test_half_written_files_go(store: Store, tmp_path: Path) -> None:
    """What a killed receiver left is swept once it is old."""
    place = Place(Folder(tmp_path / "blobs"), store)
    scratch = tmp_path / "blobs" / ".123.0011"
    scratch.write_bytes(b"half")
    assert place.sweep(before=1.0) == Swept(0, 0)
    assert place.sweep() == Swept(1, 4)
    assert not scratch.exists()


@pytest.mark.parametrize(("users", "told"), [([], "no store as far as"), (["mine", "theirs"], "the stores theirs too")])
def test_what_others_use_is_not_swept(store: Store, tmp_path: Path, users: list[str], told: str) -> None:
    """A place that another store refers to, or that no controller has claimed, is refused."""
    folder = Folder(tmp_path / "blobs")
    Blobs(folder).put(b"abc")
    for user in users:
        folder.claim(store.id if user == "mine" else user)
    with pytest.raises(UsageError, match=told):
        sweep_blobs(store, folder, LATER, dry_run=False)
    assert len(list(folder.names())) == 1


def test_references_name_what_is_gone_too(store: Store, recorder: Recorder, tmp_path: Path) -> None:
    """A table or a manifest that is not there names nothing and stops nothing."""
    blobs = Blobs(Folder(tmp_path / "blobs"))
    name = hashlib.sha256(b"gone").hexdigest()
    table = {"path": "t.table.json", "sha256": name, "size": 3}
    play(store, recorder, [started("r"), batch("r", 1, [0], table=[table])])
    with store.read() as conn:
        assert references(conn, blobs) == {name}


def test_a_file_that_is_called_json(store: Store, recorder: Recorder, tmp_path: Path) -> None:
    """What is no JSON inside names what it names by its digits alone."""
    folder = Folder(tmp_path / "blobs")
    content = b"see " + b"a" * 64
    name = hashlib.sha256(content).hexdigest()
    folder.write(name, len(content), io.BytesIO(content))
    play(store, recorder, [started("r"), batch("r", 1, [0], t=[{"path": "x.json", "sha256": name, "size": 68}])])
    with store.read() as conn:
        assert references(conn, Blobs(folder)) == {name, "a" * 64}
