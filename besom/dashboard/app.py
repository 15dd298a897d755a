"""The read API: `GET /api/QUERY?name=JSON`, for the queries of `tracking.reading.source`.

Every request but `/health` carries the token. Answers are JSON, with null for NaN and infinities, or msgpack, exact,
when asked for. The store is not written; `/blobs` takes files (`blobs.py`).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import msgpack
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from besom.dashboard.answers import HEADERS, problem, refusal
from besom.dashboard.blobs import blob_routes
from besom.errors import BesomError
from besom.tracking.blobs.place import Place
from besom.tracking.reading.source import QUERIES, LocalSource
from besom.tracking.store.store import Store
from besom.tracking.values import strict

__all__ = ["make_app"]


def make_app(
    store: Store, blobs: Place, token: str, hosts: list[str], leads: Callable[[], bool] = lambda: True
) -> Starlette:
    """The app over one store.

    Args:
        store: What is read.
        blobs: What `/blobs` gives and takes.
        token: What a request must carry, as `Authorization: Bearer TOKEN`.
        hosts: Names that the Host header may have; others are refused, against DNS rebinding.
        leads: Whether this controller is the one that works; another one takes no blobs.
    """
    source = LocalSource(store)

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok", headers=HEADERS)

    async def index(request: Request) -> Response:
        if (refused := refusal(request, token)) is not None:
            return refused
        return JSONResponse({"queries": {name: _arguments(name) for name in QUERIES}}, headers=HEADERS)

    async def query(request: Request) -> Response:
        if (refused := refusal(request, token)) is not None:
            return refused
        name = request.path_params["query"]
        if name not in QUERIES:
            return problem(404, f"no query {name!r}; there are {', '.join(QUERIES)}")
        try:
            arguments = {key: json.loads(text) for key, text in request.query_params.items()}
            inspect.signature(QUERIES[name]).bind(None, **arguments)
        except (ValueError, TypeError) as error:
            return problem(400, f"{name}: {error}; it takes {', '.join(_arguments(name))}, each as JSON")
        try:
            answer = await run_in_threadpool(source.ask, name, **arguments)
        except (ValueError, TypeError, AttributeError) as error:
            return problem(400, f"{name}: {error}")
        except BesomError as error:
            return problem(503, str(error))
        return _answer(request, answer)

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/api/", index),
            Route("/api/{query}", query),
            *blob_routes(blobs, leads, lambda request: refusal(request, token)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
    )


def _arguments(name: str) -> list[str]:
    return list(inspect.signature(QUERIES[name]).parameters)[1:]


def _answer(request: Request, answer: Any) -> Response:
    if "application/msgpack" in request.headers.get("accept", ""):
        return Response(msgpack.packb(answer), media_type="application/msgpack", headers=HEADERS)
    return JSONResponse(strict(answer), headers=HEADERS)
