"""Blobs of another machine, through its controller's HTTP side."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse
from typing import IO, Final, NoReturn

from besom.errors import BlobRefused, Unreachable
from besom.tracking.blobs.place import PIECE_BYTES, SIZE_LIMIT, Checked
from besom.tracking.http import HttpClient

__all__ = ["HttpPlace"]

_SPOOL_BYTES: Final = 8_000_000


class HttpPlace:
    """A controller that serves its blobs.

    Each request has a connection of its own: a long upload holds nobody up, and none is left open.

    Args:
        address: `http://host:port`.
        token: What it asks for.
        limit: Bytes of the largest blob.
    """

    def __init__(self, address: str, token: str, limit: int = SIZE_LIMIT) -> None:
        self.shown = address
        self.limit = limit
        self._token = token

    def size(self, name: str) -> int | None:
        """Bytes of a blob; None when there is none."""
        with self._request("HEAD", f"/blobs/{name}") as answer:
            if answer.status == 404:
                return None
            if answer.status != 200:
                self._refused(answer, f"blob {name}")
            return int(answer.headers["Content-Length"])

    def renew(self, name: str, size: int) -> bool:
        """Whether it is there, whole; it then counts as new."""
        with self._request("POST", f"/blobs/{name}?size={size}") as answer:
            if answer.status not in (204, 404):
                self._refused(answer, f"blob {name}")
            return answer.status == 204

    def write(self, name: str, size: int, source: IO[bytes]) -> None:
        """Send the next `size` bytes of `source`."""
        if size > self.limit:
            raise BlobRefused(f"blob {name} has {size} bytes; {self.shown} takes at most {self.limit}")
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        with self._request("PUT", f"/blobs/{name}", headers, Checked(name, size, source)) as answer:
            if answer.status not in (200, 201):
                self._refused(answer, f"blob {name}")

    def read(self, name: str) -> IO[bytes]:
        """The blob's bytes, fetched whole."""
        file: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOL_BYTES, prefix="besom-")  # noqa: SIM115
        try:
            with self._request("GET", f"/blobs/{name}") as answer:
                if answer.status == 404:
                    raise FileNotFoundError(name)
                if answer.status != 200:
                    self._refused(answer, f"blob {name}")
                while piece := answer.read(PIECE_BYTES):
                    file.write(piece)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    @contextmanager
    def _request(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: Iterable[bytes] | None = None
    ) -> Iterator[HTTPResponse]:
        client = HttpClient(self.shown, self._token)
        try:
            with client.request(method, target, headers, body) as answer:
                yield answer
        finally:
            client.close()

    def _refused(self, answer: HTTPResponse, what: str) -> NoReturn:
        told = answer.read(300).decode("utf-8", "replace")
        kind = BlobRefused if answer.status in (413, 422) else Unreachable
        raise kind(f"the controller at {self.shown} refuses {what}: {told or answer.reason}")
