"""The threads of one download: few at first, more while somebody waits (ADR 14)."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from holdfast.errors import StorageFailed

__all__ = ["Crew"]

_FIRST = 2
_FAR_S = 0.005  # who waits longer for an answer leaves time for another


class Crew:
    """Runs ``work`` on up to ``most`` threads, as long as there is ``more`` to do.

    Threads are added while one has to wait: for an answer, for the rest of a body, for the end of
    a pause. Where none has to, as for small files from a hub nearby, they only get in each other's
    way.
    """

    def __init__(self, most: int, work: Callable[[], None], more: Callable[[], bool]) -> None:
        self._most = most
        self._work = work
        self._more = more
        self._lock = threading.Lock()
        self._count = 0
        self._waiting: dict[int, float] = {}  # by thread, since when

    def start(self) -> None:
        """Start the first ones.

        Raises:
            StorageFailed: the system refuses even one thread.
        """
        for _ in range(_FIRST):
            self.widen()

    def widen(self) -> None:
        """Add one, if there is something for it to do; without end where the system has none.

        Raises:
            StorageFailed: the system refuses the first thread.
        """
        with self._lock:
            if self._count >= self._most or not self._more():
                return
            self._count += 1
            name = f"holdfast-download-{self._count}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError as error:
            with self._lock:
                self._count -= 1
                self._most = self._count  # as many as there are is as many as can be had
            if not self._count:
                raise StorageFailed(
                    "nothing can be downloaded", why=f"the system refuses a thread: {error}",
                    hint="raise the limit of processes (ulimit -u; pids of the container)",
                ) from error  # fmt: skip

    def look(self) -> None:
        """Add one if somebody has been waiting. Called now and then."""
        with self._lock:
            longest = min(self._waiting.values(), default=None)
        if longest is not None and time.monotonic() - longest > _FAR_S:
            self.widen()

    @contextlib.contextmanager
    def waits(self) -> Iterator[None]:
        """Let it be known that this thread waits; one that has waited long adds another."""
        me, since = threading.get_ident(), time.monotonic()
        with self._lock:
            self._waiting[me] = since
        try:
            yield
        finally:
            with self._lock:
                self._waiting.pop(me, None)
        if time.monotonic() - since > _FAR_S:
            self.widen()
