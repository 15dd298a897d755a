"""What every answer of the HTTP side has in common: headers, problems, and who is refused."""

from __future__ import annotations

import hmac
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

__all__ = ["HEADERS", "problem", "refusal"]

HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


def refusal(request: Request, token: str) -> Response | None:
    """The answer to a request without the token; None when it has it."""
    given = request.headers.get("authorization", "")
    if hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return None
    return problem(401, "the token is missing or wrong; send Authorization: Bearer TOKEN")


def problem(status: int, sentence: str) -> Response:
    """Why something is not done."""
    return PlainTextResponse(sentence, status, headers=HEADERS)
