"""What a configured model is, and what can be wrong with asking for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from holdfast.errors import HoldfastError
from holdfast.events import Reporter
from holdfast.runtime._hardware import Needs

__all__ = [
    "Engine",
    "ModelFailed",
    "ModelInUse",
    "ModelNotReady",
    "ModelSpec",
    "Provided",
    "UnknownModel",
]


class ModelNotReady(HoldfastError):
    """A model that cannot answer yet. ``facts["retry_after_s"]`` says when to ask again."""

    code = "model-not-ready"
    exit_code = 10
    http_status = 503


class ModelFailed(HoldfastError):
    """A model whose code raised something unforeseen."""

    code = "model-failed"
    exit_code = 10
    http_status = 503


class ModelInUse(HoldfastError):
    """A model that cannot be unloaded because it is answering."""

    code = "model-in-use"
    exit_code = 10
    http_status = 409


class UnknownModel(HoldfastError):
    """A name that is no configured model's."""

    code = "unknown-model"
    exit_code = 2
    http_status = 404


class Engine(Protocol):
    """A loaded model, whatever it does."""

    def close(self) -> None:
        """Give its memory back."""


@dataclass(frozen=True, slots=True)
class Provided:
    """A model on disk: its folder, and the commit it holds."""

    folder: Path
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A configured model: what it is and how it comes about.

    Attributes:
        id: its name here.
        task: what it does, such as ``voice-activity-detection``.
        provide: brings it to disk and returns where it is; reports how far it has come.
        load: makes an engine of the folder on a device.
        verify: checks the folder's files against their digests; raises when one is wrong.
        convert: makes the form that ``load`` wants, and returns its folder.
        preload: whether it is loaded at start and counts for readiness.
    """

    id: str
    task: str
    repository: str
    revision: str
    licence: str
    provide: Callable[[Reporter], Provided]
    load: Callable[[Path, str], Engine]
    verify: Callable[[Provided, Reporter], None] | None = None
    convert: Callable[[Path], Path] | None = None
    device: str = "cpu"
    needs: Needs = field(default_factory=Needs)
    preload: bool = True
