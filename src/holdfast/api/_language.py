"""Questions to a language model, passed on to the server that answers them."""

import contextlib
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from holdfast.api._schemas import refusals
from holdfast.api._uploads import UploadInvalid, UploadTooLarge
from holdfast.wiring import Services

__all__ = ["language_routes"]

_MOST_BYTES = 20_000_000
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["messages"],
                "properties": {
                    "model": {"type": "string"},
                    "messages": {"type": "array", "items": {"type": "object"}},
                    "stream": {"type": "boolean"},
                },
            }
        }
    },
}


def language_routes(services: Services) -> APIRouter:
    """Return the routes over ``services``."""
    router = APIRouter()

    @router.post(
        "/v1/chat/completions",
        openapi_extra={"requestBody": _BODY},
        responses=refusals(413, 422, 503),
    )
    async def chat(request: Request) -> Response:
        """Answer as the back end does, piece by piece where that was asked for."""
        body = await _body(request)
        async with contextlib.AsyncExitStack() as stack:
            passed = await stack.enter_async_context(services.language.chat(body))
            rest = stack.pop_all()

        async def blocks() -> AsyncIterator[bytes]:
            async with rest:  # closed with the answer, or when the client leaves
                async for block in passed.blocks:
                    yield block

        return StreamingResponse(blocks(), passed.status, passed.headers)

    return router


async def _body(request: Request) -> bytes:
    """Receive the question; what it says is the back end's to judge.

    Raises:
        UploadTooLarge: it is longer than any conversation.
        UploadInvalid: it is no JSON object.
    """
    received = bytearray()
    async for block in request.stream():
        received += block
        if len(received) > _MOST_BYTES:
            raise UploadTooLarge(
                f"a question may have at most {_MOST_BYTES // 1_000_000} MB", why="send less"
            )
    try:
        sound = isinstance(json.loads(received), dict)
    except (ValueError, RecursionError):
        sound = False
    if not sound:
        raise UploadInvalid("the question cannot be read", why="it is no JSON object")
    return bytes(received)
