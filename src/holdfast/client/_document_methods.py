"""The methods about documents, in both forms of the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from holdfast.client._calls import Audio, Call
from holdfast.client._documents import Document, DocumentCalls, DocumentTask

__all__ = ["AsyncDocumentMethods", "DocumentMethods"]

T = TypeVar("T")


class DocumentMethods:
    """Documents become text with structure: a path, bytes, or a file each.

    ``to`` are forms of ``md``, ``json``, ``html``, ``text`` and ``doctags``; ``name`` is the file's
    where it brings none along, whose suffix says what it is; ``options`` are docling-serve's, such
    as ``do_ocr`` or ``page_range``.
    """

    def _run(self, call: Call[T]) -> T:
        raise NotImplementedError

    def convert(
        self,
        document: Audio,
        to: Sequence[str] = ("md",),
        *,
        name: str | None = None,
        **options: object,
    ) -> Document:
        """Return what a document becomes; the service waits for it, within its own limit.

        Raises:
            ServiceError: it cannot be converted; ``service_code`` is such as ``document-damaged``.
        """
        return self._run(DocumentCalls.convert(document, name, to, options))

    def submit(
        self,
        document: Audio,
        to: Sequence[str] = ("md",),
        *,
        name: str | None = None,
        **options: object,
    ) -> DocumentTask:
        """Have a document converted later; it is, even if the service ends meanwhile."""
        return self._run(DocumentCalls.submit(document, name, to, options))

    def task(self, task: str, wait_s: float = 0.0) -> DocumentTask:
        """Return how it stands: once it has ended, or after ``wait_s`` (at most 60)."""
        return self._run(DocumentCalls.task(task, wait_s))

    def task_result(self, task: str) -> Document:
        """Return what came of it.

        Raises:
            ServiceError: it failed, has not ended (404), or is forgotten (404).
        """
        return self._run(DocumentCalls.result(task))

    def cancel_task(self, task: str) -> DocumentTask:
        """Have it end; one that has ended is forgotten, with what came of it."""
        return self._run(DocumentCalls.cancel(task))


class AsyncDocumentMethods:
    """As `DocumentMethods`, awaited."""

    async def _run(self, call: Call[T]) -> T:
        raise NotImplementedError

    async def convert(
        self,
        document: Audio,
        to: Sequence[str] = ("md",),
        *,
        name: str | None = None,
        **options: object,
    ) -> Document:
        """Return what a document becomes."""
        return await self._run(DocumentCalls.convert(document, name, to, options))

    async def submit(
        self,
        document: Audio,
        to: Sequence[str] = ("md",),
        *,
        name: str | None = None,
        **options: object,
    ) -> DocumentTask:
        """Have a document converted later."""
        return await self._run(DocumentCalls.submit(document, name, to, options))

    async def task(self, task: str, wait_s: float = 0.0) -> DocumentTask:
        """Return how it stands."""
        return await self._run(DocumentCalls.task(task, wait_s))

    async def task_result(self, task: str) -> Document:
        """Return what came of it."""
        return await self._run(DocumentCalls.result(task))

    async def cancel_task(self, task: str) -> DocumentTask:
        """Have it end."""
        return await self._run(DocumentCalls.cancel(task))
