"""Which way blobs take: straight where that is possible, then by HTTP, then through Redis."""

from __future__ import annotations

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import pytest

from besom.broker.connection import Connection
from besom.broker.lead import Lead
from besom.errors import Unreachable
from besom.settings import read_settings
from besom.tracking.blobs.bucket import Bucket
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.outbox import Outbox
from besom.tracking.blobs.over_http import HttpPlace
from besom.tracking.blobs.over_redis import RedisPlace
from besom.tracking.blobs.ways import HttpElseRedis, blobs_of, kept_at, outbox_of, published, way_to

from .conftest import over_redis

NAME = hashlib.sha256(b"abc").hexdigest()


def _lead(fake: Connection, **info: Any) -> None:
    Lead(fake, 100, {"host": "there", **info}).hold()


def test_settings_name_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BESOM_BLOBS, a folder or URL, else the folder `blobs` of BESOM_HOME."""
    assert kept_at(read_settings()).shown == blobs_of(read_settings()).where == str(tmp_path / "home" / "blobs")
    for told in (tmp_path / "shared", f"file://{tmp_path}/shared"):
        monkeypatch.setenv("BESOM_BLOBS", str(told))
        assert kept_at(read_settings()).shown == blobs_of(read_settings()).where == str(tmp_path / "shared")
    pytest.importorskip("fsspec")
    monkeypatch.setenv("BESOM_BLOBS", "memory://besom")
    assert isinstance(kept_at(read_settings()), Bucket)


def test_who_goes_straight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on a disk of this machine is written at once; a network disk, object storage and another's Redis are
    reached through an outbox, one for each destination.
    """
    assert isinstance(blobs_of(read_settings()).place, Folder)
    over_there = read_settings(redis_url="redis://host")
    assert isinstance(blobs_of(over_there).place, Outbox)
    assert blobs_of(over_there).place is outbox_of(over_there)
    assert outbox_of(read_settings(redis_url="redis://host", namespace="other")) is not outbox_of(over_there)
    assert isinstance(blobs_of(read_settings(redis_url="redis://host", blobs=str(tmp_path))).place, Folder)
    monkeypatch.setattr("besom.tracking.blobs.ways.is_on_network", lambda _: True)
    assert isinstance(blobs_of(read_settings(blobs=str(tmp_path))).place, Outbox)


def test_the_same_machine_uses_the_folder(fake: Connection, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller's own folder, where this machine has it; a folder of the same path elsewhere is another one."""
    _lead(fake, **published(folder), http="http://there:1")
    way = way_to(fake)
    assert isinstance(way, Folder)
    assert way.root == folder.root
    monkeypatch.setattr("besom.tracking.blobs.folder.host_id", lambda: "elsewhere")
    assert isinstance(way_to(fake), HttpElseRedis)


@pytest.mark.parametrize(
    ("info", "kind"),
    [
        ({}, RedisPlace),
        ({"http": "http://there:1", "token": "t"}, HttpElseRedis),
        ({"http": "http://127.0.0.1:1", "token": "t"}, RedisPlace),
        ({"http": "http://localhost:1", "token": "t"}, RedisPlace),
        ({"http": "http://[::1]:1", "token": "t"}, RedisPlace),
        ({"http": "http://10.0.0.1:1", "token": "t", "blobs": "/nowhere", "blobs_id": "x"}, HttpElseRedis),
    ],
)
def test_the_way_to_another_machine(fake: Connection, info: dict[str, str], kind: type) -> None:
    """HTTP when there is an address that means that machine here too; a loopback address would mean this one."""
    _lead(fake, **info)
    assert isinstance(way_to(fake), kind)


def test_no_controller(fake: Connection) -> None:
    """Nobody is there: the error says what to start."""
    with pytest.raises(Unreachable, match="besom controller"):
        way_to(fake)


def test_redis_stands_in_for_http(fake: Connection, folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """Behind a firewall small blobs go through Redis, with one warning; large ones wait."""
    http = HttpPlace("http://127.0.0.1:1", "token")
    now = [0.0]
    way = HttpElseRedis(http, over_redis(fake, folder), silent := {}, clock=lambda: now[0])
    with caplog.at_level(logging.WARNING, "besom"):
        for content in (b"abc", b"x" * 100_000):
            name = hashlib.sha256(content).hexdigest()
            assert not way.renew(name, len(content))
            way.write(name, len(content), io.BytesIO(content))
            assert folder.size(name) == len(content)
    assert len(caplog.records) == 1
    assert "small files go through Redis" in caplog.records[0].message
    large = 16_000_001
    with pytest.raises(Unreachable, match="does not answer"):
        way.renew(NAME, large)
    with pytest.raises(Unreachable, match="does not answer"):
        way.write(NAME, large, io.BytesIO(bytes(large)))
    assert silent == {way.shown: 60.0}
    now[0] = 61.0
    assert way.renew(hashlib.sha256(b"x" * 100_000).hexdigest(), 100_000)
    assert silent == {way.shown: 121.0}, "it was asked again"
    with pytest.raises(Unreachable, match="does not answer"):
        way.read(NAME)
