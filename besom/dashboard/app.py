"""The read API: `GET /api/QUERY?name=JSON`, for the queries of `tracking.source`.

Every request but `/health` carries the token. Answers are JSON, with null for NaN and infinities, or msgpack, exact,
when asked for. Nothing is written.
"""

from __future__ import annotations

import hmac
import inspect
import json
from typing import Any, Final

import msgpack
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from besom.errors import BesomError
from besom.tracking.source import QUERIES, LocalSource
from besom.tracking.store import Store
from besom.tracking.values import strict

__all__ = ["make_app"]

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def make_app(store: Store, token: str, hosts: list[str]) -> Starlette:
    """The app over one store.

    Args:
        store: What is read.
        token: What a request must carry, as `Authorization: Bearer TOKEN`.
        hosts: Names that the Host header may have; others are refused, against DNS rebinding.
    """
    source = LocalSource(store)

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok", headers=_HEADERS)

    async def index(request: Request) -> Response:
        if (refusal := _refusal(request, token)) is not None:
            return refusal
        return JSONResponse({"queries": {name: _arguments(name) for name in QUERIES}}, headers=_HEADERS)

    async def query(request: Request) -> Response:
        if (refusal := _refusal(request, token)) is not None:
            return refusal
        name = request.path_params["query"]
        if name not in QUERIES:
            return _problem(404, f"no query {name!r}; there are {', '.join(QUERIES)}")
        try:
            arguments = {key: json.loads(text) for key, text in request.query_params.items()}
            inspect.signature(QUERIES[name]).bind(None, **arguments)
        except (ValueError, TypeError) as error:
            return _problem(400, f"{name}: {error}; it takes {', '.join(_arguments(name))}, each as JSON")
        try:
            answer = await run_in_threadpool(source.ask, name, **arguments)
        except (ValueError, TypeError, AttributeError) as error:
            return _problem(400, f"{name}: {error}")
        except BesomError as error:
            return _problem(503, str(error))
        return _answer(request, answer)

    return Starlette(
        routes=[Route("/health", health), Route("/api/", index), Route("/api/{query}", query)],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
    )


def _refusal(request: Request, token: str) -> Response | None:
    given = request.headers.get("authorization", "")
    if hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return None
    return _problem(401, "the token is missing or wrong; send Authorization: Bearer TOKEN")


def _arguments(name: str) -> list[str]:
    return list(inspect.signature(QUERIES[name]).parameters)[1:]


def _answer(request: Request, answer: Any) -> Response:
    if "application/msgpack" in request.headers.get("accept", ""):
        return Response(msgpack.packb(answer), media_type="application/msgpack", headers=_HEADERS)
    return JSONResponse(strict(answer), headers=_HEADERS)


def _problem(status: int, sentence: str) -> Response:
    return PlainTextResponse(sentence, status, headers=_HEADERS)
