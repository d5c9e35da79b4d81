"""Findings that are there when somebody asks: looked for in the background, and kept a while."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from holdfast.checks import Finding

__all__ = ["Checkup"]

_log = logging.getLogger(__name__)
_FRESH_S = 60.0


class Checkup:
    """The latest findings. Looking takes seconds where the network is silent; asking never does.

    Args:
        look: finds them.
        fresh_s: how old they may be before they are looked for anew.
    """

    def __init__(self, look: Callable[[], Sequence[Finding]], fresh_s: float = _FRESH_S) -> None:
        self._look = look
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._looking: threading.Thread | None = None
        self._next = 0.0
        self._findings: tuple[Finding, ...] | None = None

    def latest(self) -> tuple[Finding, ...] | None:
        """Return the findings as they were last, None before the first; have old ones renewed."""
        with self._lock:
            if self._looking is None and time.monotonic() >= self._next:
                self._looking = threading.Thread(
                    target=self._renew, name="holdfast-doctor", daemon=True
                )
                self._looking.start()
            return self._findings

    def wait(self, timeout_s: float) -> tuple[Finding, ...] | None:
        """Return what `latest` does, once the look that is being taken is over."""
        self.latest()
        looking = self._looking
        if looking is not None:
            looking.join(timeout_s)
        return self._findings

    def _renew(self) -> None:
        try:
            found = tuple(self._look())
        except Exception as error:  # noqa: BLE001 - a check that fails is a finding too
            _log.warning("the machine could not be examined", exc_info=error)
            found = (Finding("doctor", "error", f"{type(error).__name__}: {error}"),)
        with self._lock:
            self._findings = found
            self._next = time.monotonic() + self._fresh_s
            self._looking = None
