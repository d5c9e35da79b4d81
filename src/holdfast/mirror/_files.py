"""Sending a file: whole, a range of it, or word that the client has it already."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from holdfast.mirror._ranges import RangeUnsatisfiableError, Span, requested_span

__all__ = ["FileBody"]

# Measured over loopback with one curl: 0.4 GB/s at 64 KiB, 1.9 GB/s at 1 MiB, no more above.
_BLOCK_BYTES = 1024 * 1024
_READ_AT_ONCE = 64 * 1024


class FileBody(Response):
    """The content of ``path``, ``size`` bytes, under ``etag``.

    Honours ``Range`` (one range), ``If-Range`` and ``If-None-Match``. A file that is shorter than
    ``size`` ends the connection early, so that a client sees a broken transfer and not a short
    file.
    """

    def __init__(self, path: Path, size: int, etag: str, headers: dict[str, str]) -> None:
        super().__init__(
            headers={"etag": f'"{etag}"', "accept-ranges": "bytes", **headers},
            media_type="application/octet-stream",
        )
        self._path = path
        self._size = size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del receive
        asked = {name: value.decode("latin-1") for name, value in scope["headers"]}
        status, span = self._decide(asked, scope["method"])
        self.status_code = status
        self.headers["content-length"] = str(span.length)
        if status == 206:
            self.headers["content-range"] = span.content_range(self._size)
        elif status == 416:
            self.headers["content-range"] = f"bytes */{self._size}"
        elif status == 304:
            del self.headers["content-length"]
        start = {"type": "http.response.start", "status": status, "headers": self.raw_headers}
        if scope["method"] == "HEAD" or span.length == 0:
            await send(start)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        descriptor = await asyncio.to_thread(os.open, self._path, _OPEN_FLAGS)
        try:
            await send(start)
            await self._send_span(descriptor, span, send)
        finally:
            os.close(descriptor)

    def _decide(self, asked: dict[bytes, str], method: str) -> tuple[int, Span]:
        if asked.get(b"if-none-match") in {self.headers["etag"], "*"}:
            return 304, Span(0, 0)
        whole = Span(0, self._size)
        if method != "GET" or asked.get(b"if-range") not in {None, self.headers["etag"]}:
            return 200, whole
        try:
            span = requested_span(asked.get(b"range"), self._size)
        except RangeUnsatisfiableError:
            return 416, Span(0, 0)
        return (200, whole) if span is None else (206, span)

    async def _send_span(self, descriptor: int, span: Span, send: Send) -> None:
        position = span.start
        while position < span.stop:
            wanted = min(_BLOCK_BYTES, span.stop - position)
            if wanted <= _READ_AT_ONCE:
                block = _read_at(descriptor, wanted, position)
            else:
                block = await asyncio.to_thread(_read_at, descriptor, wanted, position)
            if not block:
                raise OSError(f"{self._path} ends at {position} of {self._size} bytes")
            position += len(block)
            more = position < span.stop
            await send({"type": "http.response.body", "body": block, "more_body": more})


_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)


def _read_at(descriptor: int, length: int, position: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, position)
    os.lseek(descriptor, position, os.SEEK_SET)
    return os.read(descriptor, length)
