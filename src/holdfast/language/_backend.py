"""A language model that another server answers for: whether it is there, and its own words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from holdfast.errors import HoldfastError
from holdfast.runtime import ErrorInfo, Machine, ModelState, ModelStatus, Needs

__all__ = ["Backend", "LanguageUnavailable", "Passed"]

_NEEDS = Needs(gpu_memory_mb=8000)  # what a small instruction-tuned model on vLLM takes
_ASK_WITHIN_S = 2.0
_FRESH_S = 5.0
# What belongs to one connection, or is ours to say (RFC 9110, 7.6.1).
_OWN = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
     "transfer-encoding", "upgrade", "content-length", "content-encoding", "date", "server",
     "x-request-id", "set-cookie"}
)  # fmt: skip


class LanguageUnavailable(HoldfastError):
    """A question to a language model that is not there."""

    code = "language-unavailable"
    exit_code = 10
    http_status = 503


@dataclass(frozen=True, slots=True)
class Passed:
    """An answer on its way: its status, the headers to pass on, and its bytes as they come."""

    status: int
    headers: Mapping[str, str]
    blocks: AsyncIterator[bytes]


class Backend:
    """The slot for a language model. Used from one event loop; closed with the service.

    Args:
        url: of an OpenAI-compatible server, with ``/v1``; "" where there is none.
        key: what it asks for, if anything.
        answer_s: limit for the pause between two pieces of an answer.
    """

    id = "language"

    def __init__(self, url: str, key: str | None, answer_s: float) -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._answer_s = answer_s
        self._http: httpx2.AsyncClient | None = None
        self._models: list[dict[str, Any]] = []
        self._trouble = "it has not been asked yet"
        self._asked = -_FRESH_S
        self._asking = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    @property
    def _client(self) -> httpx2.AsyncClient:
        if self._http is None:
            timeout = httpx2.Timeout(self._answer_s, connect=_ASK_WITHIN_S)
            self._http = httpx2.AsyncClient(timeout=timeout, follow_redirects=False)
        return self._http

    async def models(self) -> list[dict[str, Any]]:
        """Return the back end's own list of models; none where it does not answer."""
        if not self.url:
            return []
        async with self._asking:
            if time.monotonic() - self._asked > _FRESH_S:
                await self._look()
            return self._models

    async def _look(self) -> None:
        try:
            answer = await self._client.get(
                f"{self.url}/models", headers=self._headers, timeout=_ASK_WITHIN_S
            )
            answer.raise_for_status()
            self._models = [item for item in answer.json()["data"] if isinstance(item, dict)]
            self._trouble = ""
        except (httpx2.HTTPError, ValueError, KeyError, TypeError) as error:
            self._models = []
            self._trouble = f"{type(error).__name__}: {error}".rstrip(": ")
        self._asked = time.monotonic()

    async def status(self, machine: Machine) -> ModelStatus:
        """Return what the slot is doing, as of any other model."""
        models = await self.models()
        names = ", ".join(str(model.get("id", "?")) for model in models)
        state, error = ModelState.READY, None
        if not self.url:
            state = ModelState.ABSENT
            error = ErrorInfo.of(self._unavailable(), retry=False)
        elif self._trouble:
            state = ModelState.FAILED
            error = ErrorInfo.of(self._unavailable(), retry=True)
        return ModelStatus(
            id=self.id,
            task="text-generation",
            repository=names or self.url or "none",
            revision="",
            licence="",
            state=state,
            device="remote" if self.url else "none",
            error=error,
            needs=_NEEDS.on(machine),
            isolated=True,
        )

    def _unavailable(self) -> LanguageUnavailable:
        if not self.url:
            return LanguageUnavailable(
                "there is no language model here",
                why="no server for one is configured, and it needs a GPU with "
                f"{_NEEDS.gpu_memory_mb} MB",
                hint="run vLLM, and set HOLDFAST_LANGUAGE_URL=http://127.0.0.1:8001/v1",
            )
        return LanguageUnavailable(
            f"the language model's server at {self.url} does not answer", why=self._trouble,
            hint="is it running? its address is [language] url", retry_after_s=5,
        )  # fmt: skip

    @asynccontextmanager
    async def chat(self, body: bytes) -> AsyncIterator[Passed]:
        """Pass a question on, and its answer back as it comes.

        Raises:
            LanguageUnavailable: there is no back end, or it does not answer.
        """
        if not self.url:
            raise self._unavailable()
        request = self._client.build_request(
            "POST", f"{self.url}/chat/completions", content=body,
            headers={**self._headers, "Content-Type": "application/json"},
        )  # fmt: skip
        try:
            response = await self._client.send(request, stream=True)
        except httpx2.HTTPError as error:
            self._trouble = f"{type(error).__name__}: {error}".rstrip(": ")
            raise self._unavailable() from error
        try:
            kept = {name: value for name, value in response.headers.items() if name not in _OWN}
            yield Passed(response.status_code, kept, response.aiter_bytes())
        finally:
            await response.aclose()
