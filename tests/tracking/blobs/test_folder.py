"""A folder of blobs: private, whole, within limits, and swept without hitting what is used."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from pathlib import Path

import pytest

from besom.errors import BlobRefused
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.folder import Folder


def test_the_folder_is_private(folder: Folder, tmp_path: Path) -> None:
    """Folders are 0700, files 0600, the name is its place, and no scratch file stays."""
    name = Blobs(folder).put(b"abc")
    found = sorted(folder.root.rglob("*"))
    assert [str(path.relative_to(tmp_path)) for path in found] == [f"blobs/{name[:2]}", f"blobs/{name[:2]}/{name}"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in [folder.root, *found]] == [0o700, 0o700, 0o600]


def test_a_write_that_fails_leaves_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk raises, and neither a blob nor a scratch file is there afterwards."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("besom.tracking.blobs.folder.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        Blobs(folder).put(b"abc")
    assert list(folder.root.rglob("*")) == []


def test_a_reserve_stays_free(tmp_path: Path) -> None:
    """What would leave less free than the reserve is refused as a full disk, before anything is written."""
    folder = Folder(tmp_path / "blobs", reserve=1 << 60)
    with pytest.raises(OSError, match="would stay free") as refused:
        Blobs(folder).put(b"abc")
    assert refused.value.errno == errno.ENOSPC
    assert list(folder.root.rglob("*")) == []


def test_too_large(tmp_path: Path) -> None:
    """Above the limit nothing is read at all."""
    source = io.BytesIO(b"abcd")
    with pytest.raises(BlobRefused, match=r"4 bytes; .* at most 3"):
        Folder(tmp_path / "blobs", limit=3).write(hashlib.sha256(b"abcd").hexdigest(), 4, source)
    assert source.tell() == 0


def test_names_and_deletion(folder: Folder) -> None:
    """All blobs and half-written ones are named; what was renewed since is not deleted."""
    name = Blobs(folder).put(b"abc")
    os.utime(folder.path(name), (100, 100))
    (folder.root / ".123.abcd").write_bytes(b"half")
    os.utime(folder.root / ".123.abcd", (50, 50))
    assert sorted(folder.names()) == [(".123.abcd", 4, 50.0), (name, 3, 100.0)]
    assert not folder.delete(name, before=100)
    assert folder.size(name) == 3
    assert folder.renew(name, 3)
    assert not folder.delete(name, before=1000)
    assert folder.delete(".123.abcd", before=51)
    os.utime(folder.path(name), (100, 100))
    assert folder.delete(name, before=101)
    assert list(folder.names()) == []


def test_one_folder_has_one_identity(tmp_path: Path) -> None:
    """Another path to the same folder is the same, another folder is not."""
    (tmp_path / "link").symlink_to(tmp_path / "a")
    a = Folder(tmp_path / "a").identity
    assert Folder(tmp_path / "link").identity == a
    assert Folder(tmp_path / "b").identity != a
