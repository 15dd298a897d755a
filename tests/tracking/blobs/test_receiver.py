"""The controller's end of the way through Redis."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.broker.connection import Connection
from besom.broker.parcels import ASK, PIECE_BYTES, Parcels
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.receiver import Receiver

CONTENT = bytes(range(256)) * 1000
NAME = hashlib.sha256(CONTENT).hexdigest()
PIECES = [(place, CONTENT[place : place + PIECE_BYTES]) for place in range(0, len(CONTENT), PIECE_BYTES)]


class Post:
    """A sender by hand."""

    def __init__(self, connection: Connection, folder: Folder) -> None:
        self.parcels = Parcels(connection)
        self.folder = folder
        self.now = 0.0
        self._made: list[Receiver] = []
        self.receiver = self.another()

    def another(self) -> Receiver:
        self._made.append(Receiver(self.parcels, self.folder, "store", clock=lambda: self.now))
        return self._made[-1]

    def close(self) -> None:
        for receiver in self._made:
            receiver.close()

    def send(self, *pieces: tuple[int, bytes], parcel: str = "p", name: str = NAME, size: int = len(CONTENT)) -> str:
        """What the receiver says of these pieces."""
        for place, data in pieces:
            self.parcels.post(parcel, name, size, place, data, patience=0)
        self.receiver.step(0)
        return self.parcels.look(parcel, patience=0).said


@pytest.fixture
def post(fake: Connection, tmp_path: Path) -> Iterator[Post]:
    made = Post(fake, Folder(tmp_path / "blobs"))
    yield made
    made.close()


def test_pieces_become_a_blob(post: Post) -> None:
    """Nothing is said until the last one is here; pieces that come twice do no harm."""
    assert post.send(*PIECES[:2], PIECES[1], PIECES[0]) == ""
    assert post.folder.size(NAME) is None
    assert post.send(*PIECES[2:]) == f"here {len(CONTENT)}"
    assert post.folder.path(NAME).read_bytes() == CONTENT


def test_parcels_may_be_mixed(post: Post) -> None:
    """Two senders of the same blob, piece by piece in turn, both arrive."""
    for piece in PIECES:
        said = [post.send(piece, parcel=parcel) for parcel in "ab"]
    assert said == [f"here {len(CONTENT)}"] * 2


def test_another_controller_asks_for_the_beginning(post: Post) -> None:
    """A receiver that does not know the beginning says so, and takes the whole when it comes under a new parcel."""
    assert post.send(*PIECES[:2]) == ""
    post.receiver = post.another()
    assert post.send(PIECES[2]) == "again"
    assert post.send(*PIECES, parcel="q") == f"here {len(CONTENT)}"


def test_a_hole_begins_again(post: Post) -> None:
    """A piece that is missing in between is noticed at the next one."""
    assert post.send(PIECES[0], PIECES[2]) == "again"
    assert post.folder.size(NAME) is None


def test_wrong_bytes_are_refused(post: Post) -> None:
    """A wrong sum, too many bytes, a name that is none and a size that is too large: each is refused with a reason."""
    wrong = [(place, data.replace(b"\0", b"\1")) for place, data in PIECES]
    assert post.send(*wrong, parcel="a").startswith(f"no what came as blob {NAME}")
    assert "no more than" in post.send((0, b"abcd"), parcel="b", size=3)
    assert "no blob may be called" in post.send((0, b"abc"), parcel="c", name="../../etc/passwd", size=3)
    assert "no blob may be called" in post.send((0, b"abc"), parcel="d", size=16_000_001)
    assert [path for path in post.folder.root.rglob("*") if path.is_file()] == []


def test_questions(post: Post) -> None:
    """What is there is told with its size; another size than wanted is as good as nothing."""
    assert post.send((ASK, b""), parcel="a") == "gone"
    post.send(*PIECES)
    assert post.send((ASK, b""), parcel="b") == f"here {len(CONTENT)}"
    assert post.send((ASK, b""), parcel="c", size=1) == "gone"
    assert post.send((ASK, b""), parcel="d", size=0) == f"here {len(CONTENT)}"


def test_a_full_disk_is_told(fake: Connection, tmp_path: Path) -> None:
    """What cannot be kept now is said, so that the sender tries again later."""
    post = Post(fake, Folder(tmp_path / "blobs", reserve=1 << 60))
    assert "would stay free" in post.send(*PIECES)
    post.close()


def test_silent_senders_are_forgotten(post: Post) -> None:
    """Half a parcel takes no room for longer than a minute."""
    post.send(PIECES[0])
    post.now = 100.0
    post.send((ASK, b""), parcel="another")
    assert post.send(PIECES[1]) == "again"


def test_only_the_one_that_works_takes(post: Post) -> None:
    """While another controller holds the lease nothing is taken; the thread ends when it is told to."""
    epochs, stop = iter([0, 0, 0]), threading.Event()
    post.parcels.post("p", NAME, 3, 0, b"abc", patience=0)

    def epoch_of() -> int:
        epoch = next(epochs, None)
        if epoch is None:
            stop.set()
        return epoch or 0

    post.receiver.run(stop, epoch_of)
    assert len(post.parcels.take()) == 1
    assert post.folder.claimed_by() == set()


def test_it_claims_its_place(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    """It says whose blobs these are, once; a place that cannot be written is told of and tried again a minute later."""
    post.folder.root.write_text("in the way")
    post.receiver.claim()
    post.receiver.claim()
    assert len(caplog.records) == 1
    assert "have no place until that is mended" in caplog.text
    post.folder.root.unlink()
    post.receiver.claim()
    assert post.folder.claimed_by() == set(), "it is not tried all the time"
    post.now = 61.0
    post.receiver.claim()
    assert post.folder.claimed_by() == {"store"}
