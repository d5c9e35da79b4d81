"""Whether a language model's server is there, and what it has."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import httpx2

from holdfast.language._connection import FAILURES, open_client, received, silence
from holdfast.language._rules import Trouble, models_in, no_list, refused_list, trouble_in

__all__ = ["Look"]

_WITHIN_S = 2.0
_FRESH_S = 5.0
_MOMENT_S = 0.1
_MOST_BYTES = 1_000_000
# What a connection that was kept from the last time ends in, once the server has closed it.
_CLOSED = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)


class Look:
    """What was last seen of a server. Used from one event loop.

    It has connections of its own: questions that are being answered do not stand in its way.

    Attributes:
        models: the server's own list; empty where there is trouble.
        trouble: why it cannot be used; None where it can.
    """

    def __init__(self, url: str, key: str | None) -> None:
        self.models: list[dict[str, Any]] = []
        self.trouble: Trouble | None = Trouble("it has not been asked yet", silent=True)
        self._url = url
        self._key = key
        self._http: httpx2.AsyncClient | None = None
        self._looking: asyncio.Task[None] | None = None
        self._begun = self._ended = -math.inf

    async def close(self) -> None:
        """End what is under way, and the connections."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def refresh(self) -> None:
        """Look again where the last look is old.

        Only the first look is waited for. Later ones have a moment, which suffices a server that is
        well; one that is slow is told of as it was, and the look goes on in the background.
        """
        now = time.monotonic()
        first = math.isinf(self._ended)
        if self._looking is None and now - self._ended > _FRESH_S:
            self._begun = now
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None:
            limit_s = _MOMENT_S + (_WITHIN_S if first else 0.0)
            left_s = self._begun + limit_s - now
            await asyncio.wait({self._looking}, timeout=max(left_s, 0.0))

    def failed(self, trouble: Trouble) -> None:
        """Take note of what went wrong, here or with a question."""
        self.models, self.trouble = [], trouble

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(_WITHIN_S):
                try:
                    await self._ask()
                except _CLOSED:
                    await self._ask()  # on a new connection: the one that was kept had ended
        except TimeoutError:
            why = f"it did not tell its models within {_WITHIN_S:g} s"
            self.failed(Trouble(why, "is it running, and not overloaded?", silent=True))
        except FAILURES as error:
            self.failed(silence(error))
        finally:
            self._ended = time.monotonic()
            self._looking = None

    async def _ask(self) -> None:
        if self._http is None:
            self._http = open_client(self._url, self._key, httpx2.Timeout(_WITHIN_S))
        async with self._http.stream("GET", f"{self._url}/models") as answer:
            status, kind = answer.status_code, answer.headers.get("content-type", "").lower()
            trouble = trouble_in(status, kind)
            if trouble is None and status != 200:
                trouble = refused_list(status)
            if trouble is not None:
                self.failed(trouble)
                return
            try:
                content = await received(answer, _MOST_BYTES)
                self.models, self.trouble = models_in(content), None
            except ValueError as error:
                self.failed(no_list(error))
