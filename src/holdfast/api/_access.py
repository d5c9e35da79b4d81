"""Who may ask: everyone on this machine, or those who have the key."""

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.api._errors import error_response
from holdfast.errors import HoldfastError

__all__ = ["KeyInvalid", "RequireKey"]

# What watches over a service has no key, and learns nothing from these but that it lives.
_OPEN = frozenset({"/health", "/ready"})


class KeyInvalid(HoldfastError):
    """A request without the server's key."""

    code = "key-invalid"
    http_status = 401


class RequireKey:
    """Lets requests through that carry ``key`` as a Bearer token or in X-Api-Key."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in _OPEN or self._admits(scope):
            await self._app(scope, receive, send)
            return
        refusal = KeyInvalid(
            "a key is needed", why="send it as 'Authorization: Bearer KEY' or 'X-Api-Key: KEY'"
        )
        await error_response(refusal)(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"x-api-key"]
        for name, value in scope["headers"]:
            scheme, _, token = value.partition(b" ")
            if name == b"authorization" and scheme.lower() == b"bearer":
                given.append(token.strip())
        # Every one is compared, and in the same time, whatever it is.
        matches = [hmac.compare_digest(self._key, token) for token in given]
        return True in matches
