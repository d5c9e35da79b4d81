"""What a service answers about speech, spoken or read, and how it is asked.

Rules only; nothing here does I/O but reading a file that is to be sent. The interface is OpenAI's:
https://platform.openai.com/docs/api-reference/audio
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from holdfast.client._calls import SOUND, Audio, Call, Reply, check_text, named_file
from holdfast.client._pieces import Blocks, Events

__all__ = [
    "Asked",
    "SoundForm",
    "SpeechCalls",
    "TextForm",
    "Transcript",
    "TranscriptPiece",
    "TranscriptSegment",
    "TranscriptWord",
]

SoundForm = Literal["wav", "mp3", "flac", "opus", "aac", "pcm"]
TextForm = Literal["text", "srt", "vtt"]
_SPEAK = "/v1/audio/speech"
_READ = "/v1/audio/transcriptions"
_TRANSLATE = "/v1/audio/translations"
_UNKNOWN = b"\xff\xff\xff\xff"
_GRANULARITIES = "timestamp_granularities[]"


@dataclass(frozen=True, slots=True)
class TranscriptWord:
    """One word, and when it is said, in seconds from the recording's beginning."""

    start_s: float
    end_s: float
    text: str

    @classmethod
    def of(cls, content: Any) -> TranscriptWord:
        """Read one of the list."""
        return cls(float(content["start"]), float(content["end"]), str(content["word"]))


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """What is said in one go, and when, in seconds from the recording's beginning.

    Attributes:
        speaker: who says it; None where that was not asked for.
        avg_logprob: how sure the model is: natural logarithms of its tokens' probabilities,
            averaged; None where the model does not tell.
    """

    start_s: float
    end_s: float
    text: str
    speaker: str | None = None
    avg_logprob: float | None = None

    @classmethod
    def of(cls, content: Any) -> TranscriptSegment:
        """Read one of the list."""
        sure = content.get("avg_logprob")
        return cls(
            start_s=float(content["start"]),
            end_s=float(content["end"]),
            text=str(content["text"]),
            speaker=content.get("speaker"),
            avg_logprob=None if sure is None else float(sure),
        )


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a recording.

    Attributes:
        language: its name in English, such as ``english``; None where the service does not tell.
        duration_s: the recording's length.
        words: empty unless they were asked for.
        raw: all that the service said.
    """

    text: str
    language: str | None
    duration_s: float
    segments: Sequence[TranscriptSegment]
    words: Sequence[TranscriptWord]
    raw: Mapping[str, Any]

    @classmethod
    def of(cls, content: Any) -> Transcript:
        """Read an answer."""
        return cls(
            text=str(content["text"]),
            language=content.get("language"),
            duration_s=float(content["duration"]),
            segments=[TranscriptSegment.of(each) for each in content.get("segments") or ()],
            words=[TranscriptWord.of(each) for each in content.get("words") or ()],
            raw=content,
        )


@dataclass(frozen=True, slots=True)
class TranscriptPiece:
    """A piece of a transcript that comes while the recording is still read.

    Attributes:
        kind: ``delta``, ``segment``, or ``done``, which is the last.
        text: what is new; of a segment its text, once more; of ``done`` the whole.
        segment: of a segment, when it is said, and by whom.
    """

    kind: Literal["delta", "segment", "done"]
    text: str
    segment: TranscriptSegment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a recording is to be read.

    Attributes:
        model: None for the service's own.
        language: as ISO 639-1 has it (``en``); None lets the model find out.
        prompt: text that might have come before, for names and style.
        temperature: how freely words are chosen, from 0 to 1.
        words: say when each word is said.
        speakers: say who speaks.
    """

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    words: bool = False
    speakers: bool = False

    def form(self, response_format: str, **more: str) -> dict[str, str | Sequence[str]]:
        """Return the fields of the request, but for the recording."""
        given = {"model": self.model, "language": self.language, "prompt": self.prompt,
                 "temperature": self.temperature}  # fmt: skip
        said = {name: str(value) for name, value in given.items() if value is not None}
        for text in said.values():
            check_text(text)
        return {**said, "response_format": response_format, **more}


class SpeechCalls:
    """The calls, one method each."""

    @staticmethod
    def speak(
        text: str, *, voice: str, model: str | None, response_format: SoundForm, speed: float
    ) -> Call[bytes]:
        """POST /v1/audio/speech."""
        check_text(text)
        check_text(voice)
        if response_format not in get_args(SoundForm):
            raise ValueError(f"sound comes as {', '.join(get_args(SoundForm))}")
        if not math.isfinite(speed):
            raise ValueError(f"{speed} is no speed: it is from 0.25 to 4 times the voice's own")
        asked = {"input": text, "voice": voice, "speed": speed}
        if model is not None:
            asked["model"] = model
        return Call(
            "POST",
            _SPEAK,
            _sound,
            json={**asked, "response_format": response_format},
            pieces=Blocks,
            pieces_as=SOUND,
        )

    @staticmethod
    def transcribe(audio: Audio, asked: Asked) -> Call[Transcript]:
        """POST /v1/audio/transcriptions, for all that is known of each segment."""
        fields = asked.form("diarized_json" if asked.speakers else "verbose_json")
        if asked.speakers:
            fields["chunking_strategy"] = "auto"  # OpenAI's asks for it above half a minute
        if asked.words:
            fields[_GRANULARITIES] = ["segment", "word"]
        return _reading(_READ, audio, fields)

    @staticmethod
    def transcribe_text(audio: Audio, asked: Asked, form: TextForm) -> Call[str]:
        """POST /v1/audio/transcriptions, for a text or a file of subtitles."""
        if form not in get_args(TextForm):
            raise ValueError(f"text comes as {', '.join(get_args(TextForm))}")
        return Call(
            "POST",
            _READ,
            _text,
            files=[("file", named_file(audio))],
            form=asked.form(form),
        )

    @staticmethod
    def transcribe_stream(audio: Audio, asked: Asked) -> Call[TranscriptPiece]:
        """POST /v1/audio/transcriptions, answered while the recording is read."""
        fields = asked.form("diarized_json" if asked.speakers else "json", stream="true")
        if asked.speakers:
            fields["chunking_strategy"] = "auto"
        return Call(
            "POST",
            _READ,
            lambda reply: TranscriptPiece("done", str(reply.content["text"])),
            files=[("file", named_file(audio))],
            form=fields,
            pieces=lambda url: Events(url, _transcript_pieces),
        )

    @staticmethod
    def translate(audio: Audio, asked: Asked) -> Call[Transcript]:
        """POST /v1/audio/translations."""
        return _reading(_TRANSLATE, audio, asked.form("verbose_json"))


def _reading(
    path: str, audio: Audio, fields: Mapping[str, str | Sequence[str]]
) -> Call[Transcript]:
    return Call(
        "POST",
        path,
        lambda reply: Transcript.of(reply.content),
        files=[("file", named_file(audio))],
        form=fields,
    )


def _sound(reply: Reply) -> bytes:
    if not isinstance(reply.content, bytes):
        raise TypeError("it is no sound")
    return _with_lengths(reply.content)


def _with_lengths(sound: bytes) -> bytes:
    """Return a WAV file that says how long it is; one that was sent while it was made does not.

    Source: https://learn.microsoft.com/windows/win32/xaudio2/resource-interchange-file-format--riff-
    """
    if sound[:4] != b"RIFF" or sound[4:8] != _UNKNOWN:
        return sound
    whole = bytearray(sound)
    whole[4:8] = struct.pack("<I", len(sound) - 8)
    at = 12
    while at + 8 <= len(sound):
        if sound[at : at + 4] == b"data":
            whole[at + 4 : at + 8] = struct.pack("<I", len(sound) - at - 8)
            return bytes(whole)
        (size,) = struct.unpack_from("<I", sound, at + 4)
        at += 8 + size + size % 2
    return sound


def _text(reply: Reply) -> str:
    if not isinstance(reply.content, str) or "html" in reply.headers.get("content-type", ""):
        raise TypeError("it is no plain text")
    return reply.content


def _transcript_pieces(value: Any) -> Iterator[TranscriptPiece]:
    """Yield the piece in an event; other events, of later versions, are passed over."""
    kind = value["type"]
    if kind == "transcript.text.delta":
        yield TranscriptPiece("delta", str(value["delta"]))
    elif kind == "transcript.text.segment":
        yield TranscriptPiece("segment", str(value["text"]), TranscriptSegment.of(value))
    elif kind == "transcript.text.done":
        yield TranscriptPiece("done", str(value["text"]))
