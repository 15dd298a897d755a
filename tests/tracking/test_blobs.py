"""Files by content: kept once, whole, private, and checked when they are read."""

from __future__ import annotations

import hashlib
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.errors import ConfigError, Unreachable
from besom.settings import read_settings
from besom.tracking.blobs import Blobs, sha256_of


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Blobs]:
    if request.param == "folder":
        yield Blobs(tmp_path / "blobs")
        return
    pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    yield Blobs("memory://besom/blobs")
    MemoryFileSystem.store.clear()


@pytest.mark.parametrize("content", [b"", b"a", bytes(range(256)) * 9000])
def test_what_is_put_is_read(blobs: Blobs, tmp_path: Path, content: bytes) -> None:
    """Bytes and files come back by the sha256 of their content."""
    path = tmp_path / "file"
    path.write_bytes(content)
    name = hashlib.sha256(content).hexdigest()
    assert name not in blobs
    assert blobs.put(content) == blobs.put(path) == blobs.put(str(path)) == name
    assert name in blobs
    assert blobs.read(name) == content
    with blobs.open(name) as file:
        assert file.read() == content


def test_a_copy_is_the_content(blobs: Blobs, tmp_path: Path) -> None:
    """`copy` makes the folders it needs, and leaves nothing but the file."""
    name = blobs.put(b"abc")
    target = blobs.copy(name, tmp_path / "a" / "b" / "file.txt")
    assert target.read_bytes() == b"abc"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "", "ABC"])
def test_what_is_not_there_is_told(blobs: Blobs, name: str) -> None:
    """A name without a blob, or none at all, is an error that shows it."""
    with pytest.raises(Unreachable, match=name or "''"), blobs.open(name):
        pass


@pytest.mark.parametrize("damage", [b"", b"abd", b"abcd"])
def test_damage_is_seen(tmp_path: Path, damage: bytes) -> None:
    """A blob whose bytes changed is refused, by `read` and by `copy`, which leaves no file behind."""
    blobs = Blobs(tmp_path / "blobs")
    name = blobs.put(b"abc")
    (tmp_path / "blobs" / name[:2] / name).write_bytes(damage)
    with pytest.raises(Unreachable, match="damaged"):
        blobs.read(name)
    with pytest.raises(Unreachable, match="damaged"):
        blobs.copy(name, tmp_path / "out" / "file")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_torn_blob_is_written_again(tmp_path: Path) -> None:
    """A blob that is shorter than its content is replaced by the next `put`."""
    blobs = Blobs(tmp_path / "blobs")
    name = blobs.put(b"abc")
    (tmp_path / "blobs" / name[:2] / name).write_bytes(b"a")
    blobs.put(b"abc")
    assert blobs.read(name) == b"abc"


def test_the_folder_is_private(tmp_path: Path) -> None:
    """Folders are 0700, files 0600, the name is its place, and no scratch file stays."""
    blobs = Blobs(tmp_path / "blobs")
    name = blobs.put(b"abc")
    found = sorted((tmp_path / "blobs").rglob("*"))
    assert [str(path.relative_to(tmp_path)) for path in found] == [f"blobs/{name[:2]}", f"blobs/{name[:2]}/{name}"]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "blobs", *found]]
    assert modes == [0o700, 0o700, 0o600]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk raises, and neither a blob nor a scratch file is there afterwards."""
    blobs = Blobs(tmp_path / "blobs")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("besom.tracking.blobs.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        blobs.put(b"abc")
    assert list((tmp_path / "blobs").rglob("*")) == []


def test_settings_name_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BESOM_BLOBS, else the folder `blobs` of BESOM_HOME."""
    assert Blobs.of(read_settings()).where == str(tmp_path / "home" / "blobs")
    monkeypatch.setenv("BESOM_BLOBS", str(tmp_path / "shared"))
    assert Blobs.of(read_settings()).where == str(tmp_path / "shared")


def test_a_url_needs_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fsspec, or for a kind that it does not know, the error names BESOM_BLOBS and hides the password."""
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ConfigError, match=r"BESOM_BLOBS='s3://\*\*\*@host/x'.*pip install fsspec"):
        Blobs("s3://key:secret@host/x")


def test_an_unknown_url_is_refused() -> None:
    """A kind that fsspec does not know is a ConfigError."""
    pytest.importorskip("fsspec")
    with pytest.raises(ConfigError, match="BESOM_BLOBS='nothing://x'"):
        Blobs("nothing://x")


def test_sha256_of_a_file(tmp_path: Path) -> None:
    """Digest and size agree with hashlib and the file."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * 3_000_000)
    assert sha256_of(path) == (hashlib.sha256(b"x" * 3_000_000).hexdigest(), 3_000_000)
