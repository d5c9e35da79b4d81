"""Every call that a service takes: how it is asked, and how its answer is read.

Rules only; nothing here does I/O but reading a file that is to be sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar
from urllib.parse import quote

from holdfast.chance import jittered
from holdfast.client._pieces import Events, Receiver, chat_pieces
from holdfast.client._values import Health, Model, Readiness, SpeechSegment

__all__ = [
    "SOUND",
    "Audio",
    "Call",
    "Calls",
    "Part",
    "Reply",
    "check_text",
    "named_file",
    "pause_s",
]

T = TypeVar("T")
Audio = str | os.PathLike[str] | bytes | BinaryIO
# Of a form: a file's name, its content, and its type where that matters.
Part = tuple[str, bytes] | tuple[str, bytes, str]
# What sound is said to be, the beginnings.
SOUND = ("audio/", "application/ogg", "application/octet-stream")
_FIRST_PAUSE_S = 0.5
_MOST_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was received whole: its content as JSON says, or text, or sound's bytes."""

    status: int
    headers: Mapping[str, str]
    content: Any


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request.

    Attributes:
        read: makes the result of the answer.
        fine: statuses that are no error.
        safe: asking twice does no more than asking once, so a broken connection is tried again.
        pieces: receives an answer from a URL that comes piece by piece; such answers are asked for
            in ``form`` or ``json``.
        pieces_as: the kinds of content that come so; a server may also answer all at once.
    """

    method: str
    path: str
    read: Callable[[Reply], T]
    files: Sequence[tuple[str, Part]] = ()
    form: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    json: Any = None
    fine: frozenset[int] = frozenset({200, 202})
    safe: bool = True
    pieces: Callable[[str], Receiver[T]] | None = None
    pieces_as: tuple[str, ...] = ("text/event-stream",)


def pause_s(attempt: int, retry_after_s: float | None) -> float:
    """Return how long to wait before trying again; what the service asked for is never cut."""
    if retry_after_s is not None:
        return retry_after_s
    return jittered(min(_FIRST_PAUSE_S * 2.0**attempt, _MOST_PAUSE_S))


class Calls:
    """The calls, one method each; `Client` and `AsyncClient` carry them out."""

    @staticmethod
    def health() -> Call[Health]:
        """GET /health."""
        return Call("GET", "/health", lambda reply: Health.of(reply.content))

    @staticmethod
    def ready() -> Call[Readiness]:
        """GET /ready."""

        def read(reply: Reply) -> Readiness:
            return Readiness.of(reply.content, reply.headers.get("retry-after"))

        return Call("GET", "/ready", read, fine=frozenset({200, 503}))

    @staticmethod
    def models() -> Call[list[Model]]:
        """GET /models."""
        return Call(
            "GET", "/models", lambda reply: [Model.of(item) for item in reply.content["models"]]
        )

    @staticmethod
    def load(model: str) -> Call[Model]:
        """POST /models/{id}/load."""
        path = f"/models/{quote(model, safe='')}/load"
        return Call("POST", path, lambda reply: Model.of(reply.content))

    @staticmethod
    def unload(model: str) -> Call[Model]:
        """POST /models/{id}/unload."""
        path = f"/models/{quote(model, safe='')}/unload"
        return Call("POST", path, lambda reply: Model.of(reply.content))

    @staticmethod
    def metrics() -> Call[str]:
        """GET /metrics."""
        return Call("GET", "/metrics", lambda reply: str(reply.content))

    @staticmethod
    def find_speech(audio: Audio, options: Mapping[str, float]) -> Call[list[SpeechSegment]]:
        """POST /v1/audio/speech/timestamps."""
        return Call(
            "POST",
            "/v1/audio/speech/timestamps",
            lambda reply: [SpeechSegment.of(item) for item in reply.content],
            files=[("file", named_file(audio))],
            form={name: str(value) for name, value in options.items()},
        )

    @staticmethod
    def chat(messages: Sequence[Mapping[str, Any]], options: Mapping[str, Any]) -> Call[str]:
        """POST /v1/chat/completions, answered whole."""
        return Call(
            "POST",
            "/v1/chat/completions",
            lambda reply: str(reply.content["choices"][0]["message"]["content"] or ""),
            json={"messages": list(messages), **options},
            safe=False,
            pieces=lambda url: Events(url, chat_pieces),
        )


def check_text(text: str) -> None:
    """Say if a text cannot be sent.

    Raises:
        TypeError: it is none.
        ValueError: it has half a character.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text is wanted, not {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text!a} has half a character, which cannot be sent") from None


def named_file(file: Audio, usual: str = "audio") -> tuple[str, bytes]:
    """Return a recording's or document's name and bytes, as a part of a form.

    Args:
        file: it.
        usual: what it is called where it brings no name along.

    Raises:
        OSError: it cannot be read.
        TypeError: it is no path, no bytes, and no file that was opened for bytes.
    """
    # Held whole: a request that is tried again is sent again.
    if isinstance(file, bytes | bytearray | memoryview):
        return usual, bytes(file)
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        return _shown(path.name), path.read_bytes()
    content = file.read() if hasattr(file, "read") else None
    if not isinstance(content, bytes):
        raise TypeError(f"a path, bytes or a file of bytes is wanted, not {type(file).__name__}")
    name = getattr(file, "name", usual)
    return _shown(Path(name).name) if isinstance(name, str) else usual, content


def _shown(name: str) -> str:
    """Return a file's name as text: what a system has need not be any."""
    return os.fsencode(name).decode(errors="replace")
