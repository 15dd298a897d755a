"""Pieces of blobs in Redis: in order, bounded, answered by the parcel's id."""

from __future__ import annotations

import pytest

from besom.broker.connection import Connection
from besom.broker.parcels import ASK, IN_FLIGHT_BYTES, PIECE_BYTES, Parcels, Posted
from besom.errors import Fenced

NAME = "0" * 64


@pytest.fixture
def parcels(fake: Connection) -> Parcels:
    return Parcels(fake)


def _post(parcels: Parcels, place: int = 0, data: bytes = b"x", parcel: str = "p") -> Posted:
    return parcels.post(parcel, NAME, 10, place, data, patience=0)


def test_what_is_posted_is_taken(parcels: Parcels) -> None:
    """Pieces come in order, byte for byte, again and again until they are unloaded."""
    data = bytes(range(256))
    assert _post(parcels, 0, data) == Posted(True, "", 0)
    _post(parcels, ASK, b"")
    first, second = parcels.take()
    assert (first.parcel, first.name, first.size, first.place, first.data) == ("p", NAME, 10, 0, data)
    assert (second.place, second.data) == (ASK, b"")
    assert parcels.take() == [first, second]
    parcels.unload(0, first, {})
    assert parcels.take() == [second]
    parcels.unload(0, second, {})
    assert parcels.take() == []


def test_what_is_under_way_is_bounded(parcels: Parcels) -> None:
    """Above 8 MB senders are told to wait, whoever sends; what is unloaded makes room; one piece always passes."""
    piece = b"x" * PIECE_BYTES
    count = 0
    while _post(parcels, 0, piece, f"p{count % 3}").taken:
        count += 1
    assert IN_FLIGHT_BYTES - 2 * PIECE_BYTES < count * PIECE_BYTES <= IN_FLIGHT_BYTES
    assert not _post(parcels, 0, piece, "another").taken
    parcels.unload(0, parcels.take(count=2)[-1], {})
    assert _post(parcels, 0, piece, "another").taken
    parcels.unload(0, parcels.take(count=1000)[-1], {})
    assert _post(parcels, 0, b"x" * (IN_FLIGHT_BYTES + 1)).taken


def test_answers_are_read_by_the_parcel(parcels: Parcels, fake: Connection) -> None:
    """An answer is for its parcel only, comes with the next piece too, lives for minutes, and ends the sending."""
    _post(parcels)
    parcels.unload(0, parcels.take()[-1], {"p": "here 10"})
    assert parcels.look("p", patience=0).said == "here 10"
    assert _post(parcels) == Posted(True, "here 10", 0)
    assert parcels.take() == [], "what was answered is not taken any more"
    assert parcels.look("q", patience=0).said == ""
    assert 0 < fake.redis.ttl("besom:parcel:p") <= 300


def test_only_the_controller_unloads(parcels: Parcels, fake: Connection) -> None:
    """One whose epoch is over changes nothing."""
    _post(parcels)
    fake.redis.hset("besom:controller", "epoch", 7)
    with pytest.raises(Fenced):
        parcels.unload(6, parcels.take()[-1], {"p": "here 10"})
    assert parcels.look("p", patience=0) == Posted(True, "", 7)
    assert len(parcels.take()) == 1
