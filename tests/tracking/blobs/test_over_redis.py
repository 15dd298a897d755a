"""The sender's end of the way through Redis."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from besom.broker.connection import Connection
from besom.broker.parcels import IN_FLIGHT_BYTES, PIECE_BYTES, Parcels
from besom.errors import BlobRefused, Unreachable
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.over_redis import REDIS_LIMIT, RedisPlace
from besom.tracking.blobs.receiver import Receiver

CONTENT = bytes(range(256)) * 1000
NAME = hashlib.sha256(CONTENT).hexdigest()


def _place(fake: Connection, pause: Callable[[float], object], now: list[float] | None = None) -> RedisPlace:
    def passes(seconds: float) -> None:
        if now is not None:
            now[0] += 1.0
        pause(seconds)

    return RedisPlace(Parcels(fake), "redis://fake", pause=passes, clock=lambda: now[0] if now else 0.0)


def test_the_largest_blob_arrives(fake: Connection, tmp_path: Path) -> None:
    """16 MB go through, with no more than 8 MB in Redis at any time, and nothing stays there."""
    receiver, most = Receiver(Parcels(fake), Folder(tmp_path / "blobs"), "s"), 0

    def pause(_: float) -> None:
        nonlocal most
        most = max(most, fake.redis.xlen("besom:parcels") * PIECE_BYTES)
        while receiver.step(0):
            pass

    content = bytes(1000) * (REDIS_LIMIT // 1000)
    name = hashlib.sha256(content).hexdigest()
    place = _place(fake, pause)
    place.write(name, len(content), io.BytesIO(content))
    assert place.size(name) == REDIS_LIMIT
    assert IN_FLIGHT_BYTES / 2 < most <= IN_FLIGHT_BYTES
    assert fake.redis.xlen("besom:parcels") == 0


def test_one_byte_more_is_refused(fake: Connection) -> None:
    """Above 16 MB nothing is sent, and the error says what to do."""
    content = bytes(REDIS_LIMIT + 1)
    with pytest.raises(BlobRefused, match=r"16000001 bytes, .* at most 16000000; start the controller with --http"):
        _place(fake, lambda _: None).write("0" * 64, len(content), io.BytesIO(content))
    assert fake.redis.keys("*") == []


def test_nobody_takes_it(fake: Connection) -> None:
    """Without a controller the sender gives up after a while, whether it fits into what may be under way or not."""
    now = [0.0]
    place = _place(fake, lambda _: None, now)
    with pytest.raises(Unreachable, match="says nothing"):
        place.write(NAME, len(CONTENT), io.BytesIO(CONTENT))
    large = bytes(IN_FLIGHT_BYTES + PIECE_BYTES)
    with pytest.raises(Unreachable, match="no controller takes"):
        place.write(hashlib.sha256(large).hexdigest(), len(large), io.BytesIO(large))
    assert 60 <= now[0] < 70


def test_a_new_controller_gets_it_from_the_beginning(fake: Connection, tmp_path: Path) -> None:
    """The first controller takes everything and dies before it answers: the sender sees the new one and sends again."""
    folder = Folder(tmp_path / "blobs")
    state = {"looks": 0}

    def pause(_: float) -> None:
        state["looks"] += 1
        parcels = Parcels(fake)
        if state["looks"] == 1:
            parcels.unload(0, parcels.take(count=1000)[-1], {})  # taken, not answered, dead
            fake.redis.hset("besom:controller", "epoch", 2)
        else:
            Receiver(parcels, folder, "s").step(2)

    _place(fake, pause).write(NAME, len(CONTENT), io.BytesIO(CONTENT))
    assert folder.path(NAME).read_bytes() == CONTENT


def test_controllers_that_come_and_go(fake: Connection) -> None:
    """Sending again has an end."""

    def pause(_: float) -> None:
        fake.redis.hincrby("besom:controller", "epoch", 1)

    with pytest.raises(Unreachable, match="changed 3 times"):
        _place(fake, pause).write(NAME, len(CONTENT), io.BytesIO(CONTENT))


def test_a_full_disk_there(fake: Connection, tmp_path: Path) -> None:
    """What the controller cannot keep now is an error that says why, to be tried again."""
    receiver = Receiver(Parcels(fake), Folder(tmp_path / "blobs", reserve=1 << 60), "s")
    with pytest.raises(Unreachable, match="would stay free"):
        _place(fake, lambda _: receiver.step(0)).write(NAME, len(CONTENT), io.BytesIO(CONTENT))
