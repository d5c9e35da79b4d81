"""Who may ask: everyone on this machine, or who has the key; and never another site's page."""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.api._errors import error_response
from holdfast.errors import HoldfastError

__all__ = ["SESSION_COOKIE", "KeyInvalid", "OriginRefused", "OwnPages", "RequireKey", "Session"]

SESSION_COOKIE = "holdfast_session"
# What watches over a service has no key, and learns nothing from these but that it lives. A browser
# has none before it could send one, and what the page is made of is in every copy of Holdfast.
_OPEN = frozenset({"/health", "/ready", "/session"})
_OPEN_BELOW = "/static/"
_KEY_SUBPROTOCOL = "openai-insecure-api-key."
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class KeyInvalid(HoldfastError):
    """A request without the server's key."""

    code = "key-invalid"
    http_status = 401


class OriginRefused(HoldfastError):
    """A request that another site's page had a browser send."""

    code = "origin-refused"
    http_status = 403


class Session:
    """What a browser is given in place of the key: no use elsewhere, and gone with the key.

    Args:
        key: the server's key.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self.token = hmac.new(self._key, b"holdfast web session", hashlib.sha256).hexdigest()

    def is_key(self, given: bytes) -> bool:
        """Return whether ``given`` is the key, in the same time whatever it is."""
        return hmac.compare_digest(self._key, given)

    def is_token(self, given: str) -> bool:
        """Return whether ``given`` is the session's token, in the same time whatever it is."""
        return hmac.compare_digest(self.token.encode(), given.encode())


class RequireKey:
    """Lets requests through that carry the key as a Bearer token or in X-Api-Key, or a session.

    Args:
        app: what is behind it.
        session: knows the key.
        sign_in: makes the page that a browser is shown instead of an error.
    """

    def __init__(self, app: ASGIApp, session: Session, sign_in: Callable[[], Response]) -> None:
        self._app = app
        self._session = session
        self._sign_in = sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in {"http", "websocket"} or self._admits(scope):
            await self._app(scope, receive, send)
            return
        if scope["path"] == "/" and scope.get("method") == "GET":
            await self._sign_in()(scope, receive, send)
            return
        refusal = KeyInvalid(
            "a key is needed", why="send it as 'Authorization: Bearer KEY' or 'X-Api-Key: KEY'"
        )
        await error_response(refusal)(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        if scope["path"] in _OPEN or scope["path"].startswith(_OPEN_BELOW):
            return True
        given, cookies = [], []
        for name, value in scope["headers"]:
            if name == b"x-api-key":
                given.append(value)
            elif name == b"authorization":
                scheme, _, token = value.partition(b" ")
                given += [token.strip()] if scheme.lower() == b"bearer" else []
            elif name == b"cookie":
                cookies.append(_session_of(value.decode("latin-1")))
        for offered in scope.get("subprotocols", ()):
            # A browser cannot add a header to a websocket; this is how OpenAI's clients send it.
            if offered.startswith(_KEY_SUBPROTOCOL):
                given.append(offered.removeprefix(_KEY_SUBPROTOCOL).encode())
        # Every one is compared, and in the same time, whatever it is.
        matches = [self._session.is_key(token) for token in given]
        matches += [self._session.is_token(cookie) for cookie in cookies]
        return True in matches


class OwnPages:
    """Refuses what another site's page has a browser send here.

    A browser sends such a request without being asked (a form, a picture), and with this machine's
    name where another site's name was made to mean this machine. A key in a header tells of
    somebody who meant it: no page can add one without being allowed to, and none is.

    Args:
        app: what is behind it.
        here_only: the server listens on this machine only and asks for no key: it is asked by one
            of this machine's names, or by none.
    """

    def __init__(self, app: ASGIApp, *, here_only: bool) -> None:
        self._app = app
        self._here_only = here_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        why = self._why_not(scope) if scope["type"] in {"http", "websocket"} else ""
        if not why:
            await self._app(scope, receive, send)
            return
        refusal = OriginRefused("this request comes from another site's page", why=why)
        await error_response(refusal)(scope, receive, send)

    def _why_not(self, scope: Scope) -> str:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if self._here_only and not _is_here(host):
            return f"it asks for {host!r}, and without a key only this machine's own names are used"
        origin = headers.get(b"origin")
        if origin is None or b"x-api-key" in headers:
            return ""
        if headers.get(b"authorization", "").lower().startswith("bearer "):
            return ""  # a browser adds a remembered name and password by itself, but never this
        if scope["type"] == "http" and scope["method"] in _READING:
            return ""
        if _place_of(origin) == host.lower():
            return ""
        return f"its origin is {origin!r}"


def _session_of(header: str) -> str:
    try:
        found = SimpleCookie(header).get(SESSION_COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def _is_here(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname if host else "localhost"
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(name or "").is_loopback
    except ValueError:
        return name is not None and (name == "localhost" or name.endswith(".localhost"))


def _place_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
