"""The client, in two forms that do the same: one waits, the other is awaited."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from holdfast.client._attempts import Attempts, Service
from holdfast.client._calls import Audio, Call, Calls
from holdfast.client._document_methods import AsyncDocumentMethods, DocumentMethods
from holdfast.client._errors import ServiceBusy
from holdfast.client._speech_methods import AsyncSpeechMethods, SpeechMethods
from holdfast.client._values import Health, Model, Readiness, SpeechSegment
from holdfast.client._voice_methods import AsyncVoiceMethods, VoiceMethods

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")


class Client(SpeechMethods, VoiceMethods, DocumentMethods, Service):
    """Asks a service. Safe to use from several threads; a context manager that closes it.

    Args:
        url: where the service is, such as ``http://127.0.0.1:8000``.
        key: its key, if it asks for one.
        timeout_s: limit for one answer.
        patience_s: how long a busy service (429, or 503 with a Retry-After) is asked again, by its
            own Retry-After.

    Raises:
        ServiceUnreachable: ``url`` is no address.
        ValueError: ``key`` has what no header carries, such as a line break.

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
        """Return what the language model answers; options as OpenAI's, such as ``model``."""
        return self._run(Calls.chat(messages, options))

    def chat_stream(
        self, messages: Sequence[Mapping[str, Any]], **options: Any
    ) -> Generator[str, None, None]:
        """Yield what the language model answers, piece by piece as it comes.

        The question is asked when the first piece is. Leaving early, or ``close()``, ends the
        answer at its source.

        Raises:
            ServiceError: the answer is an error, from its beginning or from there on.
            ServiceUnreachable: there is none, or it was cut off.
        """
        yield from self._in_pieces(Calls.chat(messages, options | {"stream": True}))

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
        attempts = Attempts(self, call)
        while True:
            try:
                response = self._http.request(**attempts.request())
                return attempts.result_of(response)
            except httpx2.HTTPError as error:
                pause = attempts.pause_after_silence(error)
            except ServiceBusy as error:
                pause = attempts.pause_after_refusal(error)
            time.sleep(pause)

    def _in_pieces(self, call: Call[T]) -> Generator[T, None, None]:
        attempts = Attempts(self, call)
        response = self._opened(attempts)
        try:
            if not attempts.in_pieces(response):
                yield attempts.result_of(response)
                return
            with attempts.receiving(response) as pieces:
                for block in response.iter_bytes():
                    yield from pieces.of(block)
                    if pieces.ended:
                        return
                pieces.end()
        finally:
            response.close()

    def _opened(self, attempts: Attempts[T]) -> httpx2.Response:
        """Return an answer that is no error; one that is a stream is yet to be received."""
        while True:
            try:
                request = self._http.build_request(**attempts.request())
                response = self._http.send(request, stream=True)
                try:
                    if not attempts.in_pieces(response):
                        response.read()
                        attempts.result_of(response)
                    return response
                except BaseException:
                    response.close()
                    raise
            except httpx2.HTTPError as error:
                pause = attempts.pause_after_silence(error)
            except ServiceBusy as error:
                pause = attempts.pause_after_refusal(error)
            time.sleep(pause)


class AsyncClient(AsyncSpeechMethods, AsyncVoiceMethods, AsyncDocumentMethods, Service):
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

    async def chat_stream(
        self, messages: Sequence[Mapping[str, Any]], **options: Any
    ) -> AsyncGenerator[str, None]:
        """Yield what the language model answers; see `Client.chat_stream`.

        Where an answer may be left early, ``contextlib.aclosing`` ends it there and then.
        """
        call = Calls.chat(messages, options | {"stream": True})
        async with contextlib.aclosing(self._in_pieces(call)) as pieces:
            async for piece in pieces:
                yield piece

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
        attempts = Attempts(self, call)
        while True:
            try:
                response = await self._http.request(**attempts.request())
                return attempts.result_of(response)
            except httpx2.HTTPError as error:
                pause = attempts.pause_after_silence(error)
            except ServiceBusy as error:
                pause = attempts.pause_after_refusal(error)
            await asyncio.sleep(pause)

    async def _in_pieces(self, call: Call[T]) -> AsyncGenerator[T, None]:
        attempts = Attempts(self, call)
        response = await self._opened(attempts)
        try:
            if not attempts.in_pieces(response):
                yield attempts.result_of(response)
                return
            with attempts.receiving(response) as pieces:
                async for block in response.aiter_bytes():
                    for piece in pieces.of(block):
                        yield piece
                    if pieces.ended:
                        return
                pieces.end()
        finally:
            await response.aclose()

    async def _opened(self, attempts: Attempts[T]) -> httpx2.Response:
        """Return an answer that is no error; one that is a stream is yet to be received."""
        while True:
            try:
                request = self._http.build_request(**attempts.request())
                response = await self._http.send(request, stream=True)
                try:
                    if not attempts.in_pieces(response):
                        await response.aread()
                        attempts.result_of(response)
                    return response
                except BaseException:
                    await response.aclose()
                    raise
            except httpx2.HTTPError as error:
                pause = attempts.pause_after_silence(error)
            except ServiceBusy as error:
                pause = attempts.pause_after_refusal(error)
            await asyncio.sleep(pause)
