"""Transcripts in every form, read by other people's readers."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import srt
import webvtt
from hypothesis import given
from hypothesis import strategies as st
from openai.types.audio import TranscriptionDiarized, TranscriptionVerbose
from openai.types.audio.transcription import Transcription

from holdfast.speech import (
    LANGUAGES,
    OptionInvalid,
    Passage,
    Transcript,
    Word,
    language_code,
    subtitles,
    transcript_json,
)


def transcript(*passages: Passage, **more: Any) -> Transcript:
    about = {"task": "transcribe", "language": "en", "duration_s": 12.3456}
    return Transcript(passages=passages, **{**about, **more})


HELLO = Passage(start_s=0.0, end_s=1.25, text="Hello there.", tokens=(1, 2), avg_logprob=-0.25,
                words=(Word("Hello", 0.0, 0.5, 0.9), Word("there.", 0.6, 1.25, 0.8)))  # fmt: skip
ANGLES = Passage(start_s=3661.5, end_s=3661.5, text="a < b && b --> c\n\n<i>markup</i>")


def test_the_forms_are_openais() -> None:
    found = transcript(HELLO, ANGLES)
    plain = Transcription.model_validate(transcript_json(found, "json"), strict=True)
    assert plain.text == "Hello there. a < b && b --> c\n\n<i>markup</i>"
    body = transcript_json(found, "verbose_json")
    assert "words" not in body
    verbose = TranscriptionVerbose.model_validate(body, strict=True)
    assert (verbose.language, verbose.duration) == ("english", 12.346)
    assert verbose.segments is not None
    assert verbose.segments[1].seek == 366_150
    words = transcript_json(found, "verbose_json", ["word"])
    assert "segments" not in words
    assert [each["word"] for each in words["words"]] == ["Hello", "there."]
    both = transcript_json(found, "verbose_json", ["word", "segment"])
    assert {"words", "segments"} <= set(both)
    spoken = transcript_json(
        transcript(HELLO, ANGLES, speakers=["ada", "unknown"]), "diarized_json"
    )
    diarized = TranscriptionDiarized.model_validate(spoken, strict=True)
    assert [each.speaker for each in diarized.segments] == ["ada", "unknown"]
    worded = transcript_json(transcript(HELLO, speakers=["ada"]), "diarized_json", ["word"])
    assert [each["word"] for each in worded["words"]] == ["Hello", "there."]
    assert worded["segments"]


def test_silence_is_an_empty_text_in_every_form() -> None:
    nothing = transcript()
    assert transcript_json(nothing, "json")["text"] == ""
    assert transcript_json(nothing, "verbose_json")["segments"] == []
    assert subtitles(nothing, "srt") == ""
    assert list(webvtt.from_string(subtitles(nothing, "vtt"))) == []


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.just("\n"))
TIMES = st.floats(0, 400_000)


@given(st.lists(st.tuples(TIMES, st.floats(0, 30), TEXTS), max_size=6))
def test_subtitles_are_read_back_by_others_whatever_was_said(
    said: list[tuple[float, float, str]],
) -> None:
    passages = [
        Passage(start_s=start, end_s=start + length, text=text.strip())
        for start, length, text in sorted(said)
    ]
    found = transcript(*passages)
    shown = [passage for passage in passages if passage.text]
    cues = list(srt.parse(subtitles(found, "srt")))
    captions = list(webvtt.from_string(subtitles(found, "vtt")))
    assert len(cues) == len(captions) == len(shown)
    for cue, caption, passage in zip(cues, captions, shown, strict=True):
        assert cue.start < cue.end
        assert cue.start.total_seconds() == pytest.approx(passage.start_s, abs=6e-4)
        assert caption.start_in_seconds == pytest.approx(passage.start_s, abs=1)
        words = "".join(passage.text.split())
        assert "".join(cue.content.split()) == words
    for before, after in itertools.pairwise(cues):
        assert before.end <= after.start or before.start == after.start


def test_languages_are_known_by_code_and_name() -> None:
    known = list(LANGUAGES)
    for named, code in (("en", "en"), ("German", "de"), ("pt-BR", "pt"), ("zh_TW", "zh"),
                        ("nb", "no"), ("Haitian Creole", "ht")):  # fmt: skip
        assert language_code(named, known) == code
    for named in ("", "klingon", "x" * 99, "../en"):
        with pytest.raises(OptionInvalid) as refused:
            language_code(named, known)
        assert refused.value.facts["param"] == "language"
    with pytest.raises(OptionInvalid, match="cannot be read"):
        language_code("de", ["en"])
