"""The client speaks and reads at a real service: the starter set, which knows English."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import srt
import webvtt

from holdfast.client import AsyncClient, Client, ServiceError, Transcript, TranscriptPiece
from holdfast.config import ServiceSettings, Settings
from holdfast.media import SOUND_FORMS, SoundForm, read_audio
from holdfast.server import ServerSettings, running_server
from holdfast.speech import sample_recording
from holdfast.wiring import STT_MODEL, TTS_MODEL, VAD_MODEL, VOICE_MODEL, configured_services

SPOKEN = [(0.48, 2.21), (4.13, 6.72)]  # where the sample's README says that somebody speaks


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    env = {"HOLDFAST_HOME": str(home), "HOME": str(home)}
    service = ServiceSettings(documents_processes=0, data=home / "data")
    models = (VAD_MODEL, VOICE_MODEL, STT_MODEL, TTS_MODEL)
    services = configured_services(Settings.from_env(env), service, env, only=models)
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(120)
        yield running.url


def check(found: Transcript) -> None:
    assert found.text.startswith("go forward ten meters")
    assert found.text == " ".join(segment.text for segment in found.segments)
    assert found.duration_s == pytest.approx(6.876, abs=0.01)
    times = [time for segment in found.segments for time in (segment.start_s, segment.end_s)]
    assert times == sorted(times)
    assert (times[0], times[-1]) == pytest.approx((SPOKEN[0][0], SPOKEN[-1][1]), abs=0.3)
    for word in found.words:
        assert any(start - 0.2 <= word.start_s < word.end_s <= end + 0.2 for start, end in SPOKEN)


def test_a_recording_is_read_in_every_form(url: str) -> None:
    recording = sample_recording()
    with Client(url) as client:
        for audio in (recording, recording.read_bytes(), io.BytesIO(recording.read_bytes())):
            found = client.transcribe(audio)
            check(found)
            assert (found.language, found.words) == ("english", [])
        worded = client.transcribe(recording, model=STT_MODEL, language="en", words=True)
        check(worded)
        assert [word.text for word in worded.words] == worded.text.split()
        assert [word.start_s for word in worded.words] == sorted(
            word.start_s for word in worded.words
        )
        named = client.transcribe(recording, speakers=True)
        check(named)
        assert all(segment.speaker for segment in named.segments)

        assert client.transcribe_text(recording).strip() == found.text
        cues = list(srt.parse(client.transcribe_text(recording, "srt")))
        captions = webvtt.from_string(client.transcribe_text(recording, "vtt")).captions
        texts = [segment.text for segment in found.segments]
        assert [cue.content for cue in cues] == [caption.text for caption in captions] == texts


def test_a_recording_is_read_as_it_is_heard(url: str) -> None:
    with Client(url) as client:
        *heard, last = client.transcribe_stream(sample_recording())
        assert last == TranscriptPiece("done", "".join(piece.text for piece in heard))
        assert {piece.kind for piece in heard} == {"delta"}
        assert last.text.startswith("go forward ten meters")
        named = list(client.transcribe_stream(sample_recording(), speakers=True))
    assert [piece.kind for piece in named] == ["delta", "segment"] * (len(named) // 2) + ["done"]
    segments = [piece.segment for piece in named if piece.segment is not None]
    assert all(segment.speaker for segment in segments)
    assert segments[0].text.startswith("go forward ten meters")


def test_what_cannot_be_read_is_refused_in_the_services_words(url: str, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.wav"
    rubbish.write_bytes(b"no sound" * 99)
    with Client(url, patience_s=0) as client:
        with pytest.raises(ServiceError) as caught:
            client.transcribe(rubbish)
        assert caught.value.service_code == "not-audio"
        with pytest.raises(ServiceError) as caught:
            list(client.transcribe_stream(rubbish))
        assert caught.value.service_code == "not-audio"
        with pytest.raises(ServiceError) as caught:
            client.translate(sample_recording())
        assert (caught.value.status, caught.value.service_code) == (422, "option-invalid")
        with pytest.raises(ServiceError) as caught:
            client.transcribe(sample_recording(), model="gpt-9")
        assert (caught.value.status, caught.value.facts["param"]) == (404, "model")
        with pytest.raises(ServiceError) as caught:
            client.transcribe(sample_recording(), language="xx")
        assert caught.value.status == 422


def test_many_recordings_are_read_at_a_time_awaited(url: str) -> None:
    async def ask() -> None:
        async with AsyncClient(url) as client:
            for found in await asyncio.gather(
                *(client.transcribe(sample_recording(), words=True) for _ in range(4))
            ):
                check(found)
            streamed = [piece async for piece in client.transcribe_stream(sample_recording())]
            assert streamed[-1].text == (await client.transcribe_text(sample_recording())).strip()
            with pytest.raises(ServiceError):
                await client.translate(sample_recording())

    asyncio.run(ask())


# -- speaking


@pytest.mark.parametrize("form", SOUND_FORMS)
def test_a_text_is_spoken_in_every_form(url: str, form: SoundForm) -> None:
    text = "Seven boats were painted blue. One of them carried a flag."
    with Client(url) as client:
        whole = client.speak(text, response_format=form)
        pieces = list(client.speak_stream(text, response_format=form))
    assert len(pieces) > 1
    joined = b"".join(pieces)
    if form == "pcm":
        assert 2 * 24_000 < len(whole) / 2 < 8 * 24_000
        # espeak-ng's own sound differs by some samples from one time to the next.
        assert len(joined) == pytest.approx(len(whole), rel=0.01)
        return
    lengths = [len(read_audio(io.BytesIO(sound))) / 16_000 for sound in (whole, joined)]
    assert 2 < lengths[0] < 8
    assert lengths[0] == pytest.approx(lengths[1], abs=0.1)
    if form == "wav":  # a library that believes what the head says
        with wave.open(io.BytesIO(whole)) as file:
            assert file.getnframes() / file.getframerate() == pytest.approx(lengths[0], abs=0.01)


def test_what_is_spoken_is_heard_as_speech(url: str) -> None:
    with Client(url) as client:
        (model,) = [each for each in client.models() if each.id == TTS_MODEL]
        voices = [voice["id"] for voice in model.raw["about"]["voices"]]
        said = client.speak("The library opens at nine.", voice=voices[-1], speed=0.8)
        (first, *_) = client.find_speech(said)
        assert first.stop_ms - first.start_ms > 500
        assert client.transcribe(said).text
        fast = client.speak("The library opens at nine.", voice=voices[-1], speed=2)
        assert len(fast) < 0.75 * len(said)


@pytest.mark.parametrize(
    ("text", "options", "param"),
    [
        ("", {}, "input"),
        ("a" * 5000, {}, "input"),
        ("Hello.", {"voice": "nobody"}, "voice"),
        ("Hello.", {"speed": 9.0}, "speed"),
        ("Hello.", {"model": "gpt-9"}, "model"),
    ],
)
def test_what_cannot_be_spoken_is_refused_in_the_services_words(
    url: str, text: str, options: dict[str, Any], param: str
) -> None:
    with Client(url, patience_s=0) as client:
        for ask in (client.speak, lambda *a, **o: list(client.speak_stream(*a, **o))):
            with pytest.raises(ServiceError) as caught:
                ask(text, **options)
            assert caught.value.status in {404, 422}
            assert caught.value.facts["param"] == param


def test_many_texts_are_spoken_at_a_time_awaited(url: str) -> None:
    async def ask() -> None:
        async with AsyncClient(url) as client:
            said = await asyncio.gather(*(client.speak(f"Number {n}.") for n in range(4)))
            assert all(sound[:4] == b"RIFF" for sound in said)
            pieces = [piece async for piece in client.speak_stream("One. Two.")]
            assert b"".join(pieces)[:4] == b"RIFF"

    asyncio.run(ask())
