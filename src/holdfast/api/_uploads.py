"""Receiving a form with a file: counted while it streams, on disk beyond a megabyte."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from holdfast.errors import HoldfastError

__all__ = [
    "UnsupportedContent",
    "Upload",
    "UploadInvalid",
    "UploadStalled",
    "UploadTooLarge",
    "blocks_of",
    "received_object",
    "received_upload",
]

_MOST_FIELDS = 64
_FIELD_BYTES = 1_000_000
_STALL_S = 30.0


class UploadTooLarge(HoldfastError):
    """A request with more bytes than are taken."""

    code = "upload-too-large"
    http_status = 413


class UploadStalled(HoldfastError):
    """A request whose body stopped coming."""

    code = "upload-stalled"
    http_status = 408


class UnsupportedContent(HoldfastError):
    """A request whose body is not in the form that the route takes."""

    code = "unsupported-content"
    http_status = 415


class UploadInvalid(HoldfastError):
    """A form that is broken, or lacks its file."""

    code = "upload-invalid"
    http_status = 422


@dataclass(frozen=True, slots=True)
class Upload:
    """Received files, seekable, at least one, their types and names, and the form's other fields.

    ``fields`` has the last value of each, ``pairs`` all of them in order.
    """

    files: list[BinaryIO]
    types: list[str]
    names: list[str]
    pairs: list[tuple[str, str]]

    @property
    def fields(self) -> dict[str, str]:
        """The fields by their names."""
        return dict(self.pairs)

    @property
    def repeated(self) -> frozenset[str]:
        """The names of fields that came more than once."""
        names = [name for name, _ in self.pairs]
        return frozenset(name for name in names if names.count(name) > 1)

    def all_of(self, name: str) -> list[str]:
        """Return the values of a field that may come several times, also as ``name[]``."""
        return [value for field, value in self.pairs if field in {name, f"{name}[]"}]

    @property
    def file(self) -> BinaryIO:
        """The first file."""
        return self.files[0]


@contextlib.asynccontextmanager
async def received_upload(
    request: Request,
    limit_bytes: int,
    most_files: int = 1,
    most_field_bytes: int = _FIELD_BYTES,
    parts: Sequence[str] = ("file",),
) -> AsyncIterator[Upload]:
    """Receive the multipart form of ``request``; its files are gone when the block ends.

    Args:
        request: whose body is received.
        limit_bytes: that the body may have.
        most_files: that the form may have.
        most_field_bytes: that another field of it may have.
        parts: the names that its files may have.

    Raises:
        UnsupportedContent: the body is not multipart/form-data.
        UploadTooLarge: it has more than ``limit_bytes``; the rest is not kept.
        UploadInvalid: it is no well-formed form, or has no file of such a name.
        ClientDisconnect: the client left in the middle.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        raise UnsupportedContent(
            "the body must be multipart/form-data",
            why=f"its content type is {kind!r}" if kind else "it has no content type",
            hint="curl -F file=@RECORDING ...",
        )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:18]) > limit_bytes:
        raise _too_large(limit_bytes)
    stream = _counted(request, limit_bytes)
    parser = MultiPartParser(
        request.headers, stream, max_files=most_files, max_fields=_MOST_FIELDS,
        max_part_size=most_field_bytes,
    )  # fmt: skip
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError, LookupError) as error:
        # The form names the encoding of its own fields: any that Python has, or none.
        raise UploadInvalid("the form cannot be read", why=str(error)) from error
    finally:
        await stream.aclose()
    try:
        yield _upload_of(form, parts)
    finally:
        await form.close()


async def received_object(request: Request, limit_bytes: int) -> tuple[bytes, dict[str, Any]]:
    """Receive a JSON object; return it as it came, and as it reads.

    Raises:
        UploadTooLarge: there are more bytes than may be sent.
        UploadStalled: it did not come to its end.
        UploadInvalid: it is no JSON object.
    """
    received = bytearray()
    async for block in _counted(request, limit_bytes):
        received += block
    try:
        content = json.loads(received)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UploadInvalid("the request cannot be read", why="it is no JSON object")
    return bytes(received), content


async def _counted(request: Request, limit_bytes: int) -> AsyncGenerator[bytes, None]:
    received = 0
    async for block in blocks_of(request):
        received += len(block)
        if received > limit_bytes:
            raise _too_large(limit_bytes)
        yield block


async def blocks_of(request: Request) -> AsyncGenerator[bytes, None]:
    """Receive a body as it comes.

    Raises:
        UploadStalled: nothing came for longer than any network pauses.
    """
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(_STALL_S):
                block = await anext(stream, None)
        except TimeoutError as error:
            raise UploadStalled(
                "the request did not come to its end", why=f"nothing came for {_STALL_S:.0f} s"
            ) from error
        if block is None:
            return
        yield block


def _upload_of(form: FormData, names: Sequence[str]) -> Upload:
    parts = [
        each for name, each in form.multi_items() if name in names and isinstance(each, UploadFile)
    ]
    if not parts:
        raise UploadInvalid(
            "the form has no file",
            why=f"a part named {names[0]!r} with a filename is wanted",
            param=names[0],
        )
    given = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    return Upload(
        [each.file for each in parts], [each.content_type or "" for each in parts],
        [each.filename or "" for each in parts], given,
    )  # fmt: skip


def _too_large(limit_bytes: int) -> UploadTooLarge:
    shown = f"{limit_bytes / 1_000_000:.0f} MB" if limit_bytes >= 1_000_000 else f"{limit_bytes} B"
    return UploadTooLarge(
        f"a request may have at most {shown}",
        why="send less at a time",
        limit_bytes=limit_bytes,
    )
