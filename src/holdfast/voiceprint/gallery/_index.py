"""Who sounds most like a voice: exact search over every enrolled centroid, in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from holdfast.runtime import usable_cores

__all__ = ["Found", "Vectors", "VoiceIndex"]

T = TypeVar("T")
Vectors = NDArray[np.float32]
# Rows come in blocks, so that one more speaker never means copying all the others.
_BLOCK = 32_768
_FIRST = 64


class Found(NamedTuple):
    """A speaker and how much he or she sounds like the probe (cosine, -1 to 1)."""

    speaker: str
    score: float


class VoiceIndex:
    """Centroids of one model, shape (n, dimension), float32, of length 1. One writer at a time.

    Every row is compared: at 192 dimensions a million speakers take 768 MB and one pass over them.
    Names that were put in order are found by halving and need no dictionary, which at a million
    would take a quarter of what the vectors do.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._blocks: list[Vectors] = []
        self._names: NDArray[np.bytes_] = np.zeros(_FIRST, "S1")
        self._count = 0
        # The first places have names in order, and keep them: who is dropped leaves a hole there.
        self._ordered = 0
        self._holes = 0
        self._later: dict[bytes, int] = {}
        self._threads: ThreadPoolExecutor | None = None

    def __len__(self) -> int:
        return self._count - self._holes

    def put(self, speaker: str, centroid: Vectors) -> None:
        """Add a speaker, or replace the centroid; shape (dimension,), of length 1."""
        self.put_all([speaker], centroid[np.newaxis])

    def put_all(self, speakers: Sequence[str], centroids: Vectors) -> None:
        """Add or replace several; shape (n, dimension). Quickest in the order of their names."""
        names = [speaker.encode() for speaker in speakers]
        if self._follow_in_order(names):
            self._append(names, centroids)
            self._ordered = self._count
            return
        for name, centroid in zip(names, centroids, strict=True):
            place = self._place(name)
            if place is None:
                self._later[name] = self._count
                self._append([name], centroid[np.newaxis])
            else:
                row = self._row(place)
                self._holes -= int(np.isnan(row[0]))
                row[:] = centroid

    def drop(self, speaker: str) -> None:
        """Take a speaker out, if there."""
        name = speaker.encode()
        place = self._place(name)
        if place is None:
            return
        if place < self._ordered:
            row = self._row(place)
            self._holes += int(not np.isnan(row[0]))
            row[:] = np.nan  # which is not above any threshold
            return
        # The last takes the place.
        del self._later[name]
        last = self._count - 1
        if place != last:
            self._row(place)[:] = self._row(last)
            self._names[place] = self._names[last]
            self._later[bytes(self._names[last])] = place
        self._row(last)[:] = np.nan
        self._count = last

    def search(self, probe: Vectors, most: int, at_least: float) -> list[Found]:
        """Return those that score ``at_least`` this much, the best first, ``most`` of them.

        Args:
            probe: shape (dimension,), of length 1.
            most: how many are wanted, at least 1.
            at_least: the rejection threshold: an empty list says that nobody here was heard.
        """
        floor, probe = at_least, np.asarray(probe, np.float32)

        def nearest(number: int) -> tuple[Vectors, NDArray[np.intp]]:
            nonlocal floor
            first = number * _BLOCK
            # Not ``@``: the threads of a BLAS wait for each other at every call, and where models
            # work on the same processors the slowest of them decides (five times as long).
            scores = np.vecdot(self._blocks[number][: self._count - first], probe)
            near = np.flatnonzero(scores >= floor)
            if len(near) > most:
                near = near[np.argpartition(scores[near], -most)[-most:]]
                # What is no better than the last of these is not among the best of all.
                floor = max(floor, float(scores[near].min()))
            return scores[near], near + first

        found = list(self._each(nearest))
        best = np.concatenate([scores for scores, _ in found] or [np.empty(0, np.float32)])
        places = np.concatenate([places for _, places in found] or [np.empty(0, np.intp)])
        order = np.lexsort((places, -best))[:most]
        return [Found(bytes(self._names[places[k]]).decode(), float(best[k])) for k in order]

    def _each(self, work: Callable[[int], T]) -> Iterable[T]:
        """Do something with every block, on all processors where there are several blocks."""
        numbers = range(len(self._blocks))
        if len(numbers) < 2:
            return map(work, numbers)
        if self._threads is None:
            # They end with the index.
            self._threads = ThreadPoolExecutor(usable_cores(), "voice-index")
        return self._threads.map(work, numbers)

    def _follow_in_order(self, names: Sequence[bytes]) -> bool:
        if self._later or not names:
            return False
        last = bytes(self._names[self._count - 1]) if self._count else b""
        return all(a < b for a, b in zip([last, *names], names, strict=False))

    def _place(self, name: bytes) -> int | None:
        place = self._later.get(name)
        if place is None:
            found = int(np.searchsorted(self._names[: self._ordered], np.bytes_(name)))
            if found < self._ordered and self._names[found] == name:
                return found
        return place

    def _row(self, place: int) -> Vectors:
        row: Vectors = self._blocks[place // _BLOCK][place % _BLOCK]
        return row

    def _append(self, names: Sequence[bytes], centroids: Vectors) -> None:
        total = self._count + len(names)
        self._make_room(total, max(map(len, names)))
        self._names[self._count : total] = names
        done = 0
        while self._count < total:
            block, start = divmod(self._count, _BLOCK)
            if block == len(self._blocks):
                self._blocks.append(np.empty((_BLOCK, self._dimension), np.float32))
            count = min(_BLOCK - start, total - self._count)
            self._blocks[block][start : start + count] = centroids[done : done + count]
            done += count
            self._count += count

    def _make_room(self, total: int, width: int) -> None:
        width = max(width, self._names.dtype.itemsize)
        if total > len(self._names) or width > self._names.dtype.itemsize:
            room = len(self._names) if total <= len(self._names) else max(total, total * 5 // 4)
            grown = np.zeros(room, f"S{width}")
            grown[: self._count] = self._names[: self._count]
            self._names = grown
