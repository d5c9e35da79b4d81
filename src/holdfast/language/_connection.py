"""Connections to the language model's server, and what their failures mean."""

from __future__ import annotations

import httpx2

from holdfast.client._direct import environment_for
from holdfast.language._rules import Trouble

__all__ = ["FAILURES", "open_client", "received", "silence"]

# All that the HTTP library raises: a proxy of the environment that it cannot use, and a key that no
# header can hold, are the last two.
FAILURES = (httpx2.HTTPError, httpx2.InvalidURL, ImportError, ValueError)
# Sooner than the five seconds after which servers end an idle connection, often just as it is used.
_IDLE_S = 2.0


def open_client(url: str, key: str | None, timeout: httpx2.Timeout) -> httpx2.AsyncClient:
    """Return what asks ``url``. How many questions there are at once is for the caller to limit."""
    return httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=timeout,
        limits=httpx2.Limits(max_connections=None, keepalive_expiry=_IDLE_S),
        follow_redirects=False,  # a key must not go where an answer points
        **environment_for(httpx2.URL(url)),
    )


async def received(response: httpx2.Response, most_bytes: int) -> bytes:
    """Return an answer's body.

    Raises:
        ValueError: it is longer than any sound one.
    """
    content = bytearray()
    async for block in response.aiter_bytes():
        content += block
        if len(content) > most_bytes:
            raise ValueError(f"it has more than {most_bytes} bytes")
    return bytes(content)


def silence(error: Exception) -> Trouble:
    """Return what to say of a server that did not answer."""
    hint = "is it running? its address is [language] url"
    if isinstance(error, httpx2.LocalProtocolError):  # whose text has the header in it
        why = "HOLDFAST_LANGUAGE_KEY holds what cannot be sent"
        return Trouble(why, "set it to the key alone", retry_after_s=None, silent=True)
    return Trouble(f"{type(error).__name__}: {error}".rstrip(": "), hint, silent=True)
