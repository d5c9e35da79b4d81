"""Work that is done once, in a process of its own: what it imports and takes goes with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from holdfast.runtime._jobs import Unhurried
from holdfast.runtime._worker import Worker

__all__ = ["done_apart"]

T = TypeVar("T")


class _NoEngine:
    """What is loaded where nothing has to be."""

    def close(self) -> None:
        """Give nothing back."""


def done_apart(name: str, work: Callable[..., T], *args: Any) -> T:
    """Return ``work(*args)``, done in a new process that ends with it.

    Args:
        name: what it is, for errors.
        work: a function of some module.
        args: what can be sent to another process.

    Raises:
        WorkerDied: the process ended before it had answered.
        HoldfastError: what the work raised; anything else becomes `EngineFailed`.
    """
    worker = Worker(name, _load, Path(), "cpu", lambda *_: None)
    try:
        result: T = worker.perform(_call, (work, args), Unhurried())
        return result
    finally:
        worker.close()


def _load(folder: Path, device: str) -> _NoEngine:
    del folder, device
    return _NoEngine()


def _call(engine: _NoEngine, work: Callable[..., T], args: tuple[Any, ...]) -> T:
    del engine
    return work(*args)
