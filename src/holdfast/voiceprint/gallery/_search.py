"""Where voices are searched: in this process's memory, or in the database that keeps them."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from holdfast.voiceprint.gallery._errors import (
    GalleryUnusable,
    SearchUnready,
    TemplateTampered,
    UnknownSpeaker,
)
from holdfast.voiceprint.gallery._index import Found, Vectors, VoiceIndex
from holdfast.voiceprint.gallery._records import Template, centroid_of, unit_rows, vector_bytes
from holdfast.voiceprint.gallery._rotation import rotation
from holdfast.voiceprint.gallery._store import (
    CentroidRow,
    EnrolledRow,
    GalleryStore,
    SearchingStore,
    UtteranceRow,
)
from holdfast.voiceprint.gallery._vault import Vault

__all__ = [
    "DatabaseSearch",
    "LeftOut",
    "MemorySearch",
    "Search",
    "Turned",
    "not_comparable",
    "what_is_sealed",
]

_log = logging.getLogger(__name__)

# Utterances that are opened before their centroids are computed at once.
_TOGETHER = 8192
# Changes that are read one by one; more of them (an import) take longer than reading all anew.
_MANY = 20_000
_PAUSE_S = 0.2


class Search(Protocol):
    """Finds the speakers that a voice sounds like. Safe to use from several threads."""

    def search(self, model: str, probe: Vectors, most: int, at_least: float) -> list[Found]:
        """Return them, the best first; see `VoiceIndex.search`."""

    def prepare(self) -> None:
        """Do what the first search would have to wait for."""


class LeftOut:
    """Says in the log, once of each, that a speaker cannot be compared: all others still are."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def __call__(self, error: TemplateTampered) -> None:
        """Say it."""
        speaker = str(error.facts.get("speaker", ""))
        if speaker not in self._told:
            self._told.add(speaker)
            _log.warning("nobody is identified as %r: %s (%s)", speaker, error, error.hint)


class MemorySearch:
    """Every centroid in memory; follows what other processes enrol and erase."""

    def __init__(self, store: GalleryStore, vault: Vault, left_out: LeftOut) -> None:
        self._store = store
        self._vault = vault
        self._left_out = left_out
        self._turn = threading.Lock()
        # By model and dimension: what cannot be compared with a probe is not in its way.
        self._indexes: dict[tuple[str, int], VoiceIndex] = {}
        self._seen = 0

    def search(self, model: str, probe: Vectors, most: int, at_least: float) -> list[Found]:
        """Return the speakers above a score, the best first."""
        with self._followed():
            index = self._indexes.get((model, len(probe)))
            return [] if index is None else index.search(probe, most, at_least)

    def prepare(self) -> None:
        """Read every voice."""
        with self._followed():
            pass

    @contextlib.contextmanager
    def _followed(self) -> Iterator[None]:
        """Have the turn, with what is kept as it is now."""
        # Outside of the turn: for a store that does not answer all wait together, not in a row.
        newest = self._store.last_change()
        with self._turn:
            if newest < self._seen:
                # Numbers only grow, so this is another gallery: one that came from a copy.
                self._seen = 0
            if newest > self._seen:
                self._follow(newest)
            yield

    def _follow(self, newest: int) -> None:
        """Read what has changed; the rest stays."""
        changed = self._store.changes(self._seen) if self._seen else []
        if self._seen == 0 or len(changed) > _MANY:
            # What changes while this is read has a later number, and is read again.
            indexes: dict[tuple[str, int], VoiceIndex] = {}
            rows = self._store.enrolled()
            for model, speakers, made in opened_centroids(rows, self._vault, self._left_out):
                index = indexes.setdefault((model, made.shape[1]), VoiceIndex(made.shape[1]))
                index.put_all(speakers, made)
            self._indexes, self._seen = indexes, newest
            return
        for number, speaker in changed:
            self._read_again(speaker)
            self._seen = number

    def _read_again(self, speaker: str) -> None:
        row = self._store.speaker(speaker)
        found = [] if row is None else list(self._store.utterances(speaker))
        rows = [EnrolledRow(row.wrapped_key, each) for each in found] if row is not None else []
        made = {
            (model, centroids.shape[1]): centroids[0]
            for model, _, centroids in opened_centroids(rows, self._vault, self._left_out)
        }
        for key, index in self._indexes.items():
            if key not in made:
                index.drop(speaker)
        for key, centroid in made.items():
            self._indexes.setdefault(key, VoiceIndex(len(centroid))).put(speaker, centroid)


class DatabaseSearch:
    """The database compares centroids that were turned by a secret rotation.

    What it finds is compared again with what is sealed: nobody is recognised by a vector that was
    put into the table from outside.

    Args:
        store: is searched.
        turned: knows the rotation.
        template: what is sealed of a speaker and model.
        left_out: is told of speakers who cannot be compared.
    """

    def __init__(
        self,
        store: SearchingStore,
        turned: Turned,
        template: Callable[[str, str], Template | None],
        left_out: LeftOut,
    ) -> None:
        self._left_out = left_out
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
            except TemplateTampered as error:
                self._left_out(error)
                continue
            if template is None or len(template.centroid) != len(probe):
                continue
            score = float(template.centroid @ probe)
            if score >= at_least:
                found.append(Found(speaker, score))
        return sorted(found, key=lambda each: -each.score)

    def prepare(self) -> None:
        """Have the vectors made that are missing, until there are none."""
        while not self._full:
            try:
                self._fill()
            except SearchUnready:
                time.sleep(_PAUSE_S)  # others enrol meanwhile, or are filling it themselves

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

    def __init__(self, vault: Vault, left_out: LeftOut) -> None:
        self._vault = vault
        self._left_out = left_out
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
        for model, speakers, centroids in opened_centroids(rows, self._vault, self._left_out):
            for speaker, vector in zip(speakers, self.rows(model, centroids), strict=True):
                yield CentroidRow(speaker, model, vector)


def what_is_sealed(row: UtteranceRow) -> str:
    """Return what an utterance's seal is bound to besides the speaker.

    The model stands outside too, for those who look without a key.
    """
    return f"{row.id}:{row.model}"


def not_comparable(speaker: str) -> TemplateTampered:
    """Return what is to be said of a speaker whose vectors have no mean."""
    return TemplateTampered(
        f"what is stored of speaker {speaker!r} cannot be compared",
        why="its vectors are not finite, or not as long as the model's",
        hint=f"erase the speaker, and enrol again: holdfast voiceprint speakers --erase {speaker}",
        speaker=speaker,
    )


class _Together(NamedTuple):
    """Speakers of one model, and their vectors, of one length, one after the other."""

    speakers: list[str]
    starts: list[int]
    vectors: list[bytes]

    def add(self, speaker: str, vectors: Sequence[bytes]) -> None:
        self.speakers.append(speaker)
        self.starts.append(len(self.vectors))
        self.vectors.extend(vectors)

    def centroids(self) -> Vectors:
        """Return the mean of each speaker's vectors, all made of length 1 before and after."""
        joined = np.frombuffer(b"".join(self.vectors), "<f4")
        return centroid_of(unit_rows(joined.reshape(len(self.vectors), -1)), self.starts)

    def apart(self) -> Iterator[_Together]:
        """Yield each speaker alone."""
        ends = [*self.starts[1:], len(self.vectors)]
        for speaker, start, end in zip(self.speakers, self.starts, ends, strict=True):
            yield _Together([speaker], [0], self.vectors[start:end])


# What is wanted of speakers of one model: the model, their ids in order, their centroids.
_Made: TypeAlias = tuple[str, list[str], Vectors]


def opened_centroids(
    rows: Iterable[EnrolledRow], vault: Vault, left_out: LeftOut
) -> Iterator[_Made]:
    """Yield models, speakers in order and their centroids, shape (n, dimension), for many at once.

    Numpy takes as long for one vector as for a hundred, and there may be a million. Of a speaker
    with a row that does not open there is none: ``left_out`` is told, and the others go on.
    """
    waiting: dict[tuple[str, int], _Together] = {}
    count = 0
    for speaker, of_speaker in groupby(rows, key=lambda row: row.utterance.speaker):
        if count >= _TOGETHER:
            yield from _means(waiting, left_out)
            waiting, count = {}, 0
        try:
            opened = _opened(speaker, of_speaker, vault)
        except TemplateTampered as error:
            left_out(error)
            continue
        for model, vectors in opened.items():
            part = waiting.setdefault((model, len(vectors[0])), _Together([], [], []))
            part.add(speaker, vectors)
            count += len(vectors)
    yield from _means(waiting, left_out)


def _opened(speaker: str, rows: Iterable[EnrolledRow], vault: Vault) -> dict[str, list[bytes]]:
    """Return a speaker's vectors by model, those of one model of one length."""
    found: dict[str, list[bytes]] = {}
    open_one = None
    for wrapped, row in rows:
        open_one = open_one or vault.opener(speaker, wrapped)
        vector = vector_bytes(open_one(row.sealed, what_is_sealed(row)))
        others = found.setdefault(row.model, [])
        if others and len(vector) != len(others[0]):
            raise not_comparable(speaker)
        others.append(vector)
    return found


def _means(waiting: dict[tuple[str, int], _Together], left_out: LeftOut) -> Iterator[_Made]:
    for (model, _), part in waiting.items():
        try:
            yield model, part.speakers, part.centroids()
        except ValueError:
            for alone in part.apart():
                try:
                    yield model, alone.speakers, alone.centroids()
                except ValueError:
                    left_out(not_comparable(alone.speakers[0]))
