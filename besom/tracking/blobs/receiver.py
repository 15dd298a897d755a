"""Takes blobs that come through Redis in pieces, checks them and keeps them: a part of the controller.

Reads: `broker.parcels`.  Writes: a place for blobs.
A parcel whose beginning another controller took is begun again by its sender, so nothing needs to outlive this process.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Final

from besom.broker.parcels import ASK, Parcels, Piece
from besom.errors import BesomError, BlobRefused, Fenced
from besom.failpoint import failpoint
from besom.tracking.blobs.over_redis import REDIS_LIMIT
from besom.tracking.blobs.place import Keeping, is_name

__all__ = ["Receiver"]

log = logging.getLogger("besom")

_CLAIM_SECONDS: Final = 60.0
"""Between two attempts to reach the place."""
_IDLE_SECONDS: Final = 60.0
"""Half a parcel whose sender is silent for so long is thrown away."""
_OPEN_LIMIT: Final = 256
"""Parcels that may be half here."""


@dataclass
class _Open:
    """What is here of a parcel."""

    file: IO[bytes]
    size: int
    seen: float
    got: int = 0


class Receiver:
    """One controller's end of the way.

    Args:
        parcels: On a connection of its own: it waits there.
        place: Where blobs are kept.
        store: Id of the store that refers to them.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, parcels: Parcels, place: Keeping, store: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._parcels = parcels
        self._place = place
        self._store = store
        self._clock = clock
        self._claim_at = 0.0
        self._open: dict[str, _Open] = {}

    def run(self, stop: threading.Event, epoch_of: Callable[[], int]) -> None:
        """Take what comes until `stop` is set; while `epoch_of` says 0, another controller does."""
        while not stop.is_set():
            epoch = epoch_of()
            if not epoch:
                self.close()
                stop.wait(0.2)
                continue
            try:
                self.claim()
                self.step(epoch, block_ms=500)
            except Fenced:
                stop.wait(0.2)
            except BesomError as error:
                log.debug("receiver: %s", error)
                stop.wait(1.0)
            except Exception:
                log.exception("receiver: pieces could not be taken; trying again")
                stop.wait(1.0)
        self.close()

    def claim(self) -> None:
        """Say at the place whose blobs these are; object storage that is away must not hold the controller up."""
        if self._clock() < self._claim_at:
            return
        try:
            self._place.claim(self._store)
            self._claim_at = float("inf")
        except (BesomError, OSError) as error:
            self._claim_at = self._clock() + _CLAIM_SECONDS
            log.warning("%s; media and artifacts have no place until that is mended", error)

    def step(self, epoch: int, block_ms: int | None = None) -> int:
        """Take what is there; how many pieces."""
        pieces = self._parcels.take(block_ms=block_ms)
        if pieces:
            failpoint("receiver.after-take")
        answers: dict[str, str] = {}
        for piece in pieces:
            if (said := self._take(piece)) is not None:
                answers[piece.parcel] = said
        self._drop_silent()
        if pieces:
            self._parcels.unload(epoch, pieces[-1], answers)
        return len(pieces)

    def close(self) -> None:
        """Throw away what is half here."""
        for parcel in list(self._open):
            self._open.pop(parcel).file.close()

    def _take(self, piece: Piece) -> str | None:
        """The answer, when there is one."""
        if not is_name(piece.name) or not 0 <= piece.size <= REDIS_LIMIT:
            return f"no blob may be called {piece.name[:70]!r} or have {piece.size} bytes"
        if piece.place == ASK:
            return self._told(piece)
        held = self._open.get(piece.parcel)
        if held is None:
            if piece.place:
                return "again"
            held = self._begin(piece)
        if piece.place < held.got:
            return None  # sent twice
        if piece.place > held.got or held.got + len(piece.data) > held.size:
            self._open.pop(piece.parcel).file.close()
            return "again" if piece.place > held.got else f"no more than its {held.size} bytes are taken"
        held.file.write(piece.data)
        held.got += len(piece.data)
        held.seen = self._clock()
        return self._keep(piece, self._open.pop(piece.parcel)) if held.got == held.size else None

    def _begin(self, piece: Piece) -> _Open:
        if len(self._open) >= _OPEN_LIMIT:
            oldest = min(self._open, key=lambda parcel: self._open[parcel].seen)
            self._open.pop(oldest).file.close()  # its sender will be told to begin again
        file = tempfile.SpooledTemporaryFile(1 << 18, prefix="besom-")  # noqa: SIM115
        held = self._open[piece.parcel] = _Open(file, piece.size, self._clock())
        return held

    def _keep(self, piece: Piece, held: _Open) -> str:
        with held.file as file:
            file.seek(0)
            try:
                if not self._place.renew(piece.name, piece.size):
                    self._place.write(piece.name, piece.size, file)
            except BlobRefused as error:
                return f"no {error}"
            except (OSError, BesomError) as error:
                log.error("blob %s is not kept: %s", piece.name, error)
                return str(error)
        return f"here {piece.size}"

    def _told(self, piece: Piece) -> str:
        try:
            size = self._place.size(piece.name)
            if size is None or (piece.size and not self._place.renew(piece.name, piece.size)):
                return "gone"
        except (OSError, BesomError) as error:
            return str(error)
        return f"here {size}"

    def _drop_silent(self) -> None:
        for parcel, held in list(self._open.items()):
            if self._clock() - held.seen > _IDLE_SECONDS:
                self._open.pop(parcel).file.close()
