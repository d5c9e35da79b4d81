"""What went wrong lately, for the page: the warnings and errors of the log, a few of them kept."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast.api import request_id

__all__ = ["RecentErrors", "Trouble"]

_KEPT = 20


@dataclass(frozen=True, slots=True)
class Trouble:
    """One line of the log. ``time`` is UTC, ISO 8601; ``level`` is ``warning`` or ``error``."""

    time: str
    level: str
    message: str
    request_id: str | None


class RecentErrors(logging.Handler):
    """Keeps the last lines that our own loggers warned with, the newest first."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._kept: deque[Trouble] = deque(maxlen=_KEPT)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            message += f" ({type(error).__name__}: {error})"
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
        level = "error" if record.levelno >= logging.ERROR else "warning"
        self._kept.appendleft(Trouble(time, level, message, request_id.get()))

    def latest(self) -> tuple[Trouble, ...]:
        """Return them."""
        return tuple(self._kept)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Keep what is logged while the block runs."""
        ours = logging.getLogger("holdfast")
        ours.addHandler(self)
        try:
            yield
        finally:
            ours.removeHandler(self)
