"""What an operation says while it runs: plain values handed to a reporter.

Rules only; nothing here does I/O. A reporter is any callable taking an event; it may be called
from several threads, one at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Event", "FileDone", "Notice", "Progress", "Reporter", "silent", "size_text"]


class Notice(NamedTuple):
    """Something a person should know.

    ``level`` is ``warning``, ``info``, or ``debug`` for what only those want who asked for more.
    """

    level: str
    message: str


class Progress(NamedTuple):
    """How far one file, and the whole operation, has come.

    Sizes in bytes, ``rate`` in bytes per second over the last seconds, ``seconds_left`` None until
    a rate is known. ``reused`` counts bytes that did not have to be fetched again.
    """

    path: str
    file_done: int
    file_total: int
    done: int
    total: int
    rate: float
    seconds_left: float | None


class FileDone(NamedTuple):
    """One file is verified and published. ``source`` says where its bytes came from."""

    path: str
    size: int
    source: str


Event = Notice | Progress | FileDone
Reporter = Callable[[Event], None]


def silent(event: Event) -> None:
    """Report nothing."""
    del event


def size_text(count: float) -> str:
    """Return a number of bytes as people read it: ``283.0 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError(count)
