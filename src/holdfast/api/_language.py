"""Questions to a language model, passed on to the server that answers them."""

import asyncio
import logging

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from holdfast.api._schemas import refusals
from holdfast.api._uploads import received_object
from holdfast.language import LanguageUnavailable, Passed
from holdfast.wiring import Services

__all__ = ["language_routes"]

_log = logging.getLogger(__name__)
_MOST_BYTES = 20_000_000
_LOOK_S = 0.25
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
        responses=refusals(400, 404, 413, 422, 429, 502, 503, 504),
    )
    async def chat(request: Request) -> Response:
        """Answer as the back end does, piece by piece where that was asked for."""
        body, _ = await received_object(request, _MOST_BYTES)
        passed = await _while_there(request, asyncio.create_task(services.language.ask(body)))
        try:
            return _PassedOn(request, passed)
        except BaseException:
            await passed.aclose()
            raise

    return router


class _PassedOn(StreamingResponse):
    """An answer as it comes, closed at its source when it ends or its client leaves."""

    def __init__(self, request: Request, passed: Passed) -> None:
        super().__init__(passed.blocks(), passed.status, passed.headers)
        self._about = f"{request.method} {request.url.path}"
        self._passed = passed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._passed.aclose()

    async def stream_response(self, send: Send) -> None:
        """Send it; one that was cut off gets no end."""
        try:
            await super().stream_response(send)
        except LanguageUnavailable as error:
            # The server breaks the connection of an answer without an end, and so the client learns
            # that something is missing. Raised further it would be a fault of ours, with a trace.
            _log.warning("%s: %s", self._about, error)


async def _while_there(request: Request, asking: "asyncio.Task[Passed]") -> Passed:
    """Return the answer; when the client leaves before, or the service ends, nobody asks for it.

    Raises:
        ClientDisconnect: the client has left.
        HoldfastError: there is no answer.
    """
    left = False
    try:
        while not asking.done() and not left:
            await asyncio.wait({asking}, timeout=_LOOK_S)
            left = not asking.done() and await request.is_disconnected()
    except BaseException:
        await _given_up(asking)
        raise
    if left:
        await _given_up(asking)
        raise ClientDisconnect
    return asking.result()


async def _given_up(asking: "asyncio.Task[Passed]") -> None:
    asking.cancel()
    await asyncio.wait({asking})
    if not asking.cancelled() and asking.exception() is None:
        await asking.result().aclose()  # it came at the last moment
