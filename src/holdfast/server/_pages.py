"""The page at ``/``: what the models, the machine and the log say, and a panel per application."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from holdfast._version import __version__
from holdfast.api import SESSION_COOKIE, Session, UploadTooLarge
from holdfast.runtime import ModelStatus, process_memory_mb
from holdfast.server._recent import RecentErrors
from holdfast.web import STATIC, page
from holdfast.wiring import Services

__all__ = ["Pages"]

_MOST_FORM_BYTES = 4096
_HEADERS = {
    # Nothing from elsewhere, in either direction; recordings are played from memory.
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; img-src 'self' data: "
    "blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class _Panel:
    """An application's part of the page; its script is ``static/{id}.js``."""

    id: str
    title: str
    template: str


_PANELS = (
    _Panel("speech", "Speech", "speech.html"),
    _Panel("voiceprint", "Voices", "voiceprint.html"),
    _Panel("documents", "Documents", "documents.html"),
)


class Pages:
    """What is shown to a browser.

    Args:
        services: what is told of.
        recent: what went wrong lately.
        session: knows the key; None where none is asked for.
    """

    def __init__(self, services: Services, recent: RecentErrors, session: Session | None) -> None:
        self._services = services
        self._recent = recent
        self._session = session
        self._started = time.monotonic()

    def mount(self, app: FastAPI) -> None:
        """Add the page, its parts and what it is made of to ``app``."""
        app.include_router(self._routes())
        app.mount("/static", StaticFiles(directory=STATIC), name="static")

    def sign_in(self, *, wrong: bool = False) -> Response:
        """Return the page that asks for the key."""
        return _html(page("sign-in.html", version=__version__, wrong=wrong), 401)

    def _routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)

        @router.get("/")
        async def index(request: Request) -> Response:
            url = str(request.base_url).rstrip("/")
            signed_in = self._session is not None and SESSION_COOKIE in request.cookies
            values = await self._values()
            return _html(page("index.html", panels=_PANELS, url=url, signed_in=signed_in, **values))

        @router.get("/live")
        async def live() -> Response:
            return _html(page("live.html", **await self._values()))

        if self._session is not None:
            router.post("/session")(self._begin)
            router.post("/session/end")(_end)
        return router

    async def _begin(self, request: Request) -> Response:
        """Take the key of a person and give the browser a session instead."""
        assert self._session is not None
        given = parse_qs((await _small_body(request)).decode("utf-8", "replace")).get("key", [""])
        if not self._session.is_key(given[0].encode()):
            return self.sign_in(wrong=True)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            SESSION_COOKIE, self._session.token, httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        return answer

    async def _values(self) -> dict[str, Any]:
        services = self._services
        supervisor = services.supervisor
        slot = await services.language.status(supervisor.machine)
        waiting = supervisor.not_ready()
        return {
            "version": __version__,
            "ready": not waiting,
            "waiting": waiting,
            "models": [*_shown(supervisor.statuses(), True), *_shown([slot], False)],
            "findings": services.checkup.latest() if services.checkup else (),
            "troubles": self._recent.latest(),
            "uptime_s": time.monotonic() - self._started,
            "memory_mb": process_memory_mb(),
            "machine": supervisor.machine,
        }


def _shown(statuses: Sequence[ModelStatus], managed: bool) -> list[dict[str, Any]]:
    return [{**status.to_dict(), "managed": managed} for status in statuses]


async def _end() -> Response:
    """Take the session back."""
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return answer


async def _small_body(request: Request) -> bytes:
    received = bytearray()
    async for block in request.stream():
        received += block
        if len(received) > _MOST_FORM_BYTES:
            raise UploadTooLarge(
                f"a form may have at most {_MOST_FORM_BYTES} B",
                why="it holds a key and nothing else",
                hint="curl -d key=KEY ...",
            )
    return bytes(received)


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, _HEADERS)
