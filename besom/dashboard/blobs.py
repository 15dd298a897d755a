"""`/blobs/SHA256`: files of runs and artifacts over HTTP, for machines that reach them in no other way.

GET gives one, HEAD its size, PUT takes one, POST `?size=` says whether it need not be sent. A name is 64 hex digits
and nothing else; what is sent is measured and hashed as it comes, and kept only when it is what its name says.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import IO, Final, cast

import anyio
import anyio.to_thread
from anyio import from_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from besom.dashboard.answers import HEADERS, problem
from besom.errors import BesomError, BlobRefused
from besom.tracking.blobs.place import PIECE_BYTES, Place, is_name

__all__ = ["blob_routes"]

_SILENT_SECONDS: Final = 60.0
"""A sender that sends nothing for so long is let go."""
_AT_ONCE: Final = 8
"""Files that are taken at the same time; others wait, so that reading goes on."""
_HEADERS: Final = {**HEADERS, "Content-Disposition": "attachment", "Content-Security-Policy": "sandbox"}

Handler = Callable[[Request, str], Awaitable[Response]]


def blob_routes(place: Place, leads: Callable[[], bool], refusal: Callable[[Request], Response | None]) -> list[Route]:
    """The routes.

    Args:
        place: Where blobs are kept.
        leads: Whether this controller works.
        refusal: The answer to a request that has no token.
    """
    at_once = anyio.CapacityLimiter(_AT_ONCE)

    async def give(request: Request, name: str) -> Response:
        size = await anyio.to_thread.run_sync(place.size, name)
        if size is None:
            return problem(404, f"there is no blob {name}")
        headers = {**_HEADERS, "Content-Length": str(size)}
        if request.method == "HEAD":
            return Response(None, headers=headers, media_type="application/octet-stream")
        file = await anyio.to_thread.run_sync(place.read, name)
        return StreamingResponse(_pieces(file), headers=headers, media_type="application/octet-stream")

    async def renew(request: Request, name: str) -> Response:
        size = _whole(request.query_params.get("size"))
        if size is None:
            return problem(400, "say the size: POST /blobs/SHA256?size=BYTES")
        held = await anyio.to_thread.run_sync(place.renew, name, size)
        return Response(status_code=204, headers=HEADERS) if held else problem(404, f"there is no blob {name}")

    async def take(request: Request, name: str) -> Response:
        size = _whole(request.headers.get("content-length"))
        if size is None:
            return problem(411, "say the size, in Content-Length")
        if size > place.limit:
            return problem(413, f"{size} bytes; at most {place.limit}")
        if not await anyio.to_thread.run_sync(leads):
            return problem(503, "this controller stands by; ask Redis for the one that works")
        await anyio.to_thread.run_sync(place.write, name, size, _body(request), limiter=at_once)
        return Response(status_code=201, headers=HEADERS)

    def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            if (refused := refusal(request)) is not None:
                return refused
            name = request.path_params["name"]
            if not is_name(name):
                return problem(400, "a blob's name is a sha256 of 64 hex digits")
            try:
                return await handler(request, name)
            except BlobRefused as error:
                return problem(422, str(error))
            except (OSError, BesomError, ClientDisconnect) as error:
                return problem(507 if getattr(error, "errno", 0) == errno.ENOSPC else 503, str(error))

        return handle

    return [
        Route("/blobs/{name}", guarded(give), methods=["GET", "HEAD"]),
        Route("/blobs/{name}", guarded(take), methods=["PUT"]),
        Route("/blobs/{name}", guarded(renew), methods=["POST"]),
    ]


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        while piece := await anyio.to_thread.run_sync(file.read, PIECE_BYTES):
            yield piece
    finally:
        file.close()


class _Body:
    """A request's body as a file that a worker thread reads, piece by piece as it comes."""

    def __init__(self, request: Request) -> None:
        self._stream = request.stream().__aiter__()
        self._held = b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end.

        Raises:
            ConnectionError: the sender is gone or silent.
        """
        while not self._held:
            try:
                came = from_thread.run(self._next)
            except (ClientDisconnect, TimeoutError):
                raise ConnectionError("the sender is gone") from None
            if came is None:
                return b""
            self._held = came
        piece, self._held = self._held[:size], self._held[size:]
        return piece

    async def _next(self) -> bytes | None:
        with anyio.fail_after(_SILENT_SECONDS):
            return await anext(self._stream, None)


def _body(request: Request) -> IO[bytes]:
    return cast("IO[bytes]", _Body(request))


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None
