"""Files by content: kept once, whole, and checked when they are read, whatever kind of place they go to."""

from __future__ import annotations

import hashlib
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import pytest

from besom.errors import BlobRefused, Unreachable
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.over_redis import RedisPlace
from besom.tracking.blobs.place import Place, sha256_of

CONTENTS = [b"", b"a", bytes(range(256)) * 1000]


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ---- the contract of every place


@pytest.mark.parametrize("content", CONTENTS, ids=["empty", "small", "pieces"])
def test_what_is_written_is_there(place: Place, content: bytes) -> None:
    """Size, renewal and content of what was written; before that there is nothing."""
    name = _name(content)
    assert (place.size(name), place.renew(name, len(content))) == (None, False)
    place.write(name, len(content), io.BytesIO(content))
    assert place.size(name) == len(content)
    if isinstance(place, RedisPlace):
        with pytest.raises(Unreachable, match="--http"):
            place.read(name)
    else:
        assert place.renew(name, len(content))
        with place.read(name) as file:
            assert file.read() == content


def test_only_so_many_bytes_are_taken(place: Place) -> None:
    """A source that is longer gives its first bytes: a log that grows while it is read."""
    place.write(_name(b"abc"), 3, io.BytesIO(b"abcdef"))
    assert place.size(_name(b"abc")) == 3


@pytest.mark.parametrize(("content", "size"), [(b"abd", 3), (b"ab", 3), (b"", 3)])
def test_what_is_not_its_name_is_refused(place: Place, content: bytes, size: int) -> None:
    """Other bytes, or too few, are refused, and nothing of them is there."""
    with pytest.raises((BlobRefused, Unreachable)):
        place.write(_name(b"abc"), size, io.BytesIO(content))
    assert place.size(_name(b"abc")) is None


def test_another_size_does_not_count(place: Place) -> None:
    """A blob of another length than wanted is no renewal: it is torn, or the question is wrong."""
    content = b"x" * 100_000
    place.write(_name(content), len(content), io.BytesIO(content))
    assert not place.renew(_name(content), len(content) - 1)


def test_two_at_once(place: Place, folder: Folder) -> None:
    """Two that send the same content at the same time both succeed, and it is there once, whole."""
    content = bytes(range(256)) * 3000
    barrier = threading.Barrier(2)

    def send(_: int) -> None:
        barrier.wait(10)
        place.write(_name(content), len(content), io.BytesIO(content))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(send, range(2)))
    assert place.size(_name(content)) == len(content)
    assert [path.name for path in folder.root.rglob("*") if path.is_file()] in ([], [_name(content)])


# ---- the public face, over a folder


@pytest.fixture
def blobs(folder: Folder) -> Blobs:
    return Blobs(folder)


@pytest.mark.parametrize("content", CONTENTS, ids=["empty", "small", "pieces"])
def test_what_is_put_is_read(blobs: Blobs, tmp_path: Path, content: bytes) -> None:
    """Bytes and files come back by the sha256 of their content."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert _name(content) not in blobs
    assert blobs.put(content) == blobs.put(path) == blobs.put(str(path)) == _name(content)
    assert _name(content) in blobs
    assert blobs.read(_name(content)) == content
    with blobs.open(_name(content)) as file:
        assert file.read() == content


def test_a_copy_is_the_content(blobs: Blobs, tmp_path: Path) -> None:
    """`copy` makes the folders it needs, and leaves nothing but the file."""
    target = blobs.copy(blobs.put(b"abc"), tmp_path / "a" / "b" / "file.txt")
    assert target.read_bytes() == b"abc"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("name", ["0" * 64, "../../etc/passwd", "", "ABC", "0" * 63 + "/"])
def test_what_is_not_there_is_told(blobs: Blobs, name: str) -> None:
    """A name without a blob, or none at all, is an error that shows it."""
    with pytest.raises(Unreachable, match=name or "''"), blobs.open(name):
        pass


@pytest.mark.parametrize("damage", [b"", b"abd", b"abcd"])
def test_damage_is_seen(blobs: Blobs, folder: Folder, tmp_path: Path, damage: bytes) -> None:
    """A blob whose bytes changed is refused, by `read` and by `copy`, which leaves no file behind."""
    name = blobs.put(b"abc")
    folder.path(name).write_bytes(damage)
    with pytest.raises(Unreachable, match="damaged"):
        blobs.read(name)
    with pytest.raises(Unreachable, match="damaged"):
        blobs.copy(name, tmp_path / "out" / "file")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_torn_blob_is_written_again(blobs: Blobs, folder: Folder) -> None:
    """A blob that is shorter than its content is replaced by the next `put`."""
    name = blobs.put(b"abc")
    folder.path(name).write_bytes(b"a")
    blobs.put(b"abc")
    assert blobs.read(name) == b"abc"


class _Written(Folder):
    """A folder whose source is written to before it is read."""

    def __init__(self, root: Path, file: Path, rounds: int) -> None:
        super().__init__(root)
        self._file, self._rounds = file, rounds

    def write(self, name: str, size: int, source: IO[bytes]) -> None:
        if self._rounds:
            self._rounds -= 1
            self._file.write_bytes(b"round %d" % self._rounds)
        super().write(name, size, source)


@pytest.mark.parametrize("rounds", [1, 9])
def test_a_file_that_is_written_while_it_is_put(tmp_path: Path, rounds: int) -> None:
    """It is read again; one that is written all the time is refused."""
    path = tmp_path / "file"
    path.write_bytes(b"at first")
    blobs = Blobs(_Written(tmp_path / "blobs", path, rounds))
    if rounds == 1:
        assert blobs.read(blobs.put(path)) == b"round 0"
    else:
        with pytest.raises(BlobRefused):
            blobs.put(path)


def test_sha256_of_a_file(tmp_path: Path) -> None:
    """Digest and size agree with hashlib and the file."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * 3_000_000)
    assert sha256_of(path) == (_name(b"x" * 3_000_000), 3_000_000)
