"""Answers that begin before the work has ended: what is done so far is sent while it goes on.

Between two steps of the work the client takes what there is, so that a slow one slows the work down
and fills no memory; when it leaves, the work ends.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, Generic, TypeVar

from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from holdfast.api._errors import error_body
from holdfast.api._waiting import steps_of
from holdfast.errors import HoldfastError
from holdfast.runtime import Steps

__all__ = ["EVENTS", "Flow", "FlowingResponse", "event", "failure_event"]

T = TypeVar("T")
EVENTS = "text/event-stream"
_log = logging.getLogger(__name__)


class Flow(Generic[T]):
    """Work whose pieces are wanted as they come.

    Args:
        request: whose client waits.
        work: told where to put pieces (bytes), returns the steps that do so.
        last: makes the pieces that follow the end of the work.
        failed: makes the pieces that tell of a failure in the midst of it; without it such an
            answer ends without an end, and the connection with it.
    """

    def __init__(
        self,
        request: Request,
        work: Callable[[Callable[[bytes], None]], Steps[T]],
        last: Callable[[T], Iterator[bytes]] = lambda _: iter(()),
        failed: Callable[[HoldfastError], Iterator[bytes]] | None = None,
    ) -> None:
        self.request = request
        self.failed = failed
        self._made: list[bytes] = []
        self._steps = work(self._made.append)
        self._last = last
        self._pieces = self._all()
        self._held: list[bytes] = []

    async def begin(self) -> None:
        """Work until there is something to send, so that a failure before has a status of its own.

        Raises:
            HoldfastError: what the work raised.
            ClientDisconnect: the client has left.
        """
        piece = await anext(self._pieces, None)
        self._held = [] if piece is None else [piece]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces, with what `begin` held back."""
        for piece in self._held:
            yield piece
        async for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        """End the work."""
        await self._pieces.aclose()

    async def _all(self) -> AsyncGenerator[bytes, None]:
        answers: list[T] = []
        going = steps_of(self.request, self._steps, answers)
        try:
            async for _ in going:
                for piece in self._taken():
                    yield piece
            for piece in self._taken():
                yield piece
            for piece in self._last(answers[0]):
                yield piece
        finally:
            await going.aclose()

    def _taken(self) -> list[bytes]:
        taken = [*self._made]
        del self._made[: len(taken)]
        return [piece for piece in taken if piece]


class FlowingResponse(Response):
    """The answer that a flow makes; what it needs is given back when it ends.

    Args:
        flow: has begun.
        media_type: of the whole.
        needed: closed at the end.
    """

    def __init__(self, flow: Flow[T], media_type: str, needed: AsyncExitStack) -> None:
        # Nothing between here and the client should wait for more before it passes a piece on.
        super().__init__(headers={"X-Accel-Buffering": "no", "Cache-Control": "no-store"},
                         media_type=media_type)  # fmt: skip
        del self.headers["content-length"]
        self._flow = flow
        self._needed = needed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, piece by piece."""
        del receive  # the flow looks whether the client is still there
        about = f"{scope['method']} {scope['path']}"
        try:
            head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(head)
            if await self._sent(send, about):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientDisconnect:
            _log.info("%s: the client left in the midst of the answer", about)
        finally:
            await self._flow.aclose()
            await self._needed.aclose()

    async def _sent(self, send: Send, about: str) -> bool:
        """Send the pieces; return whether the answer has a proper end."""

        async def piece_sent(piece: bytes) -> None:
            await send({"type": "http.response.body", "body": piece, "more_body": True})

        try:
            async for piece in self._flow:
                await piece_sent(piece)
        except HoldfastError as error:
            _log.warning("%s: %s", about, error)
            if self._flow.failed is None:
                # Without an end the server breaks the connection, and so the client learns that
                # something is missing.
                return False
            for piece in self._flow.failed(error):
                await piece_sent(piece)
        return True


def event(content: dict[str, Any]) -> bytes:
    """Return a server-sent event; as OpenAI's it has no name, the type is in the content."""
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


def failure_event(error: HoldfastError) -> Iterator[bytes]:
    """Yield what tells of a failure in the midst of events; the end that a whole has is missing."""
    status = error.http_status
    message = error.what if status == 500 else str(error)
    yield event({"type": "error", **error_body(status, message, error.code)})
