"""Who sounds most like a voice: exact search over every enrolled centroid, in memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Found", "VoiceIndex"]

Vectors = NDArray[np.float32]
_FIRST = 64


class Found(NamedTuple):
    """A speaker and how much he or she sounds like the probe (cosine, -1 to 1)."""

    speaker: str
    score: float


class VoiceIndex:
    """Centroids of one model, shape (n, dimension), float32, of length 1. One writer at a time.

    Every row is compared: at 192 dimensions a million speakers take 768 MB and one pass over them.
    """

    def __init__(self, dimension: int) -> None:
        self._rows: Vectors = np.empty((_FIRST, dimension), np.float32)
        self._speakers: list[str] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._speakers)

    def reserve(self, count: int) -> None:
        """Make room for so many speakers at once."""
        if count > len(self._rows):
            grown = np.empty((count, self._rows.shape[1]), np.float32)
            grown[: len(self)] = self._rows[: len(self)]
            self._rows = grown

    def put(self, speaker: str, centroid: Vectors) -> None:
        """Add a speaker, or replace the centroid; shape (dimension,), of length 1."""
        place = self._places.get(speaker)
        if place is None:
            place = len(self)
            if place == len(self._rows):
                self.reserve(2 * place)
            self._speakers.append(speaker)
            self._places[speaker] = place
        self._rows[place] = centroid

    def drop(self, speaker: str) -> None:
        """Take a speaker out, if there; the last takes the place."""
        place = self._places.pop(speaker, None)
        if place is None:
            return
        last = self._speakers.pop()
        self._rows[place] = self._rows[len(self)]
        self._rows[len(self)] = 0
        if last != speaker:
            self._speakers[place] = last
            self._places[last] = place

    def search(self, probe: Vectors, most: int, at_least: float) -> list[Found]:
        """Return those that score ``at_least`` this much, the best first, ``most`` of them.

        Args:
            probe: shape (dimension,), of length 1.
            most: how many are wanted.
            at_least: the rejection threshold: an empty list says that nobody here was heard.
        """
        scores = self._rows[: len(self)] @ probe
        places = np.flatnonzero(scores >= at_least)
        if len(places) > most:
            best = np.argpartition(scores[places], -most)[-most:]
            places = places[best]
        places = places[np.argsort(-scores[places], kind="stable")]
        return [Found(self._speakers[place], float(scores[place])) for place in places]
