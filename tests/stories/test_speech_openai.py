"""OpenAI's own client, unchanged, at the service; other people's parsers read the answers."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import srt
import urllib3
import webvtt
from openai import (
    AsyncOpenAI,
    BadRequestError,
    NotFoundError,
    OpenAI,
    UnprocessableEntityError,
)
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionStreamEvent,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
    TranscriptionVerbose,
)
from pydantic import TypeAdapter

from holdfast.media import read_audio
from holdfast.speech import sample_recording
from tests.support.speaking import SpeechService, speech_service
from tests.support.voices import SENTENCES, mixed, speak

FORMS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
TEXT = "Good morning. The second sentence is a little longer. And this is the last one."


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechService]:
    with speech_service(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture
def client(service: SpeechService) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, a sentence each."""
    folder = tmp_path_factory.mktemp("two")
    parts = (speak(folder, "flite:rms", SENTENCES[0]), speak(folder, "flite:slt", SENTENCES[1]))
    return mixed(folder, *parts)


def validated(kind: Any, content: Any) -> None:
    """Check an answer against the client's published types, strictly: its own parsing is not."""
    TypeAdapter(kind).validate_python(content)


# --- speaking ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_text_is_spoken_in_every_form(client: OpenAI, form: Any, tmp_path: Path) -> None:
    path = tmp_path / f"said.{form}"
    answer = client.audio.speech.create(
        model="tts-1", voice="alloy", input=TEXT, response_format=form
    )
    answer.write_to_file(path)
    if form == "pcm":
        seconds = path.stat().st_size / 2 / 24_000
    else:
        entries = "stream=codec_name,channels:format=format_name"
        probe = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "json", str(path)]
        shown = json.loads(subprocess.run(probe, check=True, capture_output=True).stdout)
        assert shown["streams"][0]["channels"] == 1
        assert form in {"wav": "wav", "opus": "opus"}.get(form, shown["format"]["format_name"])
        seconds = len(read_audio(path)) / 16_000
    assert 3.5 < seconds < 8
    if form in ("wav", "flac"):
        samples, rate = soundfile.read(path)
        assert rate == 22_050
        assert np.abs(samples).max() > 0.1


def test_the_first_sentence_is_heard_before_the_last_is_made(client: OpenAI) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="pcm"
    ) as answer:
        pieces = [len(piece) for piece in answer.iter_bytes()]
    assert len(pieces) >= 3
    whole = client.audio.speech.create(
        model="tts-1", voice="alloy", input=TEXT, response_format="pcm"
    )
    # The voice is not the same to the sample from one time to the next.
    assert sum(pieces) == pytest.approx(len(whole.content), rel=0.01)


def test_sound_comes_as_events_where_that_is_asked_for(service: SpeechService) -> None:
    asked = {
        "input": TEXT, "model": "gpt-4o-mini-tts", "voice": {"id": "en-us"},
        "stream_format": "sse", "response_format": "wav", "instructions": "cheerfully",
    }  # fmt: skip
    answer = urllib3.request("POST", f"{service.url}/v1/audio/speech", json=asked, timeout=60)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line.removeprefix("data: ")) for line in answer.data.decode().split("\n\n")
              if line]  # fmt: skip
    assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
    sound = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert len(events) > 3
    assert len(read_audio(io.BytesIO(sound), whole=False)) > 16_000 * 3
    usage = events[-1]["usage"]
    assert events[-1]["type"] == "speech.audio.done"
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]
    assert usage["input_tokens"] == len(TEXT)


def test_speed_and_voice_are_heard(client: OpenAI) -> None:
    def seconds(**options: Any) -> float:
        given: Any = {"model": "tts-1", "voice": "alloy", "input": SENTENCES[0]} | options
        answer = client.audio.speech.create(response_format="pcm", **given)
        return len(answer.content) / 2 / 24_000

    assert seconds(speed=2.0) < 0.75 * seconds() < 0.75 * seconds(speed=0.5)
    assert seconds(voice="de") != seconds()


SPOKEN_WRONG = {
    "nothing": ({"input": " "}, UnprocessableEntityError, "option-invalid"),
    "too much": ({"input": "word " * 1000}, UnprocessableEntityError, "option-invalid"),
    "signs only": ({"input": "\u3042\u3044"}, None, None),
    "a voice of nobody": ({"voice": "nobody"}, UnprocessableEntityError, "option-invalid"),
    "another model": ({"model": "kokoro"}, NotFoundError, "unknown-model"),
    "a speed that is none": ({"speed": True}, UnprocessableEntityError, "request-invalid"),
    "too fast": ({"speed": 5}, UnprocessableEntityError, "request-invalid"),
    "another form": ({"response_format": "midi"}, UnprocessableEntityError, "request-invalid"),
    "an unknown field": ({"extra_body": {"pitch": 2}}, UnprocessableEntityError, "request-invalid"),
}


@pytest.mark.parametrize("wrong", SPOKEN_WRONG)
def test_what_cannot_be_said_is_told(client: OpenAI, wrong: str) -> None:
    changed, kind, code = SPOKEN_WRONG[wrong]
    asked: Any = {"model": "tts-1", "voice": "alloy", "input": "good morning"} | changed
    if kind is None:
        assert client.audio.speech.create(**asked).content
        return
    with pytest.raises(kind) as told:
        client.audio.speech.create(**asked)
    assert told.value.code == code
    assert told.value.message
    assert not re.search("Input|inputs|Field required|Value error", told.value.message)


def test_a_model_is_told_of_by_its_id(client: OpenAI) -> None:
    listed = client.models.list().data
    assert {"speech-to-text", "text-to-speech"} <= {model.id for model in listed}
    assert [client.models.retrieve(model.id) for model in listed] == listed
    for alias in ("whisper-1", "tts-1", "holdfast/espeak-ng"):
        assert client.models.retrieve(alias).id == alias
    with pytest.raises(NotFoundError) as told:
        client.models.retrieve("no/such-model")
    assert told.value.code == "unknown-model"


# --- reading ----------------------------------------------------------------------------------


def test_json_and_text(client: OpenAI, two: Path) -> None:
    found = client.audio.transcriptions.create(file=two, model="whisper-1")
    text: Any = client.audio.transcriptions.create(
        file=two, model="whisper-1", response_format="text"
    )
    assert isinstance(found, Transcription)
    assert found.text == text.strip()
    assert "library" in found.text
    assert found.usage is not None
    assert found.usage.type == "duration"


def test_verbose_json_has_segments_or_words_as_asked(client: OpenAI, two: Path) -> None:
    def ask(**options: Any) -> TranscriptionVerbose:
        return client.audio.transcriptions.create(
            file=two, model="whisper-1", response_format="verbose_json", **options
        )

    usual, words = ask(), ask(timestamp_granularities=["word"])
    both = ask(timestamp_granularities=["word", "segment"], language="English", temperature=0)
    assert usual.words is None
    assert words.segments is None
    assert both.segments is not None
    assert both.words is not None
    assert (both.language, both.duration) == ("english", usual.duration)
    assert " ".join(word.word for word in both.words) == both.text
    assert all(word.start <= word.end <= both.duration for word in both.words)
    assert both.text == " ".join(segment.text for segment in both.segments)
    validated(TranscriptionVerbose, usual.model_dump(mode="json", exclude_unset=True))


def test_subtitles_are_read_by_other_peoples_parsers(client: OpenAI, two: Path) -> None:
    def ask(form: Any) -> Any:
        return client.audio.transcriptions.create(file=two, model="whisper-1", response_format=form)

    shown = list(srt.parse(ask("srt")))
    cues = webvtt.from_string(ask("vtt")).captions
    assert len(shown) == len(cues) >= 1
    assert [cue.text for cue in cues] == [each.content for each in shown]
    assert cues[0].start_in_seconds == int(shown[0].start.total_seconds())


def test_turns_are_told_apart_and_strangers_are_unknown(client: OpenAI, two: Path) -> None:
    found: Any = client.audio.transcriptions.create(
        file=two, model="gpt-4o-transcribe-diarize", response_format="diarized_json",
        chunking_strategy="auto",
    )  # fmt: skip
    validated(TranscriptionDiarized, found.model_dump(mode="json", exclude_unset=True))
    assert {segment.speaker for segment in found.segments} == {"unknown"}
    assert len(found.segments) >= 2


def test_voices_that_are_sent_along_or_enrolled_are_named(
    service: SpeechService, client: OpenAI, two: Path, tmp_path: Path
) -> None:
    known = mixed(tmp_path, *(speak(tmp_path, "flite:rms", text) for text in SENTENCES[2:4]))
    sent = "data:audio/wav;base64," + base64.b64encode(known.read_bytes()).decode()

    def turns(**options: Any) -> list[str]:
        found: Any = client.audio.transcriptions.create(
            file=two, model="whisper-1", response_format="diarized_json", **options
        )
        return [segment.speaker for segment in found.segments]

    named = turns(extra_body={"known_speaker_names": ["Rob"], "known_speaker_references": [sent]})
    assert "Rob" in named[0]
    assert named[-1] == "unknown"
    gallery = service.services.voiceprint.gallery
    url = f"{service.url}/v1/voiceprint/speakers/susan"
    assert urllib3.request("PUT", url, json={"display_name": "Susan L."}).status == 200
    try:
        files = [speak(tmp_path, "flite:slt", text) for text in SENTENCES[3:6]]
        for path in files:
            done = urllib3.request(
                "POST", f"{url}/enrollments", fields={"file": (path.name, path.read_bytes())},
                timeout=60,
            )  # fmt: skip
            assert done.json()["accepted"] == 1, done.data
        assert turns()[-1] == "Susan L."
        assert "Susan L." not in turns()[0]
        assert [line["speaker"] for line in gallery.audit() if line["action"] == "name"]
    finally:
        gallery.erase("susan", "test")
    assert turns()[-1] == "unknown"


@pytest.mark.parametrize("form", ["json", "diarized_json"])
def test_a_transcript_comes_while_it_is_read(client: OpenAI, two: Path, form: Any) -> None:
    whole = client.audio.transcriptions.create(file=two, model="whisper-1")
    events: list[TranscriptionStreamEvent] = list(
        client.audio.transcriptions.create(
            file=two, model="whisper-1", stream=True, response_format=form
        )
    )
    deltas = [each for each in events if isinstance(each, TranscriptionTextDeltaEvent)]
    (done,) = [each for each in events if isinstance(each, TranscriptionTextDoneEvent)]
    segments = [each for each in events if isinstance(each, TranscriptionTextSegmentEvent)]
    assert events[-1] is done
    assert "".join(delta.delta for delta in deltas) == done.text == whole.text
    assert bool(segments) == (form == "diarized_json")
    for event in events:
        validated(TranscriptionStreamEvent, event.model_dump(mode="json", exclude_unset=True))


def test_the_asynchronous_client_reads_too(service: SpeechService, two: Path) -> None:
    async def ask() -> tuple[Any, Any]:
        async with AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none") as client:
            found = await client.audio.transcriptions.create(file=two, model="whisper-1")
            stream = await client.audio.transcriptions.create(
                file=two, model="whisper-1", stream=True
            )
            return found, [event async for event in stream][-1]

    found, last = asyncio.run(ask())
    assert isinstance(last, TranscriptionTextDoneEvent)
    assert last.text == found.text


def test_how_sure_it_is_of_each_word_is_told(client: OpenAI, two: Path) -> None:
    found: Any = client.audio.transcriptions.create(
        file=two, model="gpt-4o-transcribe", include=["logprobs"], response_format="json"
    )
    assert " ".join(each.token for each in found.logprobs) == found.text
    assert all(each.logprob <= 0 and math.isfinite(each.logprob) for each in found.logprobs)
    assert bytes(map(int, found.logprobs[0].bytes)).decode() == found.logprobs[0].token


@pytest.mark.filterwarnings("ignore:deprecated")
def test_what_the_model_cannot_do_is_told(client: OpenAI, two: Path) -> None:
    with pytest.raises(UnprocessableEntityError, match="translate"):
        client.audio.translations.create(file=two, model="whisper-1")
    with pytest.raises(UnprocessableEntityError, match="'de' cannot be read"):
        client.audio.transcriptions.create(file=two, model="whisper-1", language="de")


READ_WRONG: dict[str, Any] = {
    "another model": {"model": "whisper-99"},
    "another form": {"response_format": "docx"},
    "granularities of another form": {"timestamp_granularities": ["word"]},
    "another granularity": {
        "timestamp_granularities": ["syllable"], "response_format": "verbose_json",
    },
    "a stream of subtitles": {"response_format": "srt", "stream": True},
    "logprobs of another form": {"include": ["logprobs"], "response_format": "vtt"},
    "too hot": {"temperature": 2},
    "no number": {"extra_body": {"temperature": "warm"}},
    "another way to cut": {"extra_body": {"chunking_strategy": "sentences"}},
    "a threshold that is none": {"chunking_strategy": {"type": "server_vad", "threshold": 3}},
    "names without voices": {
        "response_format": "diarized_json", "extra_body": {"known_speaker_names": ["A"]},
    },
    "voices of another form": {
        "extra_body": {"known_speaker_names": ["A"], "known_speaker_references": ["data:,"]},
    },
    "a voice that is none": {
        "response_format": "diarized_json",
        "extra_body": {"known_speaker_names": ["A"], "known_speaker_references": ["hello"]},
    },
    "an unknown field": {"extra_body": {"beam": 5}},
}  # fmt: skip


@pytest.mark.parametrize("wrong", READ_WRONG)
def test_what_is_asked_wrongly_is_told_with_its_field(client: OpenAI, wrong: str) -> None:
    asked: Any = {"file": sample_recording(), "model": "whisper-1"} | READ_WRONG[wrong]
    with pytest.raises((UnprocessableEntityError, NotFoundError, BadRequestError)) as told:
        client.audio.transcriptions.create(**asked)
    assert told.value.code in {"option-invalid", "unknown-model", "upload-invalid"}
    assert told.value.param


@pytest.mark.parametrize("sample", ["no sound", "silence"])
def test_a_reference_without_a_voice_is_told_by_its_name(
    client: OpenAI, two: Path, tmp_path: Path, sample: str
) -> None:
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, np.zeros(32_000, np.float32), 16_000)
    content = quiet.read_bytes() if sample == "silence" else b"hello"
    sent = "data:audio/wav;base64," + base64.b64encode(content).decode()
    with pytest.raises(UnprocessableEntityError, match="Ada") as told:
        client.audio.transcriptions.create(
            file=two, model="whisper-1", response_format="diarized_json",
            extra_body={"known_speaker_names": ["Ada"], "known_speaker_references": [sent]},
        )  # fmt: skip
    assert (told.value.code, told.value.param) == ("option-invalid", "known_speaker_references")


@pytest.mark.parametrize("text", ["...", "\u200b\u200b", "\x01\x02", "?! -- ..."])
def test_a_text_without_words_is_no_sound(client: OpenAI, text: str) -> None:
    with pytest.raises(UnprocessableEntityError) as told:
        client.audio.speech.create(model="tts-1", voice="alloy", input=text)
    assert told.value.code == "text-unpronounceable"


def test_how_a_recording_is_cut_can_be_said(client: OpenAI, two: Path) -> None:
    cut: Any = {"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 300,
                "prefix_padding_ms": 100}  # fmt: skip
    found = client.audio.transcriptions.create(file=two, model="whisper-1", chunking_strategy=cut)
    assert "library" in found.text


def test_languages_and_keywords_may_be_named(client: OpenAI, two: Path) -> None:
    found = client.audio.transcriptions.create(
        file=two, model="gpt-transcribe", languages=["en"], keywords=["library", "corner"]
    )
    assert "library" in found.text
    with pytest.raises(UnprocessableEntityError, match="'fr' cannot be read"):
        client.audio.transcriptions.create(file=two, model="gpt-transcribe", languages=["fr"])
    dated: Any = "gpt-4o-mini-transcribe-2025-12-15"
    assert client.audio.transcriptions.create(file=two, model=dated).text == found.text
