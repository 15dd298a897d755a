"""Requests to a controller's HTTP side, over one connection that is kept open."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

from besom.errors import Unreachable

__all__ = ["HttpClient"]


_CONNECT_SECONDS: Final = 5.0
"""A host that is cut off answers nothing at all."""


class HttpClient:
    """Safe to share between threads, one request at a time, and with forked children.

    Args:
        address: `http://host:port`.
        token: What the controller asks for.
        timeout: Seconds to wait for each piece of an answer.
    """

    def __init__(self, address: str, token: str, timeout: float = 30.0) -> None:
        self.address = address.rstrip("/")
        self._host = urlsplit(self.address)
        self._token = token
        self._timeout = timeout
        self._lock = threading.Lock()
        self._open: HTTPConnection | None = None
        self._process = os.getpid()

    @contextmanager
    def request(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: Iterable[bytes] | None = None
    ) -> Iterator[HTTPResponse]:
        """Ask, and read the answer within the block.

        Args:
            method: GET, HEAD, PUT or POST.
            target: Path and query, from the address.
            headers: Besides the token.
            body: What is sent; `headers` says its length.

        Raises:
            Unreachable: the controller does not answer, or refuses the token.
        """
        sent = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        with self._lock:
            try:
                answer = self._asked(method, f"{self._host.path}{target}", sent, body)
            except (OSError, HTTPException, ValueError) as error:
                self.close()
                raise self._silent(error) from None
            except BaseException:
                self.close()
                raise
            try:
                if answer.status in (401, 403):
                    raise Unreachable(f"the controller at {self.address} refuses the token")
                yield answer
                answer.read()  # what is not read would stand before the next answer
            except (ConnectionError, TimeoutError, HTTPException) as error:
                self.close()
                raise self._silent(error) from None
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _silent(self, error: Exception) -> Unreachable:
        return Unreachable(f"the controller at {self.address} does not answer: {error or type(error).__name__}")

    def _asked(
        self, method: str, target: str, headers: Mapping[str, str], body: Iterable[bytes] | None
    ) -> HTTPResponse:
        if self._process != os.getpid():  # a fork must not speak on its parent's connection
            self._open, self._process = None, os.getpid()
        if self._open is not None:
            try:
                return _exchange(self._open, method, target, headers, body)
            except (ConnectionError, HTTPException):
                self.close()  # the other side closes what has been idle for a while
                if body is not None:
                    raise  # some of it may be gone; its sender begins again
        kind = HTTPSConnection if self._host.scheme == "https" else HTTPConnection
        self._open = kind(self._host.hostname or "", self._host.port, timeout=min(self._timeout, _CONNECT_SECONDS))
        self._open.connect()
        self._open.sock.settimeout(self._timeout)
        return _exchange(self._open, method, target, headers, body)


def _exchange(
    connection: HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: Iterable[bytes] | None
) -> HTTPResponse:
    try:
        connection.request(method, target, body, dict(headers))
    except (BrokenPipeError, ConnectionResetError):
        if body is None:
            raise
        # Refused before all was sent: the answer says why.
    return connection.getresponse()
