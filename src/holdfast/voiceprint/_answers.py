"""What is answered about voices, as values and as JSON: over HTTP and on the command line alike.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.voiceprint._decide import Decision, Scale, SpoofVerdict
from holdfast.voiceprint._quality import Quality, Refusal

__all__ = ["Candidate", "Enrolment", "Identification", "Verification"]

_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What became of the recordings, in their order, and how much more speech is needed."""

    speaker_id: str
    utterances: Sequence[tuple[Quality, Sequence[Refusal]]]
    accepted: int
    speech_s: float
    needed_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "speaker_id": self.speaker_id,
            "utterances": [
                {"accepted": not wrong, "quality": quality.to_dict(), "reasons": _plain(wrong)}
                for quality, wrong in self.utterances
            ],
            "accepted": self.accepted,
            "speech_s": round(self.speech_s, 2),
            "needed_s": round(self.needed_s, 2),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """A decision and what it was made of."""

    decision: Decision
    quality: Quality
    spoof: SpoofVerdict
    scale: Scale
    revision: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "decision": self.decision.outcome,
            "score": _rounded(self.decision.score),
            "llr": _rounded(self.decision.llr),
            **_about(self.scale, self.quality, self.decision.reasons, self.spoof),
            "revision": self.revision,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Somebody that a voice sounds like."""

    speaker_id: str
    display_name: str
    score: float
    llr: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "speaker_id": self.speaker_id,
            "display_name": self.display_name,
            "score": _rounded(self.score),
            "llr": _rounded(self.llr),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """Those that a voice sounds like, the best first; nobody, where none scores high enough."""

    candidates: Sequence[Candidate]
    quality: Quality
    reasons: Sequence[Refusal]
    spoof: SpoofVerdict
    scale: Scale
    revision: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "candidates": [each.to_dict() for each in self.candidates],
            **_about(self.scale, self.quality, self.reasons, self.spoof),
            "revision": self.revision,
        }


def _about(
    scale: Scale, quality: Quality, reasons: Sequence[Refusal], spoof: SpoofVerdict
) -> dict[str, Any]:
    return {
        "threshold": _rounded(scale.accept_at),
        "reject_below": _rounded(scale.reject_below),
        "operating_point": scale.operating_point(),
        "quality": quality.to_dict(),
        "reasons": _plain(reasons),
        "spoof": spoof.to_dict(),
        "model": scale.model,
    }


def _plain(reasons: Sequence[Refusal]) -> list[dict[str, str]]:
    return [reason.to_dict() for reason in reasons]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)
