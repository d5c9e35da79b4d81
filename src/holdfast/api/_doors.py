"""Letting requests in, and, once the service was told to end, only out."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.api._errors import error_response
from holdfast.runtime import shutting_down

__all__ = ["Doors", "PassDoors"]

# What is asked to find out how the ending goes on.
_TELLING = frozenset({"/health", "/ready", "/models", "/metrics"})
_LOOK_S = 0.02


class Doors:
    """How many requests are inside, uploads and answers that still flow among them.

    Attributes:
        closing: no more are let in; those that are inside go on.
        inside: how many there are; changed by the event loop only.
    """

    def __init__(self) -> None:
        self.closing = False
        self.inside = 0

    def close(self, timeout_s: float) -> bool:
        """Let nobody in any more and wait until all are out; return whether that came true.

        For another thread than the event loop's.
        """
        self.closing = True
        deadline = time.monotonic() + timeout_s
        while self.inside:
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_S)
        return True


class PassDoors:
    """Refuses new work with 503 while the doors are closing."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        if self._doors.closing and scope["path"] not in _TELLING:
            await error_response(shutting_down())(scope, receive, send)
            return
        self._doors.inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._doors.inside -= 1
