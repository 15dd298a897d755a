"""Which place for blobs the settings, and the controller in Redis, mean.

A controller keeps blobs in BESOM_BLOBS, else in the folder `blobs` of BESOM_HOME. Everybody else goes there straight
where that is possible, then by HTTP, then through Redis.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final, TypeVar
from urllib.parse import urlsplit

from besom.broker.connection import Connection, redact
from besom.broker.journal import Journal
from besom.broker.lead import read_leader
from besom.broker.parcels import Parcels
from besom.broker.service import connect
from besom.disk import host_id, is_on_network
from besom.errors import Unreachable
from besom.messages import Event
from besom.settings import Settings
from besom.tracking.blobs.blobs import Blobs
from besom.tracking.blobs.bucket import Bucket
from besom.tracking.blobs.folder import Folder
from besom.tracking.blobs.outbox import Outbox
from besom.tracking.blobs.over_http import HttpPlace
from besom.tracking.blobs.over_redis import RedisPlace
from besom.tracking.blobs.place import Keeping, Place

__all__ = ["RESERVE_BYTES", "HttpElseRedis", "blobs_of", "kept_at", "outbox_of", "published", "way_to"]

log = logging.getLogger("besom")

_T = TypeVar("_T")

_PATIENCE: Final = 5.0
"""Seconds to wait for Redis; the outbox tries again later."""
RESERVE_BYTES: Final = 256_000_000
"""What blobs that come from elsewhere leave free on the controller's disk."""


_SILENT_SECONDS: Final = 60.0
"""An address that did not answer is not asked again for so long."""
_silent: dict[str, float] = {}

_outboxes: dict[tuple[str, str], Outbox] = {}


def blobs_of(settings: Settings) -> Blobs:
    """Where this process puts blobs and reads them: the place itself when it is on a disk of this machine.

    Raises:
        ConfigError: BESOM_BLOBS is a URL that cannot be.
    """
    if settings.redis_url is None or settings.blobs is not None:
        place = kept_at(settings)
        if isinstance(place, Folder) and not is_on_network(place.root):
            return Blobs(place)
    return Blobs(outbox_of(settings))


def outbox_of(settings: Settings) -> Outbox:
    """This process' outbox for the destination that the settings name."""
    road = _Road(settings)
    key = (str(settings.home), road.name)
    if key not in _outboxes:
        _outboxes[key] = Outbox(settings.home / "outbox" / road.name, road)
    return _outboxes[key]


def kept_at(settings: Settings, *, reserve: int = 0) -> Keeping:
    """Where a controller with these settings keeps blobs.

    Raises:
        ConfigError: BESOM_BLOBS is a URL that cannot be.
    """
    told = settings.blobs or str(settings.home / "blobs")
    if told.startswith("file://"):
        told = urlsplit(told).path
    if "://" in told:
        return Bucket(told)
    return Folder(Path(told).expanduser(), reserve=reserve)


def published(place: Place) -> dict[str, str]:
    """What a controller tells of its place, so that others on its machine find it."""
    try:
        return {"blobs": place.shown, "blobs_id": place.identity} if isinstance(place, Folder) else {}
    except (OSError, Unreachable):
        return {}  # said elsewhere: what comes is refused


def way_to(connection: Connection) -> Place:
    """The way to the blobs of this Redis' controller.

    Raises:
        Unreachable: Redis does not answer.
    """
    leader = read_leader(connection)
    info = leader.info
    if (folder := _same_folder(info)) is not None:
        return folder
    if not leader.alive:
        raise Unreachable(f"no controller at {connection.shown}; start one with: besom controller")
    over_redis = RedisPlace(Parcels(connection), connection.shown)
    if not info.get("http") or _is_elsewhere(info):
        return over_redis
    return HttpElseRedis(HttpPlace(info["http"], info.get("token", "")), over_redis, _silent)


def _same_folder(info: Mapping[str, Any]) -> Folder | None:
    """The controller's folder, when this machine has it under the same path."""
    if not info.get("blobs_id") or not Path(info["blobs"]).is_dir():
        return None
    folder = Folder(Path(info["blobs"]))
    try:
        return folder if folder.identity == info["blobs_id"] else None
    except (Unreachable, OSError):
        return None


def _is_elsewhere(info: Mapping[str, Any]) -> bool:
    """Whether its address is of use on its own machine only; here it would tell our token to somebody else."""
    host = urlsplit(info["http"]).hostname or ""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    return is_loopback and info.get("host") != host_id()


class _Road:
    """Where an outbox sends to: BESOM_BLOBS, else the controller of a Redis."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Connection | None = None
        self._process = os.getpid()
        redis = redact(settings.redis_url.get_secret_value()) if settings.redis_url else str(settings.home)
        self.shown = kept_at(settings).shown if settings.blobs else redis
        whole = f"{self.shown} {redis} {settings.namespace}"
        self.name = hashlib.sha256(whole.encode()).hexdigest()[:16]
        """Of its folder; the same for every process that sends there."""

    def way(self) -> Place:
        """BESOM_BLOBS itself, or the best way to the controller."""
        return kept_at(self._settings) if self._settings.blobs else way_to(self._connected())

    def tell(self, event: Event) -> None:
        """Append to the journal."""
        Journal(self._connected()).append(event, patience=_PATIENCE)

    def _connected(self) -> Connection:
        if self._connection is None or self._process != os.getpid():
            self._connection, self._process = connect(self._settings, patience=_PATIENCE), os.getpid()
        return self._connection


class HttpElseRedis:
    """A controller's HTTP side, and Redis for what is small while that does not answer: a firewall, a proxy.

    Args:
        over_http: The first.
        over_redis: The second.
        silent: Addresses that do not answer, and until when they are not asked (seconds, monotonic).
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        over_http: Place,
        over_redis: Place,
        silent: dict[str, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shown = over_http.shown
        self.limit = over_http.limit
        self._http, self._redis = over_http, over_redis
        self._silent, self._clock = silent, clock

    def size(self, name: str) -> int | None:
        """Bytes of a blob; None when there is none."""
        return self._http.size(name)

    def renew(self, name: str, size: int) -> bool:
        """Whether it is there, whole; it then counts as new."""
        return self._by_one(size, lambda place: place.renew(name, size))

    def write(self, name: str, size: int, source: IO[bytes]) -> None:
        """Send the next `size` bytes of `source`."""
        start = source.tell()

        def write(place: Place) -> None:
            source.seek(start)
            place.write(name, size, source)

        self._by_one(size, write)

    def read(self, name: str) -> IO[bytes]:
        """The blob's bytes."""
        return self._http.read(name)

    def _by_one(self, size: int, action: Callable[[Place], _T]) -> _T:
        """By HTTP; what is small by Redis, when that does not answer or did not a short while ago."""
        small = size <= self._redis.limit
        if small and self._silent.get(self.shown, 0.0) > self._clock():
            return action(self._redis)
        try:
            return action(self._http)
        except Unreachable as error:
            if not small:
                raise
            if self.shown not in self._silent:
                log.warning("%s; small files go through Redis meanwhile", error)
            self._silent[self.shown] = self._clock() + _SILENT_SECONDS
            return action(self._redis)
