"""The kinds of place that blobs go to, each with nothing in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from besom.broker.connection import Connection
from besom.broker.parcels import Parcels
from besom.dashboard.server import HttpServer
from besom.tracking.blobs.bucket import Bucket
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.over_http import HttpPlace
from besom.tracking.blobs.over_redis import RedisPlace
from besom.tracking.blobs.place import Keeping, Place
from besom.tracking.blobs.receiver import Receiver

KINDS = ("folder", "bucket", "http", "redis")


def over_redis(connection: Connection, place: Keeping) -> RedisPlace:
    """The way through Redis to a place; the controller's end of it works whenever the sender waits."""
    receiver, one = Receiver(Parcels(connection), place, "s"), threading.Lock()

    def pause(_: float) -> None:
        with one:
            receiver.step(0)

    return RedisPlace(Parcels(connection), connection.shown, pause=pause)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "blobs")


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, folder: Folder) -> Iterator[Place]:
    """Each kind; the last two lead to `folder`."""
    if request.param == "folder":
        yield folder
    elif request.param == "redis":
        yield over_redis(request.getfixturevalue("fake"), folder)
    elif request.param == "http":
        server = HttpServer(request.getfixturevalue("store"), folder, "127.0.0.1", 0)
        yield HttpPlace(server.address, server.token)
        server.stop()
    else:
        pytest.importorskip("fsspec")
        from fsspec.implementations.memory import MemoryFileSystem

        yield Bucket("memory://besom/blobs")
        MemoryFileSystem.store.clear()
