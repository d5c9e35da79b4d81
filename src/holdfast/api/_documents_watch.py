"""Waiting for jobs: one look at the queue for everybody who waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

from holdfast.errors import HoldfastError
from holdfast.jobs import JobStore

__all__ = ["JobNews"]

_log = logging.getLogger(__name__)
_LOOK_S = 0.03
_AFTER_ALL = 2**62


class JobNews:
    """Tells those who wait when some job has changed; looks only while somebody waits.

    For one event loop.

    Args:
        store: returns the queue.
    """

    def __init__(self, store: Callable[[], JobStore]) -> None:
        self._store = store
        self._waiting = 0
        self._looking: asyncio.Task[None] | None = None
        self._happened = asyncio.Event()
        self.version = 0

    async def after(self, seen: int, timeout_s: float) -> None:
        """Return once there is a version other than ``seen``, or the time is over.

        Who took note of `version` before looking at a job misses no change of it.
        """
        self._waiting += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while self.version == seen:
                        await self._happened.wait()
        finally:
            self._waiting -= 1

    async def _look(self) -> None:
        while self._waiting:
            try:
                version, _ = await run_in_threadpool(lambda: self._store().changed(_AFTER_ALL))
            except HoldfastError as error:
                _log.warning("%s", error)  # who waits looks for itself, and is told
                version = -1
            if version != self.version:
                self.version = version
                self._happened.set()
                self._happened = asyncio.Event()
            await asyncio.sleep(_LOOK_S)
