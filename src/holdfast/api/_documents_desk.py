"""Taking requests about documents in, waiting for what becomes of them, and answering."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from holdfast.api._documents_read import Reader, received
from holdfast.api._documents_told import task_of, told_result
from holdfast.api._documents_watch import JobNews
from holdfast.api._errors import error_response
from holdfast.documents import (
    ConvertOptions,
    DocumentRequestInvalid,
    document_error,
    failure_of,
)
from holdfast.errors import HoldfastError
from holdfast.jobs import JobStatus, UnknownJob
from holdfast.runtime import DeadlineExceeded, UnknownModel
from holdfast.wiring import Documents

__all__ = ["Desk", "DocumentsRoute", "detail_of"]

_LOOK_S = 0.5
# The words by which docling's client knows one from the other.
_NO_TASK = "Task not found."
_NO_RESULT = "Task result not found. It is there once the task has ended."


class DocumentsRoute(APIRoute):
    """Adds ``detail`` to errors, which is what clients of docling-serve read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        answer = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await answer(request)
            except HoldfastError as error:
                if error.http_status >= 500:
                    raise
                return error_response(error, detail=detail_of(error))

        return answered


def detail_of(error: HoldfastError) -> str:
    if isinstance(error, UnknownJob):
        return _NO_RESULT if error.facts.get("unfinished") else _NO_TASK
    return str(error)


class Desk:
    """Takes requests in, waits for what becomes of them, and answers."""

    def __init__(self, documents: Documents | None, limit_bytes: int) -> None:
        self._documents = documents
        self._limit_bytes = limit_bytes
        self.news = JobNews(lambda: self.documents.store)

    @property
    def documents(self) -> Documents:
        """The queue and what works on it.

        Raises:
            UnknownModel: nothing here does.
        """
        if self._documents is None:
            raise UnknownModel(
                "documents are not converted here", why="HOLDFAST_DOCUMENTS_PROCESSES is 0",
                hint="set it to 1 or more",
            )  # fmt: skip
        return self._documents

    async def take(self, request: Request, read: Reader, priority: int) -> JobStatus:
        """Receive a request and take the job that it asks for."""
        documents = self.documents
        await run_in_threadpool(documents.check_ready)  # before anything is received
        service = documents.service
        usual = ConvertOptions(
            most_pages=service.documents_most_pages, longest_s=service.documents_longest_s
        )
        owner = request.client.host if request.client else "unknown"
        async with received(request, self._limit_bytes, usual, read) as order:
            if order.about["callbacks"] and service.documents_callback_key is None:
                raise DocumentRequestInvalid(
                    "callbacks cannot be used", why="this service has no key to sign them with",
                    hint="HOLDFAST_DOCUMENTS_CALLBACK_KEY", param="callbacks",
                )  # fmt: skip
            return await run_in_threadpool(
                documents.take, owner, order.sources, order.contents, order.options, order.about,
                priority,
            )  # fmt: skip

    async def task(self, job: str) -> dict[str, Any]:
        """Return how a job stands, in docling-serve's form."""
        documents = self.documents

        def look() -> dict[str, Any]:
            return task_of(documents.status(job), _about(documents, job))

        return await run_in_threadpool(look)

    async def finished(
        self, job: str, wait_s: float, request: Request | None = None
    ) -> JobStatus | None:
        """Wait for a job's end; None where it has not come in time.

        Raises:
            ClientDisconnect: the client of ``request`` has left.
            ModelNotReady: there is such a client, and nobody will begin the job.
        """
        deadline = time.monotonic() + wait_s
        while True:
            seen = self.news.version
            waiting = request is not None
            status = await run_in_threadpool(self.documents.status, job, waiting=waiting)
            left = deadline - time.monotonic()
            if status.is_finished or left <= 0:
                return status if status.is_finished else None
            await self.news.after(seen, min(left, _LOOK_S))
            if request is not None and await request.is_disconnected():
                raise ClientDisconnect

    async def waited(self, request: Request, job: str, wait_s: float) -> JobStatus | None:
        """Wait as `finished` for who has just sent a job; who leaves meanwhile ends it."""
        try:
            return await self.finished(job, wait_s, request)
        except (ClientDisconnect, asyncio.CancelledError, HoldfastError):
            self.documents.store.cancel(job)
            raise

    async def result(self, status: JobStatus, *, raising: bool) -> Response:
        """Return what came of a job that ended.

        Raises:
            DocumentError: ``raising``, and it failed.
        """
        documents = self.documents
        failure = failure_of(status)
        if raising and failure is not None:
            raise document_error(status.error or {"message": failure["message"]})

        def told() -> Any:
            return told_result(documents.store, status, _about(documents, status.id))

        found = await run_in_threadpool(told)
        headers = {"Content-Disposition": _attached(found.filename)} if found.filename else {}
        return StreamingResponse(found.pieces, 200, headers, found.media_type)

    async def done(self, request: Request, read: Reader, priority: int) -> Response:
        """Take a job, wait for its end, and answer with what came of it; who leaves ends it."""
        job = (await self.take(request, read, priority)).id
        limit_s = self.documents.service.deadline_s
        status = await self.waited(request, job, limit_s)
        if status is None:
            raise DeadlineExceeded(
                "this takes longer than an answer may be waited for", why=f"{limit_s:.0f} s",
                hint=f"GET /v1/result/{job} once it is done; the route's /async does not wait",
            )  # fmt: skip
        return await self.result(status, raising=True)


def _about(documents: Documents, job: str) -> Mapping[str, Any]:
    about: Mapping[str, Any] = documents.store.payload(job)["about"]
    return about


def _attached(filename: str) -> str:
    shown = filename.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    return f'attachment; filename="{shown}"'
