"""Engines to measure the service with: functions of a module, so that processes can name them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["WIDTH", "echo", "load_echo", "load_matrices", "loads_imports", "loads_python",
           "multiply"]  # fmt: skip

WIDTH = 2048
_LAYERS = 4
# The longest pieces in which the interpreter is kept while torch is imported (`service-health`
# measures the first): most of it is the linker's work. That import takes so many seconds in all.
_HELD_S = (0.3, 0.05, 0.025, 0.02, 0.015, 0.01)
_WHOLE_S = 2.0
Load = Callable[[Path, str], Any]


class _Echo:
    """Answers with what it is given."""

    def close(self) -> None:
        """Nothing is held."""


def load_echo(folder: Path, device: str) -> _Echo:
    del folder, device
    return _Echo()


def echo(engine: _Echo, value: bytes) -> bytes:
    del engine
    return value


class _Matrices:
    """Layers of one matrix each, 67 MB together: more than a processor keeps close to itself.

    One row takes them all from memory; so do thirty, and hardly longer.
    """

    def __init__(self) -> None:
        import numpy as np

        random = np.random.default_rng(0)
        shape = (_LAYERS, WIDTH, WIDTH)
        # So that what goes in comes out about as large.
        self.layers = random.standard_normal(shape, dtype=np.float32) * (2 / WIDTH) ** 0.5

    def close(self) -> None:
        """Give the memory back."""
        del self.layers


def load_matrices(folder: Path, device: str) -> _Matrices:
    del folder, device
    return _Matrices()


def multiply(engine: _Matrices, items: list[bytes]) -> list[bytes]:
    """Answer rows, float32, shape (WIDTH,), with what the layers make of them."""
    import numpy as np

    rows = np.stack([np.frombuffer(item, np.float32) for item in items])
    for layer in engine.layers:
        rows = np.maximum(rows @ layer, 0)
    return [row.tobytes() for row in rows]


def loads_python(seconds: float) -> Load:
    """Return a load that runs so long in Python, and would let others in at any time."""
    return functools.partial(_load_python, seconds)


def loads_imports(seconds: float) -> Load:
    """Return a load that keeps the interpreter to itself in pieces, as an import of torch does."""
    return functools.partial(_load_imports, seconds)


def _load_python(seconds: float, folder: Path, device: str) -> _Echo:
    _compute(seconds)
    return load_echo(folder, device)


def _load_imports(seconds: float, folder: Path, device: str) -> _Echo:
    held_s = [one * min(seconds / _WHOLE_S, 1.0) for one in _HELD_S]
    for one_s in held_s:
        _compute((seconds - sum(held_s)) / len(held_s))
        _hold(one_s)
    return load_echo(folder, device)


def _compute(seconds: float) -> None:
    """Take so much of a processor, in Python."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        for number in range(2000):
            number * number


def _hold(seconds: float) -> None:
    """Take so much of a processor within one call of C that lets nobody else in."""
    started = time.thread_time()
    sum(range(100_000))
    one_s = time.thread_time() - started
    sum(range(int(100_000 * seconds / one_s)))
