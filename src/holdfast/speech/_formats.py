"""What was read, in the forms that are asked for: JSON as OpenAI has it, subtitles, plain text.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from holdfast.speech._languages import LANGUAGES
from holdfast.speech._transcript import Passage, Task

__all__ = ["FORMATS", "Format", "Transcript", "subtitles", "transcript_json", "with_speakers"]

Format = Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"]
FORMATS: tuple[Format, ...] = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
# Whisper's features come every hundredth of a second; ``seek`` counts them.
_FRAMES_PER_S = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """All that was read of a recording.

    Attributes:
        task: what was done.
        language: the code of the language that is spoken.
        duration_s: of the recording.
        passages: in order; their times count from the recording's beginning.
        speakers: who says each passage; empty where nobody asked.
    """

    task: Task
    language: str
    duration_s: float
    passages: Sequence[Passage]
    speakers: Sequence[str] = ()

    @property
    def text(self) -> str:
        """All of it in one line."""
        return " ".join(passage.text for passage in self.passages if passage.text)


def transcript_json(
    found: Transcript, form: Format, granularities: Collection[str] = ("segment",)
) -> dict[str, Any]:
    """Return ``json``, ``verbose_json`` or ``diarized_json`` as OpenAI's interface has them.

    Args:
        found: what was read.
        form: which of the three.
        granularities: of ``verbose_json``: ``segment``, ``word`` or both; ``diarized_json`` always
            has segments, and OpenAI's never words.
    """
    usage = {"type": "duration", "seconds": round(found.duration_s, 3)}
    if form == "json":
        return {"text": found.text, "usage": usage}
    head = {"task": found.task, "duration": round(found.duration_s, 3), "text": found.text}
    body: dict[str, Any]
    if form == "diarized_json":
        body = {**head, "segments": _spoken_by(found), "usage": usage}
    else:
        language = LANGUAGES.get(found.language, found.language)
        body = {**head, "language": language, "usage": usage}
    if "segment" in granularities and form == "verbose_json":
        body["segments"] = [_segment(number, one) for number, one in enumerate(found.passages)]
    if "word" in granularities:
        body["words"] = [
            {"word": word.text, "start": round(word.start_s, 3), "end": round(word.end_s, 3)}
            for passage in found.passages
            for word in passage.words
        ]
    return body


def _segment(number: int, passage: Passage) -> dict[str, Any]:
    return {
        "id": number,
        "seek": int(passage.start_s * _FRAMES_PER_S),
        "start": round(passage.start_s, 3),
        "end": round(passage.end_s, 3),
        "text": passage.text,
        "tokens": list(passage.tokens),
        "temperature": passage.temperature,
        # What an engine does not know is given as what says nothing.
        "avg_logprob": 0.0 if passage.avg_logprob is None else round(passage.avg_logprob, 4),
        "compression_ratio": round(passage.compression_ratio, 4),
        "no_speech_prob": 0.0 if passage.no_speech_prob is None else passage.no_speech_prob,
    }


def _spoken_by(found: Transcript) -> list[dict[str, Any]]:
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{number}",
            "start": round(passage.start_s, 3),
            "end": round(passage.end_s, 3),
            "text": passage.text,
            "speaker": speaker,
        }
        for number, (passage, speaker) in enumerate(
            zip(found.passages, found.speakers, strict=True)
        )
    ]


def with_speakers(found: Transcript) -> Transcript:
    """Return a transcript whose passages say who speaks, before what is said."""
    passages = [
        replace(passage, text=f"{speaker}: {passage.text}")
        for passage, speaker in zip(found.passages, found.speakers, strict=True)
    ]
    return replace(found, passages=passages)


def subtitles(found: Transcript, form: Literal["srt", "vtt"]) -> str:
    """Return SubRip or WebVTT.

    A passage that ends where it begins is shown for a millisecond at least, and none ends after the
    next has begun: players drop such cues, or show two at once.
    """
    write = _CUES[form]
    cues = []
    shown = [passage for passage in found.passages if passage.text]
    for number, passage in enumerate(shown):
        start = _ms(passage.start_s)
        stop = _ms(passage.end_s)
        if number + 1 < len(shown):
            stop = min(stop, max(_ms(shown[number + 1].start_s), start + 1))
        cues.append(write(number + 1, start, max(stop, start + 1), passage.text))
    head = "WEBVTT\n\n" if form == "vtt" else ""
    return head + "\n".join(cues)


def _srt(number: int, start: int, stop: int, text: str) -> str:
    return f"{number}\n{_time(start, ',')} --> {_time(stop, ',')}\n{_lines(text)}\n"


def _vtt(number: int, start: int, stop: int, text: str) -> str:
    del number
    # An arrow would be a timing line, and angle brackets are markup.
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{_time(start, '.')} --> {_time(stop, '.')}\n{_lines(text)}\n"


_CUES: Mapping[str, Callable[[int, int, int, str], str]] = {"srt": _srt, "vtt": _vtt}


def _lines(text: str) -> str:
    # An empty line ends a cue.
    return "\n".join(line for line in (part.strip() for part in text.splitlines()) if line)


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 0)


def _time(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{ms:03d}"
