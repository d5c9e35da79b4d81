"""The client, in two forms that do the same: one waits, the other is awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from holdfast._version import __version__
from holdfast.client._calls import Audio, Call, Calls, Reply, pause_s
from holdfast.client._errors import ServiceBusy, ServiceUnreachable, error_of
from holdfast.client._values import Health, Model, Readiness, SpeechSegment
from holdfast.errors import HoldfastError

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")
_CONNECT_S = 10.0


class _Service:
    """Where the service is, what to show it, and how long to be patient."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 300.0,
        patience_s: float = 60.0,
    ) -> None:
        self.url = url.rstrip("/")
        self.patience_s = patience_s
        headers = {"User-Agent": f"holdfast-client/{__version__}"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self._open(
            base_url=self.url,
            headers=headers,
            timeout=httpx2.Timeout(timeout_s, connect=_CONNECT_S),
            follow_redirects=False,  # a key must not go where an answer points
        )

    def _open(self, **options: Any) -> None:
        raise NotImplementedError


class _Attempts:
    """One call's attempts: what to send, and what to make of what comes."""

    def __init__(self, service: _Service, call: Call[T]) -> None:
        self._service = service
        self._call = call
        self._deadline = time.monotonic() + service.patience_s
        self._count = 0

    def request(self) -> dict[str, Any]:
        """Return what the HTTP library is to send."""
        call = self._call
        given: dict[str, Any] = {"method": call.method, "url": call.path}
        if call.files:
            given["files"], given["data"] = dict(call.files), dict(call.form)
        if call.json is not None:
            given["json"] = call.json
        return given

    def result_of(self, response: httpx2.Response) -> Any:
        """Return the call's result.

        Raises:
            ServiceError: the answer is an error.
        """
        content: Any = response.text
        if "json" in response.headers.get("content-type", ""):
            try:
                content = response.json()
            except ValueError:
                content = None
        if response.status_code not in self._call.fine:
            after = response.headers.get("retry-after")
            raise error_of(response.status_code, content, after, str(response.request.url))
        try:
            reply = Reply(response.status_code, dict(response.headers), content)
            return self._call.read(reply)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ServiceUnreachable(
                f"{response.request.url} is no Holdfast service",
                why=f"its answer cannot be read: {type(error).__name__}: {error}",
                hint="check the address",
            ) from error

    def pause_after(self, error: HoldfastError) -> float:
        """Return how long to wait before the next attempt.

        Raises:
            HoldfastError: ``error``; another attempt is of no use, or patience has run out.
        """
        after = error.retry_after_s if isinstance(error, ServiceBusy) else None
        again = isinstance(error, ServiceBusy) or (
            isinstance(error, ServiceUnreachable) and self._call.safe
        )
        pause = pause_s(self._count, after)
        self._count += 1
        if not again or time.monotonic() + pause > self._deadline:
            raise error
        return pause

    def translated(self, error: httpx2.HTTPError) -> ServiceUnreachable:
        """Return what the HTTP library's error means."""
        reason = str(error) or type(error).__name__
        return ServiceUnreachable(
            f"{self._service.url} does not answer", why=reason,
            hint=f"is it running? holdfast status {self._service.url}",
        )  # fmt: skip


class Client(_Service):
    """Asks a service. Safe to use from several threads; a context manager that closes it.

    Args:
        url: where the service is, such as ``http://127.0.0.1:8000``.
        key: its key, if it asks for one.
        timeout_s: limit for one answer.
        patience_s: how long a busy service (429, 503) is asked again, by its own Retry-After.

    Every method raises:
        ServiceError: the answer is an error; ``ServiceBusy`` when it was still busy at the end.
        ServiceUnreachable: there is no answer.
    """

    def _open(self, **options: Any) -> None:
        self._http = httpx2.Client(**options)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def health(self) -> Health:
        """Return that the service lives, and since when."""
        return self._run(Calls.health())

    def ready(self) -> Readiness:
        """Return whether every preloaded model is there; not being ready is no error."""
        return self._run(Calls.ready())

    def models(self) -> list[Model]:
        """Return every configured model and what it is doing."""
        return self._run(Calls.models())

    def load(self, model: str) -> Model:
        """Have a model loaded, in the background."""
        return self._run(Calls.load(model))

    def unload(self, model: str) -> Model:
        """Take a model out of memory; refused (409) while it is in use."""
        return self._run(Calls.unload(model))

    def metrics(self) -> str:
        """Return the service's numbers in Prometheus' text form."""
        return self._run(Calls.metrics())

    def find_speech(self, audio: Audio, **options: float) -> list[SpeechSegment]:
        """Return where in a recording somebody speaks.

        Args:
            audio: a recording in any usual form: a path, its bytes, or an open file.
            options: ``threshold``, ``min_speech_ms``, ``min_silence_ms``, ``speech_pad_ms``,
                ``max_speech_s``.
        """
        return self._run(Calls.find_speech(audio, options))

    def chat(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> str:
        """Return what the language model answers; options as OpenAI's (``model``, ``max_tokens``).

        For an answer that comes piece by piece use OpenAI's own client with ``URL/v1``.
        """
        return self._run(Calls.chat(messages, options))

    def wait_ready(self, timeout_s: float) -> Readiness:
        """Ask until the service is ready or the time is over; return the last answer."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.ready()
            left = deadline - time.monotonic()
            if found.ready or left <= 0:
                return found
            time.sleep(min(found.retry_after_s or 1.0, 1.0, left))

    def _run(self, call: Call[T]) -> T:
        attempts = _Attempts(self, call)
        while True:
            try:
                response = self._http.request(**attempts.request())
                result: T = attempts.result_of(response)
                return result
            except httpx2.HTTPError as error:
                pause = attempts.pause_after(attempts.translated(error))
            except HoldfastError as error:
                pause = attempts.pause_after(error)
            time.sleep(pause)


class AsyncClient(_Service):
    """The same as `Client`, awaited; an asynchronous context manager."""

    def _open(self, **options: Any) -> None:
        self._http = httpx2.AsyncClient(**options)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def health(self) -> Health:
        """Return that the service lives, and since when."""
        return await self._run(Calls.health())

    async def ready(self) -> Readiness:
        """Return whether every preloaded model is there; not being ready is no error."""
        return await self._run(Calls.ready())

    async def models(self) -> list[Model]:
        """Return every configured model and what it is doing."""
        return await self._run(Calls.models())

    async def load(self, model: str) -> Model:
        """Have a model loaded, in the background."""
        return await self._run(Calls.load(model))

    async def unload(self, model: str) -> Model:
        """Take a model out of memory; refused (409) while it is in use."""
        return await self._run(Calls.unload(model))

    async def metrics(self) -> str:
        """Return the service's numbers in Prometheus' text form."""
        return await self._run(Calls.metrics())

    async def find_speech(self, audio: Audio, **options: float) -> list[SpeechSegment]:
        """Return where in a recording somebody speaks; see `Client.find_speech`."""
        return await self._run(Calls.find_speech(audio, options))

    async def chat(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> str:
        """Return what the language model answers; see `Client.chat`."""
        return await self._run(Calls.chat(messages, options))

    async def wait_ready(self, timeout_s: float) -> Readiness:
        """Ask until the service is ready or the time is over; return the last answer."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = await self.ready()
            left = deadline - time.monotonic()
            if found.ready or left <= 0:
                return found
            await asyncio.sleep(min(found.retry_after_s or 1.0, 1.0, left))

    async def _run(self, call: Call[T]) -> T:
        attempts = _Attempts(self, call)
        while True:
            try:
                response = await self._http.request(**attempts.request())
                result: T = attempts.result_of(response)
                return result
            except httpx2.HTTPError as error:
                pause = attempts.pause_after(attempts.translated(error))
            except HoldfastError as error:
                pause = attempts.pause_after(error)
            await asyncio.sleep(pause)
