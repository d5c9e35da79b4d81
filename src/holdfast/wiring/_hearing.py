"""Recordings among documents: what is said in them is read by the service's own model, with times.

For the processes that convert documents. Models are loaded with the first recording; until then
they cost nothing. What was read becomes WebVTT, which docling reads as any other document.
"""

from __future__ import annotations

import base64
import io
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from holdfast.config import ServiceSettings, Settings
from holdfast.documents import (
    Converted,
    ConvertOptions,
    DocumentDamaged,
    DocumentEmpty,
    DocumentEngine,
    DocumentError,
    DocumentUnsupported,
    Progress,
)
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.wiring._services import Services

__all__ = ["LOAD", "load_hearing", "told_settings"]

LOAD = f"{__name__}:load_hearing"
_FORM = "audio"
_SUFFIXES = frozenset({
    ".aac", ".avi", ".flac", ".m4a", ".mka", ".mkv", ".mov", ".mp3", ".mp4", ".oga", ".ogg",
    ".opus", ".wav", ".webm", ".wma",
})  # fmt: skip


def told_settings(settings: Settings, service: ServiceSettings) -> dict[str, str]:
    """Return settings as text, for a process that this one starts and talks to alone."""
    # Models of requests in the service are not this process's.
    own = service._replace(documents_processes=0, memory_budget_mb=None, models={})
    return {"settings": base64.b64encode(pickle.dumps((settings, own))).decode()}


def load_hearing(folder: Path, device: str, settings: str) -> HearingEngine:
    """Load docling, and what is needed to load a reader of speech later.

    Args:
        folder: of docling's models.
        device: ``cpu``.
        settings: as `told_settings` told.

    Raises:
        MissingExtra: docling is not installed.
    """
    from holdfast.documents.engines.docling import load_docling

    # By whoever started this process, over a pipe that nobody else has.
    found: tuple[Settings, ServiceSettings] = pickle.loads(base64.b64decode(settings))  # noqa: S301
    return HearingEngine(load_docling(folder, device), *found)


class HearingEngine:
    """Reads recordings, and has everything else converted; see `DocumentEngine`."""

    def __init__(self, inner: DocumentEngine, settings: Settings, service: ServiceSettings) -> None:
        self._inner = inner
        self._settings = settings
        self._service = service
        self._services: Services | None = None

    def convert(
        self,
        name: str,
        content: bytes,
        options: ConvertOptions,
        told: Callable[[Progress], None],
    ) -> Converted:
        """Convert a document, or what is said in a recording."""
        if PurePath(name).suffix.lower() not in _SUFFIXES:
            return self._inner.convert(name, content, options, told)
        if options.forms and _FORM not in options.forms:
            raise DocumentUnsupported(
                f"{name} is in a form that is not read",
                why=f"there are {', '.join(options.forms)}",
                hint="add audio to from_formats",
            )  # fmt: skip
        text = self._heard(name, content, told)
        made = self._inner.convert(
            f"{PurePath(name).stem}.vtt", text.encode(), replace(options, forms=()), told
        )
        return replace(made, form=_FORM)

    def _heard(self, name: str, content: bytes, told: Callable[[Progress], None]) -> str:
        from holdfast.media import MediaError, Recording, audio_blocks
        from holdfast.runtime import carry_out
        from holdfast.speech import ReadingRequest, subtitles

        reading = self._reader(name)
        blocks = audio_blocks(
            Recording(io.BytesIO(content)), longest_s=self._service.speech_longest_s
        )
        try:
            found = carry_out(
                reading.read(blocks, ReadingRequest(), lambda *_: told(Progress(0, 0)))
            )
        except MediaError as error:
            raise DocumentDamaged(
                f"{name}: {error.what}", why=error.why, hint=error.hint
            ) from error
        except HoldfastError as error:
            raise DocumentError(
                f"{name} cannot be listened to", why=str(error), hint=error.hint
            ) from error
        if not found.passages:
            raise DocumentEmpty(
                f"{name} has nothing to read", why="nobody speaks in it", hint="send another"
            )
        return subtitles(found, "vtt")

    def _reader(self, name: str) -> Any:
        """Return what reads speech, with its models loaded."""
        from holdfast.wiring._chosen import STT_MODEL
        from holdfast.wiring._services import configured_services
        from holdfast.wiring._speech import VAD_MODEL

        if self._services is None:
            services = configured_services(
                self._settings, self._service, os.environ, only=(STT_MODEL, VAD_MODEL)
            )
            services.supervisor.start()
            self._services = services
        if self._services.reading is None:
            raise DocumentUnsupported(
                f"{name} is a recording", why="nothing here reads speech",
                hint="unset HOLDFAST_SPEECH_TRANSCRIPTION_MODEL",
            )  # fmt: skip
        return self._services.reading

    def describe(self) -> Mapping[str, Any]:
        """Return what it can do."""
        about = dict(self._inner.describe())
        if self._service.speech_transcription_model != "none":
            about["forms"] = [*about["forms"], _FORM]
        return about

    def close(self) -> None:
        """Give its memory back."""
        if self._services is not None:
            self._services.supervisor.close()
        self._inner.close()
