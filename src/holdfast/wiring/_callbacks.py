"""The threads of a service that tell callers how their jobs get on."""

from __future__ import annotations

import logging
import os
import threading
import time

from holdfast.documents import CALLBACK, call_back, calling
from holdfast.errors import HoldfastError
from holdfast.jobs import JobStore, UnknownJob, do_jobs

__all__ = ["Callbacks"]

_log = logging.getLogger(__name__)
_LOOK_S = 0.5
_PATIENCE_S = 5.0


class Callbacks:
    """Finds out what is new, and sends it, from its making until `close`.

    Args:
        store: has the jobs.
        key: that messages are signed with.
        allowed: networks that may be asked although they are not public.
    """

    def __init__(self, store: JobStore, key: str, allowed: tuple[str, ...]) -> None:
        self._store = store
        self._ended = threading.Event()
        worker = f"callbacks-{os.getpid()}-{time.time_ns():x}"
        send = calling(key, allowed)
        self._threads = [
            threading.Thread(target=self._watch, name="holdfast-callbacks", daemon=True),
            threading.Thread(
                target=lambda: do_jobs(store, worker, [CALLBACK], send, self._ended),
                name="holdfast-calls", daemon=True,
            ),
        ]  # fmt: skip
        for thread in self._threads:
            thread.start()

    def _watch(self) -> None:
        version = 0
        while not self._ended.wait(_LOOK_S):
            try:
                version, changed = self._store.changed(version)
                for job in changed:
                    self._look(job)
            except HoldfastError as error:
                _log.warning("callers are not told of their documents: %s", error)
                version = 0  # nothing is left out, once it is possible again

    def _look(self, job: str) -> None:
        try:
            status = self._store.status(job)
            if status.kind != CALLBACK:
                call_back(self._store, status)
        except UnknownJob:
            return  # it was forgotten meanwhile

    def close(self) -> None:
        """End; what is being sent then has a moment, and is sent again by the next one else."""
        self._ended.set()
        deadline = time.monotonic() + _PATIENCE_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
