"""The client reads recordings at a real service: the starter set, whose reader knows English."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import srt
import webvtt

from holdfast.client import AsyncClient, Client, ServiceError, Transcript, TranscriptPiece
from holdfast.config import ServiceSettings, Settings
from holdfast.server import ServerSettings, running_server
from holdfast.speech import sample_recording
from holdfast.wiring import STT_MODEL, VAD_MODEL, VOICE_MODEL, configured_services

SPOKEN = [(0.48, 2.21), (4.13, 6.72)]  # where the sample's README says that somebody speaks


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home = tmp_path_factory.mktemp("home")
    env = {"HOLDFAST_HOME": str(home), "HOME": str(home)}
    service = ServiceSettings(data=home / "data")
    models = (VAD_MODEL, VOICE_MODEL, STT_MODEL)
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
