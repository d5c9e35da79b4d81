"""What a service answers, as values. Fields of later versions are kept in ``raw``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Health", "Model", "Readiness", "SpeechSegment"]


@dataclass(frozen=True, slots=True)
class Health:
    """A service that lives: its version, and for how many seconds it has."""

    version: str
    uptime_s: float

    @classmethod
    def of(cls, content: Any) -> Health:
        """Read an answer."""
        return cls(str(content["version"]), float(content["uptime_s"]))


@dataclass(frozen=True, slots=True)
class Model:
    """One configured model at one moment.

    Attributes:
        state: ``absent``, ``fetching``, ``verifying``, ``converting``, ``loading``, ``ready``,
            ``idle`` or ``failed``.
        progress: of a download: ``bytes``, ``bytes_total`` and ``seconds_left``.
        error: of the last attempt: ``code``, ``message`` and ``hint``.
        raw: all that the service said.
    """

    id: str
    task: str
    repository: str
    revision: str
    licence: str
    state: str
    device: str
    memory_mb: float | None
    load_s: float | None
    progress: Mapping[str, Any] | None
    error: Mapping[str, Any] | None
    hardware: Mapping[str, Any]
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, content: Any) -> Model:
        """Read one of the list."""
        names = [name for name in cls.__dataclass_fields__ if name != "raw"]
        return cls(**{name: content[name] for name in names}, raw=content)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether every preloaded model is there, and those that are not."""

    ready: bool
    message: str
    waiting: tuple[Model, ...]
    retry_after_s: float | None

    @classmethod
    def of(cls, content: Any, retry_after: str | None) -> Readiness:
        """Read an answer, which is no error when it says no."""
        told = content.get("error") or {}
        after = float(retry_after) if retry_after and retry_after.isdecimal() else None
        models = tuple(Model.of(item) for item in content.get("models", ()))
        return cls(content["status"] == "ready", str(told.get("message", "")), models, after)


@dataclass(frozen=True, slots=True)
class SpeechSegment:
    """Where somebody speaks, in milliseconds from the recording's beginning."""

    start_ms: int
    stop_ms: int

    @classmethod
    def of(cls, content: Any) -> SpeechSegment:
        """Read one of the list."""
        return cls(int(content["start"]), int(content["end"]))
