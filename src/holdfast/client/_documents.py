"""What a service answers about documents, and how it is asked.

Rules only; nothing here does I/O but reading a file that is to be sent. The interface is
docling-serve's: https://github.com/docling-project/docling-serve
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from holdfast.client._calls import Audio, Call, Reply, named_file
from holdfast.client._errors import ServiceError

__all__ = ["Document", "DocumentCalls", "DocumentTask"]

_ENDED = ("success", "failure")


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was converted.

    Attributes:
        outputs: what came of it by form (``md``, ``json`` ...); JSON as data.
        status: ``success``, or ``partial_success`` where some of it could not be read.
        errors: what could not be.
        seconds: that it took.
        raw: all that the service said.
    """

    name: str
    outputs: Mapping[str, Any]
    status: str
    errors: Sequence[str]
    seconds: float
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, content: Any) -> Document:
        """Read an answer."""
        document = content["document"]
        outputs = {
            name.removesuffix("_content"): value
            for name, value in document.items()
            if name.endswith("_content") and value is not None
        }
        return cls(
            name=str(document["filename"]),
            outputs=outputs,
            status=str(content["status"]),
            errors=[str(each["error_message"]) for each in content["errors"]],
            seconds=float(content["processing_time"]),
            raw=content,
        )


@dataclass(frozen=True, slots=True)
class DocumentTask:
    """A document that is being converted.

    Attributes:
        status: ``pending``, ``started``, ``success`` or ``failure``.
        position: among those that wait, from 1; None when it does not wait.
        page: how many of its pages are done; None where it has none, or is not begun.
        pages: how many it has.
        error: why it failed, else None.
        raw: all that the service said.
    """

    id: str
    status: str
    position: int | None
    page: int | None
    pages: int | None
    error: str | None
    raw: Mapping[str, Any]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in _ENDED

    @classmethod
    def of(cls, content: Any) -> DocumentTask:
        """Read an answer."""
        progress = content.get("progress") or {}
        total = progress.get("pages_total") or None
        return cls(
            id=str(content["task_id"]),
            status=str(content["task_status"]),
            position=content["task_position"],
            page=progress.get("pages_done") if total else None,
            pages=total,
            error=content["error_message"],
            raw=content,
        )


def _document(reply: Reply) -> Document:
    failure = reply.content.get("failure") if "document" not in reply.content else None
    if failure is not None:  # docling-serve tells of a failed task with a status of success
        details = failure["details"]
        raise ServiceError(
            "the document was not converted", why=str(failure["message"]),
            hint=str(details.get("hint", "")), status=reply.status,
            service_code=details.get("code", ""),
        )  # fmt: skip
    return Document.of(reply.content)


def _task(reply: Reply) -> DocumentTask:
    return DocumentTask.of(reply.content)


def _named(document: Audio, name: str | None) -> tuple[str, bytes]:
    own, content = named_file(document, "document")
    return name or own, content


def _form(to: Sequence[str], options: Mapping[str, object]) -> dict[str, str | Sequence[str]]:
    form: dict[str, str | Sequence[str]] = {"to_formats": list(to)}
    for name, value in options.items():
        if isinstance(value, list | tuple):
            form[name] = [str(each) for each in value]
        else:
            form[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return form


class DocumentCalls:
    """The calls about documents, one method each."""

    @staticmethod
    def convert(
        document: Audio, name: str | None, to: Sequence[str], options: Mapping[str, object]
    ) -> Call[Document]:
        """POST /v1/convert/file."""
        return Call(
            "POST", "/v1/convert/file", _document, files=[("files", _named(document, name))],
            form=_form(to, options), safe=False,
        )  # fmt: skip

    @staticmethod
    def submit(
        document: Audio, name: str | None, to: Sequence[str], options: Mapping[str, object]
    ) -> Call[DocumentTask]:
        """POST /v1/convert/file/async."""
        return Call(
            "POST", "/v1/convert/file/async", _task, files=[("files", _named(document, name))],
            form=_form(to, options), safe=False,
        )  # fmt: skip

    @staticmethod
    def task(task: str, wait_s: float) -> Call[DocumentTask]:
        """GET /v1/status/poll/{id}."""
        return Call("GET", f"/v1/status/poll/{quote(task, safe='')}?wait={wait_s:g}", _task)

    @staticmethod
    def result(task: str) -> Call[Document]:
        """GET /v1/result/{id}."""
        return Call("GET", f"/v1/result/{quote(task, safe='')}", _document)

    @staticmethod
    def cancel(task: str) -> Call[DocumentTask]:
        """DELETE /v1/tasks/{id}."""
        return Call("DELETE", f"/v1/tasks/{quote(task, safe='')}", _task)
