"""The rounds about documents of `holdfast check` and `holdfast test`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.cli._answers import Wrong
from holdfast.client import AsyncClient, Client, Model, ServiceError

__all__ = ["DocumentRounds", "documents_asynchronously"]

_TASK = "document-conversion"
_WORDS = "The lamp is lit at dusk"
_PAGE = f"""<h1>Lighthouse</h1><p>{_WORDS}.</p>
<table><tr><th>Month</th><th>Ships</th></tr><tr><td>May</td><td>31</td></tr></table>""".encode()
_NAME = "lighthouse.html"
_WITHIN_S = 60.0


class DocumentRounds:
    """Converts a small document, in every way that there is.

    Args:
        client: asks the service.
        models: that the service has.
    """

    def __init__(self, client: Client, models: Sequence[Model]) -> None:
        self._client = client
        self._mounted = [model for model in models if model.task == _TASK]

    def all(self) -> list[tuple[str, Callable[[], str]]]:
        """Return each round's name and what it does; none where no such model is mounted."""
        if not self._mounted:
            return []
        return [
            ("documents: conversion", self._convert),
            ("documents: tasks", self._task),
            ("documents: refusals", self._refusal),
        ]

    def _convert(self) -> str:
        found = self._client.convert(_PAGE, ("md", "json"), name=_NAME)
        text = found.outputs.get("md", "")
        if _WORDS not in text or not found.outputs["json"]["tables"]:
            raise Wrong(f"the document became {text[:80]!r}")
        about = self._mounted[0].raw.get("about", {})
        return f"{len(text)} characters of Markdown; {about.get('layout', 'a layout unknown')}"

    def _task(self) -> str:
        task = self._client.submit(_PAGE, name=_NAME)
        ended = self._client.task(task.id, wait_s=_WITHIN_S)
        if ended.status != "success":
            raise Wrong(f"it is {ended.status}: {ended.error}")
        text = self._client.task_result(task.id).outputs["md"]
        self._client.cancel_task(task.id)
        try:
            self._client.task(task.id)
        except ServiceError as error:
            if error.service_code == "unknown-job":
                return f"{len(text)} characters, and forgotten when asked to be"
            raise
        raise Wrong("it is still known after it was to be forgotten")

    def _refusal(self) -> str:
        try:
            self._client.convert(b"%PDF-1.7 and nothing else", name="broken.pdf")
        except ServiceError as error:
            if error.service_code == "document-damaged":
                return f"a broken document is {error.status} {error.service_code}"
            raise
        raise Wrong("a broken document was converted")


async def documents_asynchronously(client: AsyncClient, models: Sequence[Model]) -> str:
    """Convert once more, awaited."""
    if not any(model.task == _TASK for model in models):
        return "no documents"
    found = await client.convert(_PAGE, name=_NAME)
    return f"{len(found.outputs['md'])} characters of a document"
