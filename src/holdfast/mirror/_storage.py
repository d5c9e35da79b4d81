"""The second origin: large files by digest, behind links that expire.

It never wants a token: a request that brings one is refused, which shows in a test that a client
sends its token across origins.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.mirror._files import FileBody
from holdfast.mirror._repositories import Repositories

__all__ = ["Signer", "create_storage_app"]

_DIGEST = re.compile(r"/([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes links that are good for ``lifetime_s`` seconds, and recognises them.

    The key lives as long as the process: a restart makes older links invalid.
    """

    lifetime_s: float = 3600.0
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    now: Callable[[], float] = time.time

    def query(self, sha256: str) -> str:
        """Return the query that opens ``sha256`` until it expires."""
        expires = int(self.now() + self.lifetime_s)
        return f"expires={expires}&signature={self._sign(sha256, str(expires))}"

    def refusal(self, sha256: str, query: str) -> str | None:
        """Return why ``query`` does not open ``sha256``, or None when it does."""
        fields = parse_qs(query)
        expires, signature = (fields.get(name, [""])[0] for name in ("expires", "signature"))
        if not hmac.compare_digest(self._sign(sha256, expires).encode(), signature.encode()):
            return "SignatureDoesNotMatch"
        return "Request has expired" if int(expires) < self.now() else None

    def _sign(self, sha256: str, expires: str) -> str:
        return hmac.new(self.key, f"{sha256}\n{expires}".encode(), "sha256").hexdigest()


def create_storage_app(repositories: Repositories, signer: Signer) -> ASGIApp:
    """Return the application of the second origin: ``GET|HEAD /SHA256?expires&signature``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = await asyncio.to_thread(_answer, scope, repositories, signer)
        await answer(scope, receive, send)

    return app


def _answer(scope: Scope, repositories: Repositories, signer: Signer) -> Response:
    if scope["method"] not in {"GET", "HEAD"}:
        return PlainTextResponse("method not allowed", 405, {"allow": "GET, HEAD"})
    if any(name == b"authorization" for name, _ in scope["headers"]):
        return PlainTextResponse("InvalidArgument: only one auth mechanism allowed", 400)
    match = _DIGEST.fullmatch(scope["path"])
    if match is None:
        return PlainTextResponse("NoSuchKey", 404)
    sha256 = match[1]
    refusal = signer.refusal(sha256, scope["query_string"].decode("latin-1"))
    if refusal is not None:
        return PlainTextResponse(f"AccessDenied: {refusal}", 403)
    path = repositories.lfs_content(sha256)
    if path is None:
        return PlainTextResponse("NoSuchKey", 404)
    return FileBody(path, path.stat().st_size, sha256, {})
