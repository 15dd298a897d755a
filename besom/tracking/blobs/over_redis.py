"""Blobs to another machine through Redis: slow and small, for where nothing else of the controller's is reached.

What arrives is checked and kept by the controller. There is no way back: reading asks for the controller's HTTP side.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import IO, Final, NoReturn

from besom.broker.parcels import ASK, PIECE_BYTES, Parcels, Posted
from besom.errors import BlobRefused, Unreachable
from besom.tracking.blobs.place import Checked

__all__ = ["REDIS_LIMIT", "RedisPlace"]

REDIS_LIMIT: Final = 16_000_000
"""Bytes of one blob."""
_WAIT_SECONDS: Final = 30.0
"""For the controller to take a piece, or to say something of a parcel."""
_TRIES: Final = 3


class RedisPlace:
    """The controller, as far as Redis reaches it.

    Args:
        parcels: The way.
        shown: Redis' address, without secrets.
        pause: Waits so many seconds.
        clock: Seconds, monotonic.
    """

    limit = REDIS_LIMIT

    def __init__(
        self,
        parcels: Parcels,
        shown: str,
        pause: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shown = shown
        self._parcels = parcels
        self._pause = pause
        self._clock = clock

    def size(self, name: str) -> int | None:
        """Bytes of a blob; None when there is none."""
        said = self._ask(name, 0)
        return int(said.partition(" ")[2]) if said.startswith("here") else None

    def renew(self, name: str, size: int) -> bool:
        """Whether it is there, whole; not asked when sending costs no more than asking."""
        return size > PIECE_BYTES and self._ask(name, size) == f"here {size}"

    def write(self, name: str, size: int, source: IO[bytes]) -> None:
        """Send the next `size` bytes of `source`, from the beginning again when the controller has changed."""
        if size > self.limit:
            raise BlobRefused(
                f"blob {name} has {size} bytes, and through Redis go at most {self.limit}; "
                "start the controller with --http HOST:PORT, or set BESOM_BLOBS to a place that all reach"
            )
        start = source.tell()
        for _ in range(_TRIES):
            source.seek(start)
            said = self._send(name, size, source)
            if said == f"here {size}":
                return
            if said.startswith("no "):
                raise BlobRefused(f"the controller at {self.shown} refuses blob {name}: {said[3:]}")
            if said != "again":
                raise Unreachable(f"the controller at {self.shown} cannot keep blob {name}: {said}")
        raise Unreachable(f"the controller at {self.shown} changed {_TRIES} times while blob {name} was sent")

    def read(self, name: str) -> NoReturn:
        """There is no way back.

        Raises:
            Unreachable: says what to do.
        """
        raise Unreachable(
            f"blob {name} lies where the controller of {self.shown} runs, which serves no HTTP; "
            "start that controller with --http HOST:PORT, or set BESOM_BLOBS to a place that all reach"
        )

    def _ask(self, name: str, size: int) -> str:
        parcel = secrets.token_hex(8)
        posted = self._post(parcel, name, size, ASK, b"")
        return self._answer(parcel, posted.epoch)

    def _send(self, name: str, size: int, source: IO[bytes]) -> str:
        """What the controller said; 'again' when it is another one than at the beginning."""
        parcel, place, epoch = secrets.token_hex(8), 0, -1
        for data in _cut(Checked(name, size, source)):
            posted = self._post(parcel, name, size, place, data)
            if posted.said:
                return posted.said
            if epoch not in (-1, posted.epoch):
                return "again"
            place, epoch = place + len(data), posted.epoch
        return self._answer(parcel, epoch)

    def _post(self, parcel: str, name: str, size: int, place: int, data: bytes) -> Posted:
        deadline = self._clock() + _WAIT_SECONDS
        while True:
            posted = self._parcels.post(parcel, name, size, place, data, patience=_WAIT_SECONDS)
            if posted.taken:
                return posted
            if self._clock() >= deadline:
                raise Unreachable(f"no controller takes what is sent through {self.shown}; is one running?")
            self._pause(0.05)

    def _answer(self, parcel: str, epoch: int) -> str:
        deadline, pause = self._clock() + _WAIT_SECONDS, 0.005
        while self._clock() < deadline:
            looked = self._parcels.look(parcel, patience=_WAIT_SECONDS)
            if looked.said:
                return looked.said
            if looked.epoch != epoch:
                return "again"
            self._pause(pause)
            pause = min(pause * 2, 0.25)
        raise Unreachable(f"the controller at {self.shown} says nothing of what was sent; is one running?")


def _cut(pieces: Checked) -> list[bytes]:
    """A blob of at most `REDIS_LIMIT` bytes in pieces for Redis; one empty piece for an empty blob."""
    whole = b"".join(pieces)
    return [whole[start : start + PIECE_BYTES] for start in range(0, len(whole) or 1, PIECE_BYTES)]
