"""One document that a process is at, seen from outside."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import time

from holdfast.documents._errors import DocumentError
from holdfast.documents._work import KIND, Doing, give_up, too_large, too_slow
from holdfast.errors import HoldfastError
from holdfast.jobs import Claim, JobLost, JobStore, UnknownJob

__all__ = ["Watched"]

_log = logging.getLogger(__name__)
# What the process itself has to notice that its time is over, or that nobody wants it any more.
_TIME_S, _CANCEL_S = 4.0, 1.2
_ASK_S = 0.4


class Watched:
    """Ends a process whose document takes too long or too much, or is not wanted any more.

    The process does so itself where it can, and gives its signs of life: one that is within a
    library can do neither, so that both are done for it.

    Args:
        doing: what it is at.
        lease_s: how long a sign of life lasts.
    """

    def __init__(self, doing: Doing, lease_s: float) -> None:
        self.killed = False
        self._doing = doing
        self._lease_s = lease_s
        self._begun = self._asked = self._renewed = time.monotonic()
        self._cancelled: float | None = None
        self._error: DocumentError | None = None

    def look(self, store: JobStore, child: subprocess.Popen[str], is_large: bool) -> None:
        """Look whether it may go on."""
        now = time.monotonic()
        if is_large:
            self._end(child, too_large(self._doing.name))
        elif now > self._begun + self._doing.limit_s + _TIME_S:
            self._end(child, too_slow(self._doing.name, self._doing.limit_s))
        elif self._is_cancelled(store, now):
            self._end(child, None)

    def _is_cancelled(self, store: JobStore, now: float) -> bool:
        if self._cancelled is None and now > self._asked + _ASK_S:
            self._asked = now
            try:
                if self._is_unwanted(store, now):
                    self._cancelled = now
            except (JobLost, UnknownJob):
                self._cancelled = now
            except HoldfastError as error:
                _log.warning("job %s: no sign of life could be given: %s", self._doing.job, error)
        return self._cancelled is not None and now > self._cancelled + _CANCEL_S

    def _is_unwanted(self, store: JobStore, now: float) -> bool:
        if now < self._renewed + self._lease_s / 4:
            return store.status(self._doing.job).cancelling
        self._renewed = now
        claim = Claim(self._doing.job, KIND, "", {}, self._doing.fence, 0)
        return store.beat(claim, self._lease_s)

    def _end(self, child: subprocess.Popen[str], error: DocumentError | None) -> None:
        if self.killed:
            return
        _log.warning(
            "the process at document %d of job %s is ended: %s", self._doing.at + 1,
            self._doing.job, error or "nobody wants it any more",
        )  # fmt: skip
        self.killed, self._error = True, error
        with contextlib.suppress(OSError):
            child.kill()

    def give_up(self, store: JobStore) -> None:
        """Note why the document failed, once its process has ended."""
        if self._error is not None:
            give_up(store, self._doing, self._error, time.monotonic() - self._begun)
