"""Blobs at an fsspec URL."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import pytest

from besom.errors import ConfigError, Unreachable
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.bucket import Bucket

pytest.importorskip("fsspec")


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def bucket(now: list[float]) -> Iterator[Bucket]:
    from fsspec.implementations.memory import MemoryFileSystem

    yield Bucket("memory://besom/blobs", clock=lambda: now[0])
    MemoryFileSystem.store.clear()


def test_an_old_object_is_written_again(bucket: Bucket, now: list[float]) -> None:
    """After half an hour a `put` writes the object anew, so that nobody takes it for forgotten."""
    name = Blobs(bucket).put(b"abc")
    [(_, _, written)] = bucket.names()
    now[0] = written + 1000
    assert bucket.renew(name, 3)
    now[0] = written + 2000
    assert not bucket.renew(name, 3)
    Blobs(bucket).put(b"abc")
    [(_, _, again)] = bucket.names()
    assert again > written


def test_names_and_deletion(bucket: Bucket) -> None:
    """Objects that are blobs are named, others left alone; one that is new is not deleted."""
    assert list(bucket.names()) == []
    name = Blobs(bucket).put(b"abc")
    bucket._system.pipe_file("/besom/blobs/notes.txt", b"mine")
    [(found, size, written)] = bucket.names()
    assert (found, size) == (name, 3)
    assert not bucket.delete(name, before=written)
    assert bucket.delete(name, before=written + 1)
    assert bucket.size(name) is None


def test_a_storage_that_fails_is_unreachable(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its library raises becomes one error that names the place."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("503 Slow Down")

    monkeypatch.setattr(bucket._system, "info", broken)
    with pytest.raises(Unreachable, match=r"memory://besom/blobs .*503 Slow Down"):
        bucket.size("0" * 64)


def test_only_whole_blobs_are_sent(bucket: Bucket) -> None:
    """What breaks off is never an object."""

    class Torn(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError("the disk is broken")

    with pytest.raises(Unreachable):
        bucket.write("0" * 64, 3, Torn())
    assert list(bucket.names()) == []


def test_a_url_needs_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fsspec, or for a kind that it does not know, the error names BESOM_BLOBS and hides the password."""
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ConfigError, match=r"BESOM_BLOBS='s3://\*\*\*@host/x'.*pip install fsspec"):
        Bucket("s3://key:secret@host/x")


def test_an_unknown_url_is_refused() -> None:
    """A kind that fsspec does not know is a ConfigError."""
    with pytest.raises(ConfigError, match="BESOM_BLOBS='nothing://x'"):
        Bucket("nothing://x")
