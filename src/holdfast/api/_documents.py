"""Routes about documents: docling-serve's, and one that takes a file and is done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketDisconnect

from holdfast._version import __version__
from holdfast.api._documents_asked import CONVERT_FIELDS
from holdfast.api._documents_desk import Desk, DocumentsRoute, detail_of
from holdfast.api._documents_read import chunks, conversion
from holdfast.api._doors import Doors
from holdfast.api._schemas import refusals
from holdfast.errors import HoldfastError
from holdfast.jobs import UnknownJob
from holdfast.wiring import Services

__all__ = ["documents_routes"]

_MOST_WAIT_S = 60.0
_LOOK_S = 0.5
_GOING_AWAY = 1012
_ASKED = (404, 408, 413, 415, 422, 429, 503, 504)
JobId = Annotated[str, Path(description="A task's id", examples=["0" * 32])]
Chunker = Annotated[Literal["hybrid", "hierarchical"], Path(description="How documents are cut")]
Wait = Annotated[
    float, Query(ge=0, le=3600, description="Seconds to wait for the end; at most 60 are")
]
Priority = Annotated[
    int, Query(ge=-100, le=100, description="The higher goes first; of equals the older")
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


def documents_routes(services: Services, upload_limit_bytes: int, doors: Doors) -> APIRouter:
    """Return the routes over ``services``; ``doors`` know whether the service is ending."""
    router = APIRouter(route_class=DocumentsRoute)
    desk = Desk(services.documents, upload_limit_bytes)
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


def _upload_route(router: APIRouter, desk: Desk) -> None:
    @router.post(
        "/documents/upload",
        status_code=202,
        response_model=None,
        openapi_extra=_form("file", _OPTIONS),
        responses=_RESULT | refusals(*_ASKED),
    )
    async def upload(request: Request, wait: Wait = 0.0, priority: Priority = 0) -> Response:
        """Take a document: 202 and a task; or 200 and the result, if it is there in time."""
        job = (await desk.take(request, conversion, priority)).id
        status = await desk.waited(request, job, min(wait, _MOST_WAIT_S))
        if status is not None:
            return await desk.result(status, raising=True)
        return JSONResponse(await desk.task(job), 202, {"Location": f"/v1/status/poll/{job}"})


def _convert_routes(router: APIRouter, desk: Desk, kind: str) -> None:
    body = _BODIES["convert", kind]

    @router.post(
        f"/v1/convert/{kind}",
        response_model=None,
        name=f"convert_{kind}",
        openapi_extra=body,
        responses=_RESULT | refusals(*_ASKED),
    )
    async def convert(request: Request, priority: Priority = 0) -> Response:
        """Convert documents, and answer with what came of them."""
        return await desk.done(request, conversion, priority)

    @router.post(
        f"/v1/convert/{kind}/async",
        name=f"convert_{kind}_later",
        openapi_extra=body,
        responses=refusals(*_ASKED),
    )
    async def convert_later(request: Request, priority: Priority = 0) -> dict[str, Any]:
        """Take documents to be converted, and answer with a task at once."""
        return await desk.task((await desk.take(request, conversion, priority)).id)


def _chunk_routes(router: APIRouter, desk: Desk, kind: str) -> None:
    described: dict[str, Any] = {
        "openapi_extra": _BODIES["chunk", kind], "responses": refusals(*_ASKED),
    }  # fmt: skip
    path = f"/v1/chunk/{{chunker}}/{kind}"

    @router.post(path, response_model=None, name=f"chunk_{kind}", **described)
    async def chunk(chunker: Chunker, request: Request, priority: Priority = 0) -> Response:
        """Cut documents into pieces for retrieval, and answer with those."""
        return await desk.done(request, chunks(chunker), priority)

    @router.post(f"{path}/async", name=f"chunk_{kind}_later", **described)
    async def chunk_later(
        chunker: Chunker, request: Request, priority: Priority = 0
    ) -> dict[str, Any]:
        """Take documents to be cut into pieces, and answer with a task at once."""
        return await desk.task((await desk.take(request, chunks(chunker), priority)).id)


def _task_routes(router: APIRouter, desk: Desk) -> None:
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


def _watch_route(router: APIRouter, desk: Desk, doors: Doors) -> None:
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
    websocket: WebSocket, desk: Desk, doors: Doors, task: str, gone: asyncio.Task[None]
) -> None:
    kind, before = "connection", None
    while not gone.done():
        seen = desk.news.version
        try:
            told = await desk.task(task)
        except HoldfastError as error:
            await websocket.send_json({"message": "error", "error": detail_of(error)})
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
