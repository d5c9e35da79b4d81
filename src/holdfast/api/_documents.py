"""Routes about documents: docling-serve's, and one that takes a file and is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, WebSocket
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from holdfast._version import __version__
from holdfast.api._documents_asked import CONVERT_FIELDS
from holdfast.api._documents_read import Reader, chunks, conversion, received
from holdfast.api._documents_told import task_of, told_result
from holdfast.api._documents_watch import JobNews
from holdfast.api._doors import Doors
from holdfast.api._errors import error_response
from holdfast.api._schemas import refusals
from holdfast.documents import (
    ConvertOptions,
    DocumentRequestInvalid,
    document_error,
    failure_of,
)
from holdfast.errors import HoldfastError
from holdfast.jobs import JobStatus, UnknownJob
from holdfast.runtime import DeadlineExceeded, UnknownModel
from holdfast.wiring import Documents, Services

__all__ = ["documents_routes"]

_MOST_WAIT_S = 60.0
_LOOK_S = 0.5
_GOING_AWAY = 1012
_ASKED = (404, 408, 413, 415, 422, 429, 503, 504)
# The words by which docling's client knows one from the other.
_NO_TASK = "Task not found."
_NO_RESULT = "Task result not found. It is there once the task has ended."
JobId = Annotated[str, Path(description="A task's id", examples=["0" * 32])]
Chunker = Annotated[Literal["hybrid", "hierarchical"], Path(description="How documents are cut")]
Wait = Annotated[
    float, Query(ge=0, le=3600, description="Seconds to wait for the end; at most 60 are")
]
_FILE = {"type": "string", "format": "binary"}
_TEXT = {"type": "string"}
_SOURCES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": {"enum": ["http", "file"]},
            "url": _TEXT,
            "headers": {"type": "object", "additionalProperties": _TEXT},
            "base64_string": _TEXT,
            "filename": _TEXT,
        },
    },
}


# One document is told as JSON; several, or where that was asked for, are packed.
_RESULT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {}, "application/zip": {}}}
}


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
                return error_response(error, detail=_detail(error))

        return answered


def _detail(error: HoldfastError) -> str:
    if isinstance(error, UnknownJob):
        return _NO_RESULT if error.facts.get("unfinished") else _NO_TASK
    return str(error)


def documents_routes(services: Services, upload_limit_bytes: int, doors: Doors) -> APIRouter:
    """Return the routes over ``services``; ``doors`` know whether the service is ending."""
    router = APIRouter(route_class=DocumentsRoute)
    desk = _Desk(services.documents, upload_limit_bytes)
    _upload_route(router, desk)
    for each in ("file", "source"):
        _convert_routes(router, desk, each)
        _chunk_routes(router, desk, each)
    _task_routes(router, desk)
    _watch_route(router, desk, doors)

    @router.get("/version", responses=refusals())
    async def version() -> dict[str, str]:
        """Tell which service this is."""
        return {"holdfast": __version__}

    return router


class _Desk:
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

    async def take(self, request: Request, read: Reader) -> JobStatus:
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
                documents.take, owner, order.sources, order.contents, order.options, order.about
            )

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
        """
        deadline = time.monotonic() + wait_s
        while True:
            seen = self.news.version
            status = await run_in_threadpool(self.documents.status, job)
            left = deadline - time.monotonic()
            if status.is_finished or left <= 0:
                return status if status.is_finished else None
            await self.news.after(seen, min(left, _LOOK_S))
            if request is not None and await request.is_disconnected():
                raise ClientDisconnect

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

    async def done(self, request: Request, read: Reader) -> Response:
        """Take a job, wait for its end, and answer with what came of it; who leaves ends it."""
        job = (await self.take(request, read)).id
        limit_s = self.documents.service.deadline_s
        try:
            status = await self.finished(job, limit_s, request)
        except (ClientDisconnect, asyncio.CancelledError):
            self.documents.store.cancel(job)
            raise
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


def _body(kind: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {kind: {"schema": dict(schema)}}}}


def _form(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    file = {"type": "array", "items": _FILE, "minItems": 1} if name == "files" else _FILE
    schema = {"type": "object", "required": [name], "properties": {name: file, **fields}}
    return _body("multipart/form-data", schema)


_OPTIONS = dict.fromkeys(CONVERT_FIELDS, _TEXT)
_OBJECT = {"type": "object"}
_BODIES = {
    ("convert", "file"): _form("files", {**_OPTIONS, "target_type": _TEXT}),
    ("chunk", "file"): _form(
        "files",
        {f"convert_{name}": _TEXT for name in _OPTIONS} | {"include_converted_doc": _TEXT},
    ),
    ("convert", "source"): _body("application/json", {
        "type": "object", "required": ["sources"],
        "properties": {"sources": _SOURCES, "options": _OBJECT, "target": _OBJECT},
    }),
    ("chunk", "source"): _body("application/json", {
        "type": "object", "required": ["sources"],
        "properties": {
            "sources": _SOURCES, "convert_options": _OBJECT, "chunking_options": _OBJECT,
            "include_converted_doc": {"type": "boolean"}, "target": _OBJECT,
        },
    }),
}  # fmt: skip


def _upload_route(router: APIRouter, desk: _Desk) -> None:
    @router.post(
        "/documents/upload",
        status_code=202,
        response_model=None,
        openapi_extra=_form("file", _OPTIONS),
        responses=_RESULT | refusals(*_ASKED),
    )
    async def upload(request: Request, wait: Wait = 0.0) -> Response:
        """Take a document: 202 and a task; or 200 and the result, if it is there in time."""
        job = (await desk.take(request, conversion)).id
        status = await desk.finished(job, min(wait, _MOST_WAIT_S))
        if status is not None:
            return await desk.result(status, raising=True)
        return JSONResponse(await desk.task(job), 202, {"Location": f"/v1/status/poll/{job}"})


def _convert_routes(router: APIRouter, desk: _Desk, kind: str) -> None:
    body = _BODIES["convert", kind]

    @router.post(
        f"/v1/convert/{kind}",
        response_model=None,
        name=f"convert_{kind}",
        openapi_extra=body,
        responses=_RESULT | refusals(*_ASKED),
    )
    async def convert(request: Request) -> Response:
        """Convert documents, and answer with what came of them."""
        return await desk.done(request, conversion)

    @router.post(
        f"/v1/convert/{kind}/async",
        name=f"convert_{kind}_later",
        openapi_extra=body,
        responses=refusals(*_ASKED),
    )
    async def convert_later(request: Request) -> dict[str, Any]:
        """Take documents to be converted, and answer with a task at once."""
        return await desk.task((await desk.take(request, conversion)).id)


def _chunk_routes(router: APIRouter, desk: _Desk, kind: str) -> None:
    described: dict[str, Any] = {
        "openapi_extra": _BODIES["chunk", kind], "responses": refusals(*_ASKED),
    }  # fmt: skip
    path = f"/v1/chunk/{{chunker}}/{kind}"

    @router.post(path, response_model=None, name=f"chunk_{kind}", **described)
    async def chunk(chunker: Chunker, request: Request) -> Response:
        """Cut documents into pieces for retrieval, and answer with those."""
        return await desk.done(request, chunks(chunker))

    @router.post(f"{path}/async", name=f"chunk_{kind}_later", **described)
    async def chunk_later(chunker: Chunker, request: Request) -> dict[str, Any]:
        """Take documents to be cut into pieces, and answer with a task at once."""
        return await desk.task((await desk.take(request, chunks(chunker))).id)


def _task_routes(router: APIRouter, desk: _Desk) -> None:
    @router.get("/v1/status/poll/{task}", responses=refusals(404, 422, 503))
    async def poll(task: JobId, wait: Wait = 0.0) -> dict[str, Any]:
        """Tell how a task stands; with ``wait``, once it has ended or the time is over."""
        await desk.finished(task, min(wait, _MOST_WAIT_S))
        return await desk.task(task)

    @router.get(
        "/v1/result/{task}", response_model=None, responses=_RESULT | refusals(404, 422, 503)
    )
    async def result(task: JobId) -> Response:
        """Return what came of a task: one document as JSON, several in a ZIP archive."""
        status = await run_in_threadpool(desk.documents.status, task)
        if not status.is_finished:
            raise UnknownJob(
                f"task {task[:60]!r} has no result yet", why=f"it is {status.state}",
                hint=f"GET /v1/status/poll/{task[:60]}?wait=30", unfinished=True,
            )  # fmt: skip
        return await desk.result(status, raising=False)

    @router.delete("/v1/tasks/{task}", responses=refusals(404, 422, 503))
    async def end(task: JobId) -> dict[str, Any]:
        """Cancel a task; one that has ended is forgotten, with all that came of it."""
        told = await desk.task(task)
        store = desk.documents.store
        status = await run_in_threadpool(store.cancel, task)
        if status.is_finished and told["task_status"] in ("success", "failure"):
            await run_in_threadpool(store.delete, task)
            return told
        return await desk.task(task)


def _watch_route(router: APIRouter, desk: _Desk, doors: Doors) -> None:
    @router.websocket("/v1/status/ws/{task}")
    async def watch(websocket: WebSocket, task: str) -> None:
        """Tell how a task stands whenever that changes, until it has ended."""
        await websocket.accept()
        gone = asyncio.create_task(_until_gone(websocket))
        try:
            with suppress(WebSocketDisconnect, RuntimeError):  # it has left meanwhile
                await _tell(websocket, desk, doors, task, gone)
        finally:
            gone.cancel()


async def _until_gone(websocket: WebSocket) -> None:
    """Take what a client says, which is only that it wants more."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _tell(
    websocket: WebSocket, desk: _Desk, doors: Doors, task: str, gone: asyncio.Task[None]
) -> None:
    kind, before = "connection", None
    while not gone.done():
        seen = desk.news.version
        try:
            told = await desk.task(task)
        except HoldfastError as error:
            await websocket.send_json({"message": "error", "error": _detail(error)})
            await websocket.close()
            return
        if told != before:
            await websocket.send_json({"message": kind, "task": told})
            kind, before = "update", told
        if told["task_status"] in ("success", "failure"):
            await websocket.close()
            return
        if doors.closing:
            await websocket.close(_GOING_AWAY)
            return
        await desk.news.after(seen, _LOOK_S)
