"""A connection to Redis that waits through outages, and never shows a password.

Two pools: one for short commands, which may be repeated (each of our scripts is safe to send twice), and one for
blocking reads, which may not. Above redis-py's own few retries stands `call`, which waits as long as its caller
can: an agent that trains waits for hours, a command line for seconds.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urlsplit

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from besom.broker.keys import LUA_KEYS, Keys
from besom.errors import ConfigError, Fenced, Unreachable

__all__ = ["BLOCK_SECONDS", "Connection", "redact", "to_json"]

log = logging.getLogger("besom")

T = TypeVar("T")

BLOCK_SECONDS: Final = 5.0
"""No blocking read waits longer, so that a dead connection is noticed."""

_TRANSIENT = (
    RedisConnectionError, RedisTimeoutError, BusyLoadingError, ClusterDownError, ReadOnlyError, OutOfMemoryError,
    TryAgainError, OSError,
)  # fmt: skip
# At the start; after a pipeline's "... caused error: "; after the "...: -" that Redis before 7 puts around a script's.
_TRANSIENT_REPLY = re.compile(
    r"(?:^|error: |: -)(?:MISCONF|OOM|LOADING|READONLY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|NOREPLICAS|BUSY)\b"
)
_SCHEMES = ("redis", "rediss", "unix")
_URL_SHAPE = "write redis://[user:password@]host:port/db, rediss://… for TLS, or unix:///path/to/socket"


def redact(url: str) -> str:
    """The URL without its password, fit for messages."""
    parts = _split(url)
    if parts is None:
        return "(a URL that cannot be read)"
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    if not parts.netloc:
        return url.partition("?")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


def _split(url: str) -> SplitResult | None:
    """Its parts; None when they cannot be told apart, so that any of them may hold the password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    # An "@" behind the host: a "/", "?" or "#" that should have been percent-encoded cut the password in two.
    torn = "@" in url.removeprefix(f"{parts.scheme}://{parts.netloc}")
    return None if torn and not (parts.scheme == "unix" and not parts.netloc) else parts


def check_url(url: str) -> str:
    """The URL itself, when redis-py will understand it.

    Raises:
        ConfigError: the message never shows a password.
    """
    shown = redact(url)
    parts = _split(url)
    if parts is None or parts.scheme not in _SCHEMES:
        raise ConfigError(f"the Redis URL {shown!r} cannot be: {_URL_SHAPE}")
    if parts.scheme == "unix" and not parts.path:
        raise ConfigError(f"the Redis URL {shown!r} names no socket: {_URL_SHAPE}")
    if parts.scheme != "unix" and not parts.hostname:
        raise ConfigError(f"the Redis URL {shown!r} names no host: {_URL_SHAPE}")
    database = parts.path.strip("/")
    if parts.scheme != "unix" and database and not database.isdigit():
        raise ConfigError(f"the Redis URL {shown!r} ends in {database!r}, which is no database number: {_URL_SHAPE}")
    try:
        client = _client(url)
        client.connection_pool.make_connection()  # connects to nothing yet
    except (TypeError, ValueError, redis.exceptions.RedisError) as error:
        raise ConfigError(f"the Redis URL {shown!r} has an option that cannot be: {error}") from None
    return url


def is_transient(error: Exception) -> bool:
    """Whether waiting may help: outage, failover, full memory or disk."""
    if isinstance(error, AuthenticationError | AuthorizationError):
        return False
    return isinstance(error, _TRANSIENT) or (
        isinstance(error, ResponseError) and _TRANSIENT_REPLY.search(str(error)) is not None
    )


class Connection:
    """Redis for one namespace.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        namespace: Prefix of every key.
        client: A ready client (tests pass fakeredis) instead of `url`.
        revive: Called when Redis does not answer; may start it again (the service does).
        patience: Seconds that `call` waits through an outage by default.
    """

    def __init__(
        self,
        url: str,
        namespace: str = "besom",
        *,
        client: redis.Redis | None = None,
        revive: Callable[[], None] | None = None,
        patience: float = float("inf"),
    ) -> None:
        self.url = url if client is not None else check_url(url)
        self.namespace = namespace
        self.keys = Keys(namespace)
        self.patience = patience
        self._revive = revive
        self._given = client
        # Typed loosely: redis-py's replies are unions over protocols and decodings; ours are RESP3 and bytes.
        self.redis: Any = client if client is not None else _client(url)
        self._scripts: dict[str, Any] = {}
        self._outage = threading.Lock()
        self._away_since: float | None = None

    def __repr__(self) -> str:
        return f"Connection({self.shown!r}, {self.namespace!r})"

    def renewed(self) -> Connection:
        """Another to the same Redis, for a forked child: locks and sockets of its own."""
        return Connection(
            self.url, self.namespace, client=self._given, revive=self._revive, patience=self.patience
        )  # fmt: skip

    @property
    def shown(self) -> str:
        """The address without its password."""
        return redact(self.url)

    def blocking(self, seconds: float = BLOCK_SECONDS) -> Any:
        """A private client whose reads may block up to `seconds`; it does not retry."""
        if self._given is not None:
            return self._given
        return redis.Redis.from_url(
            self.url,
            socket_timeout=seconds + 5,
            socket_connect_timeout=3,
            retry=Retry(ExponentialWithJitterBackoff(), 0),
        )

    def script(self, name: str, *arguments: Any, patience: float | None = None) -> Any:
        """Run `lua/<name>.lua` for this namespace; safe to repeat, so it waits through outages.

        Raises:
            Fenced: the script belongs to the controller and its epoch is over.
            Unreachable: Redis was away for longer than `patience`.
        """
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self.redis.register_script(_source(name))
        try:
            return self.call(lambda: script(args=[self.namespace, *arguments]), patience=patience)
        except ResponseError as error:
            if "FENCED" in str(error):
                raise Fenced(f"another controller has taken over the namespace {self.namespace!r}") from None
            raise

    def call(self, action: Callable[[], T], *, patience: float | None = None) -> T:
        """`action()`, repeated through an outage of at most `patience` seconds.

        Raises:
            Unreachable: it lasted longer, Redis refuses the user or password, or what answers is no Redis.
        """
        patience = self.patience if patience is None else patience
        deadline = time.monotonic() + patience
        pause = 0.05
        while True:
            try:
                result = action()
            except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
                raise Unreachable(f"Redis at {self.shown} refuses this user or password: {error}") from None
            except InvalidResponse:
                raise Unreachable(f"what answers at {self.shown} is no Redis server") from None
            except Exception as error:
                if not is_transient(error):
                    raise
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Unreachable(f"Redis at {self.shown} does not answer: {_plain(error)}") from None
                self._is_away(error)
                _wait(min(left, pause * random.uniform(0.5, 1.0)))
                pause = min(pause * 2, 1.0)
            else:
                self._is_back()
                return result

    def close(self) -> None:
        """Close the pool."""
        if self._given is None:
            self.redis.close()

    def _is_away(self, error: Exception) -> None:
        with self._outage:
            first = self._away_since is None
            if self._away_since is None:
                self._away_since = time.monotonic()
        if first:
            log.warning("Redis at %s does not answer (%s); waiting", self.shown, _plain(error))
        if self._revive is not None:
            self._revive()

    def _is_back(self) -> None:
        if self._away_since is None:
            return
        with self._outage:
            since, self._away_since = self._away_since, None
        if since is not None:
            log.warning("Redis at %s answers again after %.1f s", self.shown, time.monotonic() - since)


def to_json(payload: object) -> str:
    """JSON for Redis: compact, key order kept, no NaN."""
    return json.dumps(payload, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


@cache
def _source(name: str) -> str:
    folder = resources.files("besom.broker") / "lua"
    common = (folder / "common.lua").read_text(encoding="utf-8")
    return LUA_KEYS + common + (folder / f"{name}.lua").read_text(encoding="utf-8")


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_timeout=5,
        socket_connect_timeout=3,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(cap=2, base=0.05), 3),
    )


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def _plain(error: Exception) -> str:
    return str(error).split("\n")[0] or type(error).__name__
