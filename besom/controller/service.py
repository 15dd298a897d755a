"""The service from inside: an embedded Redis, the controller and the recorder in one process."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from redis.exceptions import RedisError

from besom.broker.connection import Connection
from besom.broker.embedded import EmbeddedRedis, find_server
from besom.broker.service import Service, ServiceInfo
from besom.controller.loop import Controller
from besom.disk import boot_id, host_id, private_folder, refuse_network_disk, write_private
from besom.errors import BesomError, UsageError
from besom.settings import Settings
from besom.tracking.store.store import Store

__all__ = ["serve", "stop_on_signals"]

log = logging.getLogger("besom")

_WATCH_SECONDS: Final = 0.25
_DRAIN_SECONDS: Final = 5.0


InfoOf = Callable[[Store], Mapping[str, Any]]


def serve(
    settings: Settings,
    *,
    idle: bool,
    info_of: InfoOf = lambda _: {},
    ready: Callable[[ServiceInfo], None] = lambda _: None,
) -> None:
    """Be the service until `besom down`, a signal, or, with `idle`, until nobody has needed it for a while.

    Args:
        settings: Home, store, times.
        idle: End when it is not used.
        info_of: What the controller publishes of itself besides, given the store.
        ready: Called when it can be used.

    Raises:
        UsageError: one runs for this BESOM_HOME already.
        Unreachable, ConfigError, StoreError: Redis or the store cannot start here.
    """
    home = private_folder(settings.home.absolute())
    refuse_network_disk(home, "the service's files")
    stop = threading.Event()
    with _only_one(home), stop_on_signals(stop):
        server = EmbeddedRedis(home / "redis", find_server())
        server.start()
        try:
            _work(settings, server, stop, idle=idle, info_of=info_of, ready=ready)
        finally:
            (home / "service.json").unlink(missing_ok=True)
            server.stop()


def _work(
    settings: Settings,
    server: EmbeddedRedis,
    stop: threading.Event,
    *,
    idle: bool,
    info_of: InfoOf,
    ready: Callable[[ServiceInfo], None],
) -> None:
    connection = Connection(server.url, settings.namespace, patience=30)
    store = Store.open(settings.store_url)
    controller = Controller(connection, store, settings, info_of(store))
    try:
        info = _announce(settings, server, connection)
        ready(info)
        watcher = _Watcher(settings, server, connection, info.nonce, stop, idle=idle)
        watcher.start()
        controller.run(stop)
        watcher.join(10)
    finally:
        controller.close()
        connection.close()
        store.close()


def _announce(settings: Settings, server: EmbeddedRedis, connection: Connection) -> ServiceInfo:
    nonce = secrets.token_hex(16)
    client, key = connection.redis, connection.keys.service()
    facts = {"nonce": nonce, "down": "", "active": int(time.time() * 1000)}
    connection.call(lambda: client.hset(key, mapping=facts))
    info = ServiceInfo(
        host=host_id(),
        boot=boot_id(),
        pid=os.getpid(),
        url=SecretStr(server.url),
        nonce=nonce,
        redis=server.binary or "fakeredis",
    )
    told = {**info.model_dump(mode="json"), "url": server.url}
    write_private(Service(settings).info_file, told)
    return info


class _Watcher(threading.Thread):
    """Restarts a Redis that died, and says when the service is to end."""

    def __init__(
        self,
        settings: Settings,
        server: EmbeddedRedis,
        connection: Connection,
        nonce: str,
        stop: threading.Event,
        *,
        idle: bool,
    ) -> None:
        super().__init__(name="besom-watcher", daemon=True)
        self._settings = settings
        self._server = server
        self._connection = connection
        self._nonce = nonce
        self._stop_event = stop
        self._idle = idle

    def run(self) -> None:
        """Look around four times a second."""
        while not self._stop_event.wait(_WATCH_SECONDS):
            try:
                if not self._server.running():
                    log.error("Redis died; starting it again")
                    self._server.start()
                if self._asked_to_end() or (self._idle and self._unused()):
                    self._drain()
                    self._stop_event.set()
            except (BesomError, RedisError, OSError) as error:
                log.warning("service: %s", error)

    def _asked_to_end(self) -> bool:
        down = self._connection.redis.hget(self._connection.keys.service(), "down")
        return bool(down and down.decode() == self._nonce)

    def _unused(self) -> bool:
        client, keys = self._connection.redis, self._connection.keys
        if client.zcard(keys.agents()) or client.zcard(keys.runs()):
            client.hset(keys.service(), "active", int(time.time() * 1000))
            return False
        active = int(client.hget(keys.service(), "active") or 0) / 1000
        return time.time() - active > self._settings.idle_seconds

    def _drain(self) -> None:
        """What is in the journal reaches the store first; what does not is kept in Redis' file."""
        client, keys = self._connection.redis, self._connection.keys
        deadline = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < deadline:
            total, read = client.hmget(keys.journal_state(), ["total", "read"])
            if int(total or 0) <= int(read or 0):
                return
            self._stop_event.wait(0.02)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    with (home / "service.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"a service runs for {home} already; `besom status` shows it, `besom down` ends it"
            ) from None
        yield


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop`; a second one ends the process at once."""

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    numbers = (signal.SIGTERM, signal.SIGINT)
    old = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
