"""Where sealed templates are kept: what every such place can do.

A store knows bytes only: no name, no vector, no key that opens anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

__all__ = [
    "AuditRow",
    "CentroidRow",
    "Centroids",
    "Chain",
    "EnrolledRow",
    "GalleryStore",
    "SearchingStore",
    "SpeakerRow",
    "UtteranceRow",
]

# The seal of an audit line, from that of the line before and the line.
Chain = Callable[[bytes, str], bytes]


class SpeakerRow(NamedTuple):
    """A speaker: the wrapped key, and the sealed profile."""

    id: str
    wrapped_key: bytes
    profile: bytes


class UtteranceRow(NamedTuple):
    """One enrolled utterance: which model's, and the sealed vector and facts.

    ``audio`` is the sealed recording where that is to be kept; it is read by itself only.
    """

    id: str
    speaker: str
    model: str
    sealed: bytes
    audio: bytes | None = None


class EnrolledRow(NamedTuple):
    """An utterance with the speaker's wrapped key: all that is needed to open it."""

    wrapped_key: bytes
    utterance: UtteranceRow


class CentroidRow(NamedTuple):
    """What a store may search in the clear: one vector of a speaker and model."""

    speaker: str
    model: str
    vector: Sequence[float]


# Makes vectors of all that is kept of some speakers, one speaker's utterances after another's.
Centroids: TypeAlias = Callable[[Iterable[EnrolledRow]], Iterator[CentroidRow]]


class AuditRow(NamedTuple):
    """One line of the audit log and its seal, which covers every line before."""

    number: int
    line: str
    seal: bytes


class GalleryStore(Protocol):
    """Keeps rows, durably; every method is one transaction. Safe for threads and processes.

    Every method raises:
        GalleryUnusable: the place cannot be read or written.
    """

    def proof(self, make: Callable[[], bytes]) -> bytes:
        """Return the proof of the key that this gallery was begun with; keep a new one once."""

    def fact(self, name: str) -> bytes | None:
        """Return what was kept under a name."""

    def keep_fact(self, name: str, value: bytes, audit: str) -> None:
        """Keep something under a name, in place of what was there."""

    def last_change(self) -> int:
        """Return the number of the last change; 0 where nothing has changed yet."""

    def changes(self, after: int) -> list[tuple[int, str]]:
        """Return which speakers' utterances have changed, and the number of the last change each.

        Numbers grow; those up to ``after`` are left out. Who was erased is among them. Nobody who
        has seen a number will be told a smaller one later.
        """

    def add_speaker(
        self,
        row: SpeakerRow,
        audit: str,
        rows: Sequence[UtteranceRow] = (),
        centroids: Centroids | None = None,
    ) -> bool:
        """Add a speaker with utterances; return False, change nothing, where the id is taken.

        ``centroids`` goes with ``rows``; see `add_utterances`.
        """

    def set_profile(self, row: SpeakerRow, audit: str) -> bool:
        """Replace a profile; return False where no speaker has this id and this key."""

    def speaker(self, speaker: str) -> SpeakerRow | None:
        """Return one speaker."""

    def count(self) -> int:
        """Return how many speakers there are."""

    def speakers(self, after: str = "") -> Iterator[SpeakerRow]:
        """Yield all, by id; those up to ``after`` are left out."""

    def utterances(self, speaker: str | None = None) -> Iterator[UtteranceRow]:
        """Yield the utterances of one speaker, or of all, in the order of their enrolment."""

    def of_model(self, model: str) -> Iterator[EnrolledRow]:
        """Yield the utterances of a model that can be opened, in the order of their enrolment."""

    def audio(self, speaker: str) -> Iterator[tuple[str, bytes]]:
        """Yield the sealed recordings that are kept of a speaker, with their utterances' ids."""

    def enrolled(self) -> Iterator[EnrolledRow]:
        """Yield all utterances that can be opened, by speaker, each in the order of enrolment."""

    def add_utterances(
        self, speaker: SpeakerRow, rows: Sequence[UtteranceRow], audit: str, centroids: Centroids
    ) -> bool:
        """Add all of them or none; return False where no speaker has this id and this key.

        A store that is searched itself keeps what ``centroids`` makes of all the speaker's
        utterances, in the same transaction.
        """

    def erase(self, speaker: str, audit: str) -> bool:
        """Destroy a speaker's key, profile and utterances; return whether there was one."""

    def note(self, audit: str) -> None:
        """Add a line to the audit log."""

    def audit(self, after: int = 0) -> Iterator[AuditRow]:
        """Yield the audit log's lines after a number."""

    def close(self) -> None:
        """Let go of the place."""


@runtime_checkable
class SearchingStore(GalleryStore, Protocol):
    """A store that can be searched without holding every voice in memory."""

    def fill(self, centroids: Centroids) -> int:
        """Make vectors that are missing, for some seconds; return how many speakers are left."""

    def nearest(
        self, model: str, probe: Sequence[float], most: int, at_least: float
    ) -> list[tuple[str, float]]:
        """Return the speakers whose vectors are nearest (inner product), the best first."""
