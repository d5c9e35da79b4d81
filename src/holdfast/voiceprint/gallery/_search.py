"""Where voices are searched: in this process's memory, or in the database that keeps them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, Protocol

import numpy as np

from holdfast.voiceprint.gallery._errors import GalleryUnusable, SearchUnready, UnknownSpeaker
from holdfast.voiceprint.gallery._index import Found, Vectors, VoiceIndex
from holdfast.voiceprint.gallery._records import Template, centroid_of, unit_rows, vector_bytes
from holdfast.voiceprint.gallery._rotation import rotation
from holdfast.voiceprint.gallery._store import (
    CentroidRow,
    EnrolledRow,
    GalleryStore,
    SearchingStore,
    SpeakerRow,
    UtteranceRow,
)
from holdfast.voiceprint.gallery._vault import Vault

__all__ = ["DatabaseSearch", "MemorySearch", "Search", "Turned", "what_is_sealed"]

# Utterances that are opened before their centroids are computed at once.
_TOGETHER = 8192
# Changes that are read one by one; more of them (an import) take longer than reading all anew.
_MANY = 20_000


class Search(Protocol):
    """Finds the speakers that a voice sounds like. Safe to use from several threads."""

    def search(self, model: str, probe: Vectors, most: int, at_least: float) -> list[Found]:
        """Return them, the best first; see `VoiceIndex.search`."""


class MemorySearch:
    """Every centroid in memory; follows what other processes enrol and erase."""

    def __init__(self, store: GalleryStore, vault: Vault) -> None:
        self._store = store
        self._vault = vault
        self._turn = threading.Lock()
        self._indexes: dict[str, VoiceIndex] = {}
        self._seen = 0

    def search(self, model: str, probe: Vectors, most: int, at_least: float) -> list[Found]:
        """Return the speakers above a score, the best first."""
        # Outside of the turn: for a store that does not answer all wait together, not in a row.
        newest = self._store.last_change()
        with self._turn:
            if newest < self._seen:
                # Numbers only grow, so this is another gallery: one that came from a copy.
                self._seen = 0
            if newest > self._seen:
                self._follow(newest)
            index = self._indexes.get(model)
            return [] if index is None else index.search(probe, most, at_least)

    def _follow(self, newest: int) -> None:
        """Read what has changed; the rest stays."""
        changed = self._store.changes(self._seen) if self._seen else []
        if self._seen == 0 or len(changed) > _MANY:
            # What changes while this is read has a later number, and is read again.
            indexes: dict[str, VoiceIndex] = {}
            for model, speakers, centroids in opened_centroids(self._store.enrolled(), self._vault):
                index = indexes.setdefault(model, VoiceIndex(centroids.shape[1]))
                index.put_all(speakers, centroids)
            self._indexes, self._seen = indexes, newest
            return
        for number, speaker in changed:
            self._read_again(speaker)
            self._seen = number

    def _read_again(self, speaker: str) -> None:
        row = self._store.speaker(speaker)
        found = [] if row is None else list(self._store.utterances(speaker))
        made = {} if row is None else speaker_centroids(self._vault, row, found)
        for model, index in self._indexes.items():
            if model not in made:
                index.drop(speaker)
        for model, centroid in made.items():
            self._indexes.setdefault(model, VoiceIndex(len(centroid))).put(speaker, centroid)


class DatabaseSearch:
    """The database compares centroids that were turned by a secret rotation.

    What it finds is compared again with what is sealed: nobody is recognised by a vector that was
    put into the table from outside.

    Args:
        store: is searched.
        turned: knows the rotation.
        template: what is sealed of a speaker and model.
    """

    def __init__(
        self,
        store: SearchingStore,
        turned: Turned,
        template: Callable[[str, str], Template | None],
    ) -> None:
        self._store = store
        self._template = template
        self._turned = turned
        self._turn = threading.Lock()
        self._full = False

    def search(self, model: str, probe: Vectors, most: int, at_least: float) -> list[Found]:
        """Return the speakers above a score, the best first.

        Raises:
            SearchUnready: not every speaker's vector is in the database yet.
        """
        if not self._full:
            self._fill()
        found = []
        (turned,) = self._turned.rows(model, probe[np.newaxis])
        try:
            # A score that is computed in another order may be a little below the threshold.
            nearest = self._store.nearest(model, turned, most, at_least - 1e-4)
        except GalleryUnusable:
            self._full = False  # somebody may have taken the table away
            raise
        for speaker, _ in nearest:
            try:
                template = self._template(speaker, model)
            except UnknownSpeaker:
                continue  # erased a moment ago
            score = -1.0 if template is None else float(template.centroid @ probe)
            if score >= at_least:
                found.append(Found(speaker, score))
        return sorted(found, key=lambda each: -each.score)

    def _fill(self) -> None:
        left = -1
        if self._turn.acquire(blocking=False):
            try:
                left = self._store.fill(self._turned.centroids)
                self._full = left == 0
            finally:
                self._turn.release()
        if not self._full:
            count = f"{left} speakers lack" if left > 0 else "some speakers lack"
            raise SearchUnready(
                "the database cannot be searched for voices yet",
                why=f"{count} a vector there; each question goes on to fill them in",
                hint="ask again in a few seconds",
            )


class Turned:
    """Makes what a searching store keeps: centroids, turned."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._matrices: dict[
            tuple[str, int], np.ndarray[tuple[int, int], np.dtype[np.float64]]
        ] = {}

    def rows(self, model: str, vectors: Vectors) -> list[list[float]]:
        """Return vectors, shape (n, dimension), turned as all of this model are."""
        dimension = vectors.shape[1]
        matrix = self._matrices.get((model, dimension))
        if matrix is None:
            matrix = rotation(self._vault.rotation_key(model), dimension)
            self._matrices[model, dimension] = matrix
        turned: list[list[float]] = (vectors @ matrix.T).tolist()
        return turned

    def centroids(self, rows: Iterable[EnrolledRow]) -> Iterator[CentroidRow]:
        """Yield one turned vector per speaker and model."""
        for model, speakers, centroids in opened_centroids(rows, self._vault):
            for speaker, vector in zip(speakers, self.rows(model, centroids), strict=True):
                yield CentroidRow(speaker, model, vector)


def speaker_centroids(
    vault: Vault, row: SpeakerRow, found: Sequence[UtteranceRow]
) -> dict[str, Vectors]:
    """Return a speaker's centroid of each model, shape (dimension,), of length 1."""
    rows = [EnrolledRow(row.wrapped_key, each) for each in found]
    return {model: made[0] for model, _, made in opened_centroids(rows, vault)}


def what_is_sealed(row: UtteranceRow) -> str:
    """Return what an utterance's seal is bound to besides the speaker.

    The model stands outside too, for those who look without a key.
    """
    return f"{row.id}:{row.model}"


class _Together(NamedTuple):
    """Speakers of one model, and their vectors one after the other."""

    speakers: list[str]
    starts: list[int]
    vectors: list[bytes]

    def centroids(self) -> Vectors:
        """Return the mean of each speaker's vectors, all made of length 1 before and after."""
        joined = np.frombuffer(b"".join(self.vectors), "<f4")
        return centroid_of(unit_rows(joined.reshape(len(self.vectors), -1)), self.starts)


def opened_centroids(
    rows: Iterable[EnrolledRow], vault: Vault
) -> Iterator[tuple[str, list[str], Vectors]]:
    """Yield models, speakers in order and their centroids, shape (n, dimension), for many at once.

    Numpy takes as long for one vector as for a hundred, and there may be a million.

    Raises:
        TemplateTampered: one does not open.
    """
    waiting: dict[str, _Together] = {}
    count = 0
    for speaker, of_speaker in groupby(rows, key=lambda row: row.utterance.speaker):
        if count >= _TOGETHER:
            yield from ((model, part.speakers, part.centroids()) for model, part in waiting.items())
            waiting, count = {}, 0
        open_one = None
        for wrapped, row in of_speaker:
            open_one = open_one or vault.opener(speaker, wrapped)
            part = waiting.setdefault(row.model, _Together([], [], []))
            if not part.speakers or part.speakers[-1] != speaker:
                part.speakers.append(speaker)
                part.starts.append(len(part.vectors))
            part.vectors.append(vector_bytes(open_one(row.sealed, what_is_sealed(row))))
            count += 1
    yield from ((model, part.speakers, part.centroids()) for model, part in waiting.items())
