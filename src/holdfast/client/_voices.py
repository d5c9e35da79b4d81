"""What a service answers about voices, and how it is asked.

Rules only; nothing here does I/O but reading a file that is to be sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from holdfast.client._calls import Audio, Call, Part, check_text, named_file

__all__ = [
    "Candidate",
    "Enrollment",
    "Identification",
    "Pcm",
    "Reason",
    "Speaker",
    "SpeakerDetails",
    "SpoofVerdict",
    "Verification",
    "VoiceAudio",
    "VoiceCalls",
]

_ROOT = "/v1/voiceprint"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a recording was not used, or a decision is not by the score alone."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Speaker:
    """What is known of a speaker besides the voice."""

    id: str
    display_name: str
    tags: tuple[str, ...]
    consent: str
    created: str

    @classmethod
    def of(cls, content: Any) -> Speaker:
        """Read one of the list."""
        values = {name: content[name] for name in cls.__dataclass_fields__}
        return cls(**(values | {"tags": tuple(content["tags"])}))


@dataclass(frozen=True, slots=True)
class SpeakerDetails:
    """A speaker and what is enrolled.

    Attributes:
        speaker: what is known besides the voice.
        utterances: of each ``id``, ``model``, ``speech_s``, ``created``, ``quality``; no vector.
    """

    speaker: Speaker
    utterances: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, content: Any) -> SpeakerDetails:
        """Read an answer."""
        return cls(Speaker.of(content), content["utterances"])


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What became of recordings.

    Attributes:
        accepted: how many of them were enrolled.
        speech_s: seconds of net speech that the speaker has in all.
        needed_s: how many more are advised.
        reasons: why each was refused, in the order sent; nothing for one that was enrolled.
    """

    accepted: int
    speech_s: float
    needed_s: float
    reasons: Sequence[Sequence[Reason]]

    @classmethod
    def of(cls, content: Any) -> Enrollment:
        """Read an answer."""
        reasons = [_reasons(each["reasons"]) for each in content["utterances"]]
        return cls(
            int(content["accepted"]),
            float(content["speech_s"]),
            float(content["needed_s"]),
            reasons,
        )


@dataclass(frozen=True, slots=True)
class SpoofVerdict:
    """Whether speech is a person's own: ``bona_fide``, ``spoof`` or ``not_evaluated``.

    Attributes:
        score: log-odds (natural) that it is; None where it was not evaluated.
        model: fingerprint of the detector; None where none is mounted.
        threshold: scores below it are taken for attacks.
        reason: why it was not evaluated.
    """

    decision: str
    score: float | None
    model: str | None
    threshold: float | None = None
    reason: str | None = None

    @classmethod
    def of(cls, content: Any) -> SpoofVerdict:
        """Read an answer."""
        return cls(
            decision=str(content["decision"]),
            score=content["score"],
            model=content["model"],
            threshold=content.get("threshold"),
            reason=content.get("reason"),
        )


@dataclass(frozen=True, slots=True)
class Verification:
    """A decision: ``accept``, ``reject``, ``inconclusive`` or ``not_enrolled``.

    Attributes:
        score: cosine; None where nothing was compared.
        llr: log-likelihood ratio (natural); None without calibration.
        threshold: from this score up a voice is accepted.
        operating_point: the threshold's error rates, and the data that they were measured on.
        quality: what was measured of the recording.
        raw: all that the service said.
    """

    decision: str
    score: float | None
    llr: float | None
    threshold: float
    operating_point: Mapping[str, Any]
    quality: Mapping[str, Any]
    reasons: Sequence[Reason]
    spoof: SpoofVerdict
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, content: Any) -> Verification:
        """Read an answer."""
        return cls(
            decision=str(content["decision"]),
            score=content["score"],
            llr=content["llr"],
            threshold=float(content["threshold"]),
            operating_point=content["operating_point"],
            quality=content["quality"],
            reasons=_reasons(content["reasons"]),
            spoof=SpoofVerdict.of(content["spoof"]),
            raw=content,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody that a voice sounds like."""

    speaker_id: str
    display_name: str
    score: float
    llr: float | None


@dataclass(frozen=True, slots=True)
class Identification:
    """Those that a voice sounds like, the best first; nobody, where none scores high enough."""

    candidates: Sequence[Candidate]
    reasons: Sequence[Reason]
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, content: Any) -> Identification:
        """Read an answer."""
        candidates = [Candidate(**each) for each in content["candidates"]]
        return cls(candidates, _reasons(content["reasons"]), content)


def _reasons(content: Any) -> list[Reason]:
    return [Reason(str(each["code"]), str(each["message"])) for each in content]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pcm:
    """Samples without a header: ``s16le`` or ``f32le``, several channels taking turns."""

    audio: Audio
    rate_hz: int
    channels: int = 1
    encoding: str = "s16le"


VoiceAudio = Audio | Pcm


class VoiceCalls:
    """The calls, one method each."""

    @staticmethod
    def put_speaker(speaker: str, about: Mapping[str, Any]) -> Call[Speaker]:
        """PUT /v1/voiceprint/speakers/{id}."""
        for text in (about["display_name"], about["consent"], *about["tags"]):
            check_text(text)
        return Call(
            "PUT", _speaker(speaker), lambda reply: Speaker.of(reply.content), json=dict(about)
        )

    @staticmethod
    def speaker(speaker: str) -> Call[SpeakerDetails]:
        """GET /v1/voiceprint/speakers/{id}."""
        return Call("GET", _speaker(speaker), lambda reply: SpeakerDetails.of(reply.content))

    @staticmethod
    def export_speaker(speaker: str) -> Call[dict[str, Any]]:
        """GET /v1/voiceprint/speakers/{id}/export."""
        return Call("GET", f"{_speaker(speaker)}/export", lambda reply: dict(reply.content))

    @staticmethod
    def import_speaker(exported: Mapping[str, Any]) -> Call[Speaker]:
        """POST /v1/voiceprint/speakers."""
        return Call(
            "POST",
            f"{_ROOT}/speakers",
            lambda reply: Speaker.of(reply.content),
            json=dict(exported),
            fine=frozenset({201}),
            safe=False,
        )

    @staticmethod
    def speakers(after: str, limit: int) -> Call[list[Speaker]]:
        """GET /v1/voiceprint/speakers."""
        return Call(
            "GET",
            f"{_ROOT}/speakers?after={quote(after, safe='')}&limit={limit}",
            lambda reply: [Speaker.of(each) for each in reply.content["speakers"]],
        )

    @staticmethod
    def erase_speaker(speaker: str) -> Call[None]:
        """DELETE /v1/voiceprint/speakers/{id}."""
        fine = frozenset({204})
        return Call("DELETE", _speaker(speaker), lambda _: None, fine=fine, safe=False)

    @staticmethod
    def enroll(
        speaker: str, recordings: Sequence[VoiceAudio], channel: int | None
    ) -> Call[Enrollment]:
        """POST /v1/voiceprint/speakers/{id}/enrollments."""
        if not recordings:
            raise ValueError("there is no recording to enroll")
        return Call(
            "POST",
            f"{_speaker(speaker)}/enrollments",
            lambda reply: Enrollment.of(reply.content),
            files=[("file", _part(each)) for each in recordings],
            form=_heard(channel),
            safe=False,  # twice the same recording counts twice
        )

    @staticmethod
    def verify(recording: VoiceAudio, speaker: str, channel: int | None) -> Call[Verification]:
        """POST /v1/voiceprint/verify, with a speaker."""
        return Call(
            "POST",
            f"{_ROOT}/verify",
            lambda reply: Verification.of(reply.content),
            files=[("file", _part(recording))],
            form={"speaker_id": speaker, **_heard(channel)},
        )

    @staticmethod
    def compare(first: VoiceAudio, second: VoiceAudio, channel: int | None) -> Call[Verification]:
        """POST /v1/voiceprint/verify, with two recordings."""
        return Call(
            "POST",
            f"{_ROOT}/verify",
            lambda reply: Verification.of(reply.content),
            files=[("file", _part(each)) for each in (first, second)],
            form=_heard(channel),
        )

    @staticmethod
    def identify(recording: VoiceAudio, top_k: int, channel: int | None) -> Call[Identification]:
        """POST /v1/voiceprint/identify."""
        return Call(
            "POST",
            f"{_ROOT}/identify",
            lambda reply: Identification.of(reply.content),
            files=[("file", _part(recording))],
            form={"top_k": str(top_k), **_heard(channel)},
        )

    @staticmethod
    def detect_spoof(recording: VoiceAudio, channel: int | None) -> Call[SpoofVerdict]:
        """POST /v1/voiceprint/spoof."""
        return Call(
            "POST",
            f"{_ROOT}/spoof",
            lambda reply: SpoofVerdict.of(reply.content),
            files=[("file", _part(recording))],
            form=_heard(channel),
        )

    @staticmethod
    def embed_voice(recording: VoiceAudio, channel: int | None) -> Call[list[float] | None]:
        """POST /v1/voiceprint/embeddings."""
        return Call(
            "POST",
            f"{_ROOT}/embeddings",
            lambda reply: reply.content["embedding"],
            files=[("file", _part(recording))],
            form=_heard(channel),
        )


def _speaker(speaker: str) -> str:
    # "..", "." and "" would be another route.
    if not _ID.fullmatch(speaker):
        raise ValueError(
            f"{speaker!a} can be no speaker's id: it has 1 to 128 letters, digits or . _ @ -, and "
            "the first is no sign"
        )
    return f"{_ROOT}/speakers/{quote(speaker, safe='')}"


def _heard(channel: int | None) -> dict[str, str]:
    return {} if channel is None else {"channel": str(channel)}


def _part(recording: VoiceAudio) -> Part:
    if not isinstance(recording, Pcm):
        return named_file(recording)
    name, content = named_file(recording.audio)
    form = f"rate={recording.rate_hz};channels={recording.channels};encoding={recording.encoding}"
    return name, content, f"audio/pcm;{form}"
