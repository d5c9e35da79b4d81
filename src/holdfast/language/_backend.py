"""A language model that another server answers for: whether it is there, and its own words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx2

from holdfast.language._connection import FAILURES, open_client, received, silence
from holdfast.language._errors import AnsweredElsewhere, LanguageUnavailable
from holdfast.language._look import Look
from holdfast.language._rules import (
    Trouble,
    foreign_error,
    is_openai_error,
    passed_headers,
    passed_status,
    trouble_in,
)
from holdfast.runtime import ErrorInfo, Machine, ModelBusy, ModelState, ModelStatus, Needs

__all__ = ["Backend", "Passed"]

_NEEDS = Needs(gpu_memory_mb=8000)  # what a small instruction-tuned model on vLLM takes
_CONNECT_S = 2.0
_MOST_AT_ONCE = 64
_AGAIN_S = 5
_ERROR_WITHIN_S = 5.0
_MOST_ERROR_BYTES = 100_000


class Passed:
    """An answer on its way. Whoever holds one closes it.

    Attributes:
        status: to answer with.
        headers: to answer with.
    """

    def __init__(
        self,
        response: httpx2.Response,
        status: int,
        headers: Mapping[str, str],
        content: bytes | None,
        release: Callable[[], None],
    ) -> None:
        self.status = status
        self.headers = headers
        self._response = response
        self._content = content
        self._release = release

    async def blocks(self) -> AsyncIterator[bytes]:
        """Yield its bytes as they come.

        Raises:
            LanguageUnavailable: it was cut off.
        """
        if self._content is not None:
            yield self._content
            return
        try:
            async for block in self._response.aiter_bytes():
                yield block
        except FAILURES as error:
            raise LanguageUnavailable(
                "the language model's server cut its answer off", why=silence(error).why,
                hint="its log says what happened", retry_after_s=_AGAIN_S,
            ) from error  # fmt: skip

    async def aclose(self) -> None:
        """End it, at its source too. Closing twice does no harm."""
        release, self._release = self._release, lambda: None
        try:
            await self._response.aclose()
        finally:
            release()


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
        self._key = key
        self._answer_s = answer_s
        self._http: httpx2.AsyncClient | None = None
        self._look = Look(self.url, key)
        self._running = 0

    async def close(self) -> None:
        """Close the connections."""
        try:
            await self._look.close()
        finally:
            http, self._http = self._http, None
            if http is not None:
                await http.aclose()

    async def models(self) -> list[dict[str, Any]]:
        """Return the back end's own list of models; none where it does not answer."""
        if not self.url:
            return []
        await self._look.refresh()
        return self._look.models

    async def status(self, machine: Machine) -> ModelStatus:
        """Return what the slot is doing, as of any other model."""
        names = ", ".join(model["id"] for model in await self.models())
        trouble = self._look.trouble
        state, error = ModelState.READY, None
        if not self.url:
            state = ModelState.ABSENT
            error = ErrorInfo.of(_missing(), retry=False)
        elif trouble is not None:
            state = ModelState.FAILED
            retry = trouble.retry_after_s is not None
            error = ErrorInfo.of(self._unavailable(trouble), retry=retry)
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
            running=self._running,
        )

    def not_ours(self) -> AnsweredElsewhere:
        """Return what to say to an order about the slot."""
        who = f"the server at {self.url}" if self.url else "a server that is to be configured"
        return AnsweredElsewhere(
            f"{self.id!r} is neither loaded nor unloaded here",
            why=f"{who} answers for it, and its state is that server's",
            hint="start or stop that server",
        )

    async def ask(self, body: bytes) -> Passed:
        """Pass a question on; return its answer once its head is there.

        Raises:
            LanguageUnavailable: there is no back end, or it does not answer as one.
            ModelBusy: it is answering as many questions as may be asked at once.
        """
        if not self.url:
            raise _missing()
        if self._running >= _MOST_AT_ONCE:
            raise ModelBusy(
                "the language model has enough to answer",
                why=f"{_MOST_AT_ONCE} questions were passed on and are not answered yet",
                hint=f"ask again in {_AGAIN_S} s", retry_after_s=_AGAIN_S,
            )  # fmt: skip
        self._running += 1
        try:
            response = await self._sent(body)
            try:
                return await self._judged(response)
            except BaseException:
                await response.aclose()
                raise
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        self._running -= 1

    async def _sent(self, body: bytes) -> httpx2.Response:
        try:
            if self._http is None:
                timeout = httpx2.Timeout(self._answer_s, connect=_CONNECT_S)
                self._http = open_client(self.url, self._key, timeout)
            request = self._http.build_request(
                "POST", f"{self.url}/chat/completions", content=body,
                headers={"Content-Type": "application/json"},
            )  # fmt: skip
            return await self._http.send(request, stream=True)
        except httpx2.ReadTimeout as error:  # one long answer; it may well have others
            why = f"it said nothing for {self._answer_s:g} s"
            late = Trouble(why, "ask for less, or raise deadline_s", None, silent=True)
            raise self._unavailable(late) from error
        except FAILURES as error:
            self._look.failed(silence(error))
            raise self._unavailable(silence(error)) from error

    async def _judged(self, response: httpx2.Response) -> Passed:
        status = response.status_code
        trouble = trouble_in(status, response.headers.get("content-type", "").lower())
        if trouble is not None:
            raise self._unavailable(trouble)
        headers = passed_headers(response.headers.raw)
        if status < 400:
            return Passed(response, status, headers, None, self._release)
        try:
            async with asyncio.timeout(_ERROR_WITHIN_S):
                content = await received(response, _MOST_ERROR_BYTES)
        except (TimeoutError, *FAILURES) as error:
            raise self._unavailable(foreign_error(status)) from error
        if not is_openai_error(content):
            raise self._unavailable(foreign_error(status))
        headers["content-type"] = "application/json"
        return Passed(response, passed_status(status), headers, content, self._release)

    def _unavailable(self, trouble: Trouble) -> LanguageUnavailable:
        how = "does not answer" if trouble.silent else "cannot be used"
        after = trouble.retry_after_s
        return LanguageUnavailable(
            f"the language model's server at {self.url} {how}", why=trouble.why, hint=trouble.hint,
            **({} if after is None else {"retry_after_s": after}),
        )  # fmt: skip


def _missing() -> LanguageUnavailable:
    return LanguageUnavailable(
        "there is no language model here",
        why=f"no server for one is configured, and it needs a GPU with {_NEEDS.gpu_memory_mb} MB",
        hint="run vLLM, and set HOLDFAST_LANGUAGE_URL=http://127.0.0.1:8001/v1",
    )
