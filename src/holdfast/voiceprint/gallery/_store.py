"""Where sealed templates are kept: what every such place can do.

A store knows bytes only: no name, no vector, no key that opens anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

__all__ = ["AuditRow", "Chain", "GalleryStore", "SpeakerRow", "UtteranceRow"]

# The seal of an audit line, from that of the line before and the line.
Chain = Callable[[bytes, str], bytes]


class SpeakerRow(NamedTuple):
    """A speaker: the wrapped key, and the sealed profile."""

    id: str
    wrapped_key: bytes
    profile: bytes


class UtteranceRow(NamedTuple):
    """One enrolled utterance: which model's, and the sealed vector and facts."""

    id: str
    speaker: str
    model: str
    sealed: bytes


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

    def changes(self, after: int) -> list[tuple[int, str]]:
        """Return which speakers' utterances have changed, and the number of the last change each.

        Numbers grow; those up to ``after`` are left out. Who was erased is among them.
        """

    def add_speaker(self, row: SpeakerRow, audit: str) -> bool:
        """Add a speaker; return False, and change nothing, where the id is taken."""

    def set_profile(self, row: SpeakerRow, audit: str) -> bool:
        """Replace a profile; return False where no speaker has this id and this key."""

    def speaker(self, speaker: str) -> SpeakerRow | None:
        """Return one speaker."""

    def speakers(self) -> list[SpeakerRow]:
        """Return all, by id."""

    def utterances(self, speaker: str | None = None) -> Iterator[UtteranceRow]:
        """Yield the utterances of one speaker, or of all, in the order of their enrolment."""

    def add_utterances(self, speaker: SpeakerRow, rows: Sequence[UtteranceRow], audit: str) -> bool:
        """Add all of them or none; return False where no speaker has this id and this key."""

    def erase(self, speaker: str, audit: str) -> bool:
        """Destroy a speaker's key, profile and utterances; return whether there was one."""

    def note(self, audit: str) -> None:
        """Add a line to the audit log."""

    def audit(self, after: int = 0) -> Iterator[AuditRow]:
        """Yield the audit log's lines after a number."""

    def close(self) -> None:
        """Let go of the place."""
