"""How fast, and how long still: from what was received in the last seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from holdfast.events import FileDone, Progress, Reporter
from holdfast.hub import Download

__all__ = ["Meter"]

_WINDOW_S = 5.0


class Meter:
    """Turns the state of downloads into events.

    Args:
        downloads: what is being brought.
        report: who is told.
    """

    def __init__(self, downloads: Sequence[Download], report: Reporter) -> None:
        self._downloads = downloads
        self._report = report
        self._total = sum(download.file.size for download in downloads)
        self._samples: deque[tuple[float, int]] = deque()
        self._done: set[int] = set()
        self._last: dict[int, int] = {}

    def tick(self) -> None:
        """Tell what has changed since the last time."""
        received = [self._received(download) for download in self._downloads]
        done = sum(received)
        rate = self._rate(done)
        left = (self._total - done) / rate if rate > 0 else None
        for number, (download, bytes_here) in enumerate(
            zip(self._downloads, received, strict=True)
        ):
            unchanged = bytes_here == self._last.get(number, 0) and not download.complete
            if unchanged or number in self._done:
                continue
            self._last[number] = bytes_here
            file = download.file
            self._report(Progress(file.path, bytes_here, file.size, done, self._total, rate, left))
            if download.complete:
                self._done.add(number)
                self._report(FileDone(file.path, file.size, "network"))

    @staticmethod
    def _received(download: Download) -> int:
        if download.complete:
            return download.file.size
        return download.partial.received if download.partial is not None else 0

    def _rate(self, done: int) -> float:
        now = time.monotonic()
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[0][0] > _WINDOW_S:
            self._samples.popleft()
        since, before = self._samples[0]
        return max(0.0, (done - before) / (now - since)) if now > since else 0.0
