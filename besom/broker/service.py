"""The service, seen from outside: find it, start it, end it.

The service is one detached process for each BESOM_HOME that owns an embedded Redis, the controller and the
recorder (`controller/service.py` is its inside). A 0600 file tells where it is; a file lock held for life says that
there is one; a nonce in its Redis proves that who answers there is the one meant.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis
from pydantic import BaseModel, ConfigDict, SecretStr

from besom import launcher
from besom.broker.connection import Connection
from besom.disk import boot_id, host_id, private_folder
from besom.errors import ConfigError, Unreachable
from besom.settings import Settings

__all__ = ["Service", "ServiceInfo", "connect"]

_START_SECONDS: Final = 30.0
_EXIT_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.02


class ServiceInfo(BaseModel):
    """What the file says; written by the service once its Redis answers."""

    model_config = ConfigDict(frozen=True)

    host: str
    boot: str
    pid: int
    url: SecretStr
    nonce: str
    redis: str
    """Path of the server binary, or 'fakeredis'."""


class Service:
    """The service of one BESOM_HOME."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.home = settings.home.absolute()
        self.info_file = self.home / "service.json"
        self.error_file = self.home / "service.error"
        self.log_file = self.home / "service.log"
        self._next_try = 0.0

    def find(self) -> ServiceInfo | None:
        """The running service, or None; who answers is checked by password and nonce.

        Raises:
            ConfigError: the file was written on another machine.
        """
        try:
            info = ServiceInfo.model_validate_json(self.info_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # none, half a file, or no text at all
            return None
        if info.host != host_id():
            raise ConfigError(
                f"{self.home} belongs to a service on {info.host}, and a unix socket does not reach over the network; "
                "set BESOM_REDIS_URL to a Redis that both machines reach, or BESOM_HOME to a folder of this machine"
            )
        return info if info.boot == boot_id() and self._answers(info) else None

    def ensure(self) -> ServiceInfo:
        """The running service, started if need be.

        Raises:
            Unreachable: it did not start; says why and where its log is.
        """
        if (info := self.find()) is not None:
            return info
        private_folder(self.home)
        with self._lock("start.lock"):
            return self.find() or self._await_running() or self._start()

    def revive(self) -> None:
        """Called when its Redis does not answer: start it again, at most once a second.

        A service that was ended on purpose has taken its file away, and stays down.
        """
        if time.monotonic() < self._next_try or not self.info_file.exists():
            return
        self._next_try = time.monotonic() + 1.0
        try:
            self.ensure()
        except Unreachable:
            return  # the caller goes on waiting, and reports what its own call says

    def stop(self, seconds: float = 30.0) -> bool:
        """End it and wait until it is gone; False when none ran.

        Raises:
            Unreachable: it did not end in time.
        """
        info = self.find()
        if info is None:
            return False
        connection = self.connection(info)
        connection.call(lambda: connection.redis.hset(connection.keys.service(), "down", info.nonce), patience=5)
        connection.close()
        deadline = time.monotonic() + seconds
        while not self._gone():
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"the service (process {info.pid}) did not end in {seconds:.0f} s; see {self.log_file}"
                )
            threading.Event().wait(_POLL_SECONDS)
        # The lock is let go a moment before the process ends; a zombie that nobody waits for is not waited for here.
        deadline = time.monotonic() + _EXIT_SECONDS
        while _exists(info.pid) and time.monotonic() < deadline:
            threading.Event().wait(_POLL_SECONDS)
        return True

    def connection(self, info: ServiceInfo, *, revive: bool = False) -> Connection:
        """A connection to its Redis."""
        return Connection(info.url.get_secret_value(), self.settings.namespace, revive=self.revive if revive else None)

    def _answers(self, info: ServiceInfo) -> bool:
        client: Any = redis.Redis.from_url(info.url.get_secret_value(), socket_timeout=2, socket_connect_timeout=2)
        try:
            nonce = client.hget(f"{self.settings.namespace}:service", "nonce")
        except (redis.exceptions.RedisError, OSError):
            return False
        finally:
            client.close()
        return nonce is not None and bool(nonce.decode() == info.nonce)

    def _await_running(self) -> ServiceInfo | None:
        """One that is there but does not answer: it starts, ends, or starts its Redis again. None once it is gone."""
        deadline = time.monotonic() + _START_SECONDS
        while not self._gone():
            if (info := self.find()) is not None:
                return info
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"a service runs for {self.home} but does not answer in namespace {self.settings.namespace!r}; "
                    f"see {self.log_file}, or end it with: besom down"
                )
            threading.Event().wait(_POLL_SECONDS)
        return None

    def _start(self) -> ServiceInfo:
        self.error_file.unlink(missing_ok=True)
        before = self.info_file.stat().st_mtime_ns if self.info_file.exists() else 0
        environment = {**os.environ, "BESOM_HOME": str(self.home)}
        with self.log_file.open("ab") as log:
            os.chmod(self.log_file, 0o600)
            subprocess.run(
                [sys.executable, "-S", "-E", launcher.__file__, "detached",
                 sys.executable, "-m", "besom", "controller", "--service"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, env=environment, cwd=self.home,
                check=True,
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self.error_file.exists():
                raise Unreachable(f"the service did not start: {self.error_file.read_text().strip()}")
            if self.info_file.exists() and self.info_file.stat().st_mtime_ns != before and (info := self.find()):
                return info
            threading.Event().wait(_POLL_SECONDS)
        raise Unreachable(f"the service did not start within {_START_SECONDS:.0f} s; see {self.log_file}")

    def _gone(self) -> bool:
        with (self.home / "service.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

    @contextmanager
    def _lock(self, name: str) -> Iterator[Path]:
        path = self.home / name
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield path


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, and another user's
    return True


def connect(settings: Settings, *, start: bool = True, patience: float = float("inf")) -> Connection:
    """The Redis that the settings name; with none named, the service's, which `start` may start.

    Raises:
        Unreachable: it does not answer, or no service runs and `start` is False.
    """
    if settings.redis_url is not None:
        connection = Connection(settings.redis_url.get_secret_value(), settings.namespace, patience=patience)
        connection.call(connection.redis.ping, patience=min(patience, 10.0))
        return connection
    service = Service(settings)
    info = service.ensure() if start else service.find()
    if info is None:
        raise Unreachable(
            f"no Redis is configured and no service runs in {service.home}; "
            "set BESOM_REDIS_URL, or start one with: besom controller"
        )
    connection = service.connection(info, revive=True)
    connection.patience = patience
    key = connection.keys.service()
    connection.call(lambda: connection.redis.hset(key, "active", int(time.time() * 1000)))
    return connection
