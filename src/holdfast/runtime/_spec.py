"""What a configured model is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from holdfast.events import Reporter
from holdfast.runtime._hardware import Needs
from holdfast.runtime._jobs import Limits

__all__ = ["Engine", "ModelSpec", "Provided"]


class Engine(Protocol):
    """A loaded model, whatever it does."""

    def close(self) -> None:
        """Give its memory back."""


@dataclass(frozen=True, slots=True)
class Provided:
    """A model on disk: its folder, the commit it holds, and the licence that it states itself."""

    folder: Path
    revision: str
    licence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A configured model: what it is, how it comes about, and how much it takes on.

    Attributes:
        id: its name here.
        task: what it does, such as ``voice-activity-detection``.
        licence: as far as it is known before the model is here, which may state another itself.
        provide: brings it to disk and returns where it is; reports how far it has come.
        load: makes an engine of the folder on a device (``cpu`` or ``cuda:N``).
        verify: checks the folder's files against their digests; raises when one is wrong.
        convert: makes the form that ``load`` wants, and returns its folder.
        describe: asks the loaded engine what it can do, as JSON-ready data for ``/models``.
        preload: whether it is loaded at start and counts for readiness; else at its first request.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        devices: of ``cpu`` and ``cuda``, what its engine runs on.
        isolate: whether it runs in a process of its own; ``load`` and all work must then be
            functions of some module.
        threads: how many requests it answers at a time; one where it is isolated.
        queue_limit: how many requests may wait for it.
        max_batch: how many requests of a kind one call of the engine takes.
        batch_wait_s: how long a first request waits for others to join it.
        limits: how long a request may wait, and run.
        idle_unload_s: unloaded after so many seconds without a request; None for never.
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
    describe: Callable[[Any], Mapping[str, Any]] | None = None
    preload: bool = True
    device: str = "auto"
    devices: tuple[str, ...] = ("cpu",)
    needs: Needs = field(default_factory=Needs)
    isolate: bool = False
    threads: int = 1
    queue_limit: int = 64
    max_batch: int = 1
    batch_wait_s: float = 0.0
    limits: Limits = field(default_factory=Limits)
    idle_unload_s: float | None = None
