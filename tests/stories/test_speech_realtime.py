"""Speech is read while it is spoken, by OpenAI's own client and by a bare websocket."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import soxr
import urllib3
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from holdfast.media import Waveform, read_audio
from tests.support.speaking import SpeechService, plain, speech_service
from tests.support.voices import speak

SPOKEN = ("he told me the story of his life", "the children were playing in the garden")
PREFIX = "conversation.item.input_audio_transcription"
BLOCK = 4_800  # a fifth of a second at 24 kHz


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechService]:
    with speech_service(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Waveform:
    """Two sentences with pauses, at 16 kHz."""
    folder = tmp_path_factory.mktemp("line")
    pause = np.zeros(16_000, np.float32)
    parts = [
        part for text in SPOKEN for part in (read_audio(speak(folder, "flite:rms", text)), pause)
    ]
    return np.concatenate([pause, *parts])


def pcm(line: Waveform, rate_hz: int = 24_000) -> bytes:
    samples = soxr.resample(line, 16_000, rate_hz)
    return (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()


def appended(content: bytes, block: int = 2 * BLOCK) -> list[str]:
    return [
        json.dumps({
            "type": "input_audio_buffer.append",
            "audio": base64.b64encode(content[start : start + block]).decode(),
        })
        for start in range(0, len(content), block)
    ]  # fmt: skip


def talk(
    url: str, sent: list[str], until: Callable[[list[dict[str, Any]]], bool], **options: Any
) -> list[dict[str, Any]]:
    """Send events over a bare websocket; return what comes back until that is enough."""

    async def run() -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        address = url.replace("http", "ws", 1) + "/v1/realtime?intent=transcription"
        async with asyncio.timeout(60), connect(address, **options) as socket:
            for text in sent:
                await socket.send(text)
            async for message in socket:
                told.append(json.loads(message))
                if not re.search(r'"rate": (?!24000)', str(message)):  # OpenAI's own knows this one
                    TypeAdapter(RealtimeServerEvent).validate_python(told[-1])
                if until(told):
                    return told
        return told

    return asyncio.run(run())


def of(told: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in told if event["type"] == kind]


def completed(number: int) -> Callable[[list[dict[str, Any]]], bool]:
    return lambda told: len(of(told, f"{PREFIX}.completed")) == number


def updated(**values: Any) -> str:
    session = {"type": "transcription", "audio": {"input": values}}
    return json.dumps({"type": "session.update", "session": session})


def test_openais_client_hears_turns_and_reads_words_before_they_end(
    service: SpeechService, line: Waveform
) -> None:
    content = pcm(line)

    async def run() -> list[Any]:
        client = AsyncOpenAI(base_url=f"{service.url}/v1", api_key="none")
        told = []
        asked: Any = {"intent": "transcription"}
        async with (
            asyncio.timeout(60),
            client.realtime.connect(model="whisper-1", extra_query=asked) as connection,
        ):
            await connection.session.update(session={
                "type": "transcription",
                "audio": {"input": {
                    "transcription": {"model": "whisper-1", "language": "en"},
                    "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
                }},
            })  # fmt: skip

            async def send() -> None:
                for start in range(0, len(content), 2 * BLOCK):
                    part = base64.b64encode(content[start : start + 2 * BLOCK]).decode()
                    await connection.input_audio_buffer.append(audio=part)
                    await asyncio.sleep(0.15)

            sending = asyncio.create_task(send())
            async for event in connection:
                told.append(event)
                if [each.type for each in told].count(f"{PREFIX}.completed") == 2:
                    break
            await sending
        await client.close()
        return told

    told = asyncio.run(run())
    kinds = [event.type for event in told]
    assert kinds[:2] == ["session.created", "session.updated"]
    items = [event.item_id for event in told if event.type == "input_audio_buffer.committed"]
    for item, text in zip(items, SPOKEN, strict=True):
        own = [event for event in told if getattr(event, "item_id", "") == item]
        (done,) = [event for event in own if event.type == f"{PREFIX}.completed"]
        deltas = [event.delta for event in own if event.type == f"{PREFIX}.delta"]
        assert jiwer.wer(plain(text), done.transcript) <= 0.3
        assert done.transcript.startswith("".join(deltas)[:5])
        assert own[0].type == "input_audio_buffer.speech_started"
    before_end = kinds.index("input_audio_buffer.speech_stopped")
    assert f"{PREFIX}.delta" in kinds[:before_end] or kinds.count(f"{PREFIX}.delta") >= 2


def test_a_line_that_is_sent_at_once_is_heard_as_one_that_is_spoken(
    service: SpeechService, line: Waveform
) -> None:
    told = talk(service.url, appended(pcm(line), 10 * BLOCK), completed(2))
    texts = [event["transcript"] for event in of(told, f"{PREFIX}.completed")]
    assert jiwer.wer([plain(text) for text in SPOKEN], texts) <= 0.2
    committed = of(told, "input_audio_buffer.committed")
    assert committed[1]["previous_item_id"] == committed[0]["item_id"]
    starts = [event["audio_start_ms"] for event in of(told, "input_audio_buffer.speech_started")]
    stops = [event["audio_end_ms"] for event in of(told, "input_audio_buffer.speech_stopped")]
    assert 900 < starts[0] < 1200
    assert starts[0] < stops[0] < starts[1] < stops[1]
    assert len({event["event_id"] for event in told}) == len(told)


def test_the_client_may_say_when_a_turn_ends(service: SpeechService, line: Waveform) -> None:
    commit = json.dumps({"type": "input_audio_buffer.commit"})
    sent = [updated(turn_detection=None), *appended(pcm(line)), commit, commit]
    told = talk(service.url, sent, lambda told: completed(1)(told) and bool(of(told, "error")))
    (text,) = [event["transcript"] for event in of(told, f"{PREFIX}.completed")]
    assert jiwer.wer(plain(" ".join(SPOKEN)), text) <= 0.3
    assert not of(told, "input_audio_buffer.speech_started")
    assert "nothing to commit" in of(told, "error")[0]["error"]["message"]


@pytest.mark.parametrize("code", ["audio/pcmu", "audio/pcma", "audio/pcm"])
def test_a_telephones_sound_is_understood(
    service: SpeechService, line: Waveform, code: str
) -> None:
    narrow = pcm(line, 8_000)
    form: dict[str, Any] = {"type": code}
    if code == "audio/pcm":
        content, form["rate"] = narrow, 8_000
    else:
        content = _by_ffmpeg(narrow, code)
    told = talk(service.url, [updated(format=form), *appended(content, BLOCK)], completed(2))
    texts = " ".join(event["transcript"] for event in of(told, f"{PREFIX}.completed"))
    assert jiwer.wer(plain(" ".join(SPOKEN)), texts) <= 0.5


def _by_ffmpeg(samples: bytes, code: str) -> bytes:
    """Return 16-bit samples at 8 kHz as another program writes them for telephones."""
    import subprocess

    law = {"audio/pcmu": "mulaw", "audio/pcma": "alaw"}[code]
    command = ["ffmpeg", "-loglevel", "error", "-f", "s16le", "-ar", "8000", "-ac", "1", "-i", "-",
               "-f", law, "-"]  # fmt: skip
    return subprocess.run(command, input=samples, check=True, capture_output=True).stdout


def test_silence_is_no_turn_and_what_is_cleared_is_not_read(
    service: SpeechService, line: Waveform
) -> None:
    silence = pcm(np.zeros(32_000, np.float32))
    clear = json.dumps({"type": "input_audio_buffer.clear"})
    half = pcm(line[:32_000])
    sent = [*appended(silence), *appended(half), clear, *appended(silence), clear]
    told = talk(service.url, sent, lambda told: len(of(told, "input_audio_buffer.cleared")) == 2)
    assert not of(told, "input_audio_buffer.committed")


WRONG: dict[str, tuple[str, str]] = {
    "no JSON": ("hello", "this is no event"),
    "an array": ("[1]", "this is no event"),
    "an unknown event": (json.dumps({"type": "response.create", "event_id": "e1"}), "no event"),
    "no base64": (json.dumps({"type": "input_audio_buffer.append", "audio": "***"}), "base64"),
    "no sound": (json.dumps({"type": "input_audio_buffer.append"}), "base64"),
    "another kind of session": (
        json.dumps({"type": "session.update", "session": {"type": "realtime"}}), "session",
    ),
    "another format": (updated(format={"type": "audio/mp3"}), "session"),
    "a threshold that is none": (updated(turn_detection={"threshold": 7}), "threshold"),
    "a telephone of 48 kHz": (updated(format={"type": "audio/pcma", "rate": 48_000}), "8000"),
    "a threshold in words": (updated(turn_detection={"threshold": "high"}), "threshold"),
    "a truth for a number": (updated(turn_detection={"silence_duration_ms": True}), "silence"),
    "no object": (updated(turn_detection=5), "to be an object"),
    "no session": (json.dumps({"type": "session.update"}), "to be an object"),
    "another model": (updated(transcription={"model": "kokoro"}), "kokoro"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_told_and_the_session_goes_on(service: SpeechService, wrong: str) -> None:
    sent, told_of = WRONG[wrong]
    good = updated(transcription={"language": "en"})
    told = talk(service.url, [sent, good], lambda told: bool(of(told, "session.updated")))
    (error,) = of(told, "error")
    assert told_of in error["error"]["message"]
    assert error["error"]["code"] in {"option-invalid", "unknown-model"}
    if wrong == "an unknown event":
        assert error["error"]["event_id"] == "e1"


def test_a_language_that_cannot_be_read_is_refused_and_what_was_in_force_stays(
    service: SpeechService, line: Waveform
) -> None:
    sent = [updated(transcription={"language": "de"}), *appended(pcm(line))]
    told = talk(service.url, sent, completed(2))
    (error,) = of(told, "error")
    assert "'de' cannot be read" in error["error"]["message"]


def test_what_is_said_stays_heard_when_the_session_changes_in_its_midst(
    service: SpeechService, line: Waveform
) -> None:
    whole, commit = pcm(line), json.dumps({"type": "input_audio_buffer.commit"})
    half = 2 * round(1.6 * 24_000)
    plain_told = talk(
        service.url, [updated(turn_detection=None), *appended(whole), commit], completed(1)
    )
    (expected,) = of(plain_told, f"{PREFIX}.completed")
    for change in (
        updated(turn_detection=None),
        updated(format={"type": "audio/pcm", "rate": 48_000}),
    ):
        rest = whole[half:] if "48000" not in change else pcm(line[round(1.6 * 16_000) :], 48_000)
        last = [commit] if "null" in change else []
        sent = [*appended(whole[:half]), change, *appended(rest), *last]
        told = talk(service.url, sent, completed(1 if last else 2))
        text = " ".join(event["transcript"] for event in of(told, f"{PREFIX}.completed"))
        assert jiwer.wer(plain(" ".join(SPOKEN)), text) <= 0.3, text
        starts = [e["audio_start_ms"] for e in of(told, "input_audio_buffer.speech_started")]
        assert starts == sorted(starts)
        if last:
            seconds = of(told, f"{PREFIX}.completed")[0]["usage"]["seconds"]
            assert seconds == pytest.approx(expected["usage"]["seconds"], abs=1.2)


def test_no_sound_is_in_two_turns(service: SpeechService, line: Waveform) -> None:
    commit = json.dumps({"type": "input_audio_buffer.commit"})
    short = {"type": "server_vad", "silence_duration_ms": 300}
    # One sentence and the silence after it; then all that is left is committed.
    one = line[: round(4.5 * 16_000)]
    sent = [updated(turn_detection=short), *appended(pcm(one)), commit]
    told = talk(service.url, sent, completed(2))
    first, rest = of(told, f"{PREFIX}.completed")
    assert first["transcript"]
    assert rest["transcript"] == ""
    assert first["usage"]["seconds"] + rest["usage"]["seconds"] <= len(one) / 16_000 + 0.1
    # Edges that are longer than the pauses reach into nothing that was read already.
    wide = {"type": "server_vad", "silence_duration_ms": 100, "prefix_padding_ms": 2000}
    told = talk(service.url, [updated(turn_detection=wide), *appended(pcm(line))], completed(2))
    turns = of(told, f"{PREFIX}.completed")
    assert sum(turn["usage"]["seconds"] for turn in turns) <= len(line) / 16_000 + 0.1


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 24_000, 48_000])
def test_a_turn_that_is_committed_is_all_that_was_sent(
    service: SpeechService, line: Waveform, rate_hz: int
) -> None:
    commit = json.dumps({"type": "input_audio_buffer.commit"})
    form = {"type": "audio/pcm", "rate": rate_hz}
    second = pcm(line[16_000:32_000], rate_hz)
    sent = [updated(turn_detection=None, format=form)]
    for _ in range(3):
        sent += [*appended(second + b"\1"), commit]  # half a sample is no part of the next turn
    sent += [*appended(second[: rate_hz // 5]), commit]  # a tenth of a second is enough
    told = talk(service.url, sent, completed(4))
    assert not of(told, "error")
    seconds = [event["usage"]["seconds"] for event in of(told, f"{PREFIX}.completed")]
    assert seconds == pytest.approx([1.0, 1.0, 1.0, 0.1], abs=0.002)


def test_the_session_tells_what_is_in_force(service: SpeechService) -> None:
    told = talk(service.url, [updated(turn_detection={"threshold": 0.4})],
                lambda told: bool(of(told, "session.updated")))  # fmt: skip
    for event, threshold in zip(told, (0.5, 0.4), strict=True):
        said = event["session"]["audio"]["input"]
        assert said["format"] == {"type": "audio/pcm", "rate": 24_000}
        assert said["transcription"]["model"] == "speech-to-text"
        assert said["turn_detection"] == {
            "type": "server_vad", "threshold": threshold, "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
        }  # fmt: skip


@pytest.mark.parametrize(
    "half",
    [
        {"event_id": "\ud800", "type": "x"},
        {"type": "session.update", "session": {"type": "transcription", "audio": {
            "input": {"transcription": {"prompt": "\ud800"}}}}},
    ],
    ids=["event_id", "prompt"],
)  # fmt: skip
def test_half_a_character_is_told_and_the_session_goes_on(
    service: SpeechService, line: Waveform, half: dict[str, Any]
) -> None:
    told = talk(service.url, [json.dumps(half), *appended(pcm(line))], completed(2))
    (error,) = of(told, "error")
    assert "half a character" in error["error"]["message"]


def test_a_client_that_leaves_leaves_nothing(service: SpeechService, line: Waveform) -> None:
    for _ in range(3):
        talk(service.url, appended(pcm(line)), lambda told: len(told) == 4)
    models = service.services.supervisor.statuses()
    deadline = time.monotonic() + 20
    while any(model.running or model.waiting for model in models):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        models = service.services.supervisor.statuses()


def test_who_sends_faster_than_is_read_is_kept_waiting(
    service: SpeechService, line: Waveform
) -> None:
    """What a client cannot get rid of is not kept by the service either."""
    content = appended(pcm(np.tile(line, 10)), 20 * BLOCK)

    async def run() -> int:
        address = service.url.replace("http", "ws", 1) + "/v1/realtime"
        sent = 0
        async with connect(address, max_queue=None, close_timeout=1) as socket:
            try:
                async with asyncio.timeout(5):
                    for text in content * 20:
                        await socket.send(text)
                        sent += len(text)
            except TimeoutError:
                return sent
        raise AssertionError("eleven minutes of speech were taken within five seconds")

    # The system's own buffers hold some megabytes.
    assert asyncio.run(run()) < 40_000_000


def test_without_the_key_nobody_is_heard(tmp_path: Path) -> None:
    with speech_service(tmp_path, {"HOLDFAST_API_KEY": "a-key"}) as running:

        def first(**options: Any) -> str:
            return str(talk(running.url, [], lambda _: True, **options)[0]["type"])

        with pytest.raises(InvalidStatus) as refused:
            first()
        assert refused.value.response.status_code in {401, 403}
        assert first(additional_headers={"Authorization": "Bearer a-key"}) == "session.created"
        by_protocol: Any = ["realtime", "openai-insecure-api-key.a-key"]
        assert first(subprotocols=by_protocol) == "session.created"
        with pytest.raises(InvalidStatus):
            first(subprotocols=["realtime", "openai-insecure-api-key.another"])


def test_another_sites_page_is_not_heard(service: SpeechService) -> None:
    with pytest.raises(InvalidStatus) as refused:
        talk(service.url, [], lambda _: True, origin="https://evil.example")
    assert refused.value.response.status_code == 403


def test_a_session_ends_with_the_service_and_is_seen_in_its_numbers(tmp_path: Path) -> None:
    async def stay(url: str, told: list[dict[str, Any]]) -> int:
        address = url.replace("http", "ws", 1) + "/v1/realtime"
        async with asyncio.timeout(60), connect(address) as socket:
            try:
                while True:
                    told.append(json.loads(await socket.recv()))
                    if told[-1]["type"] == "session.created":
                        ending.set()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 0

    import threading

    ending, told = threading.Event(), list[dict[str, Any]]()
    codes: list[int] = []
    with speech_service(tmp_path) as running:
        thread = threading.Thread(target=lambda: codes.append(asyncio.run(stay(running.url, told))))
        thread.start()
        assert ending.wait(30)
        numbers = urllib3.request("GET", f"{running.url}/metrics").data.decode()
    thread.join(30)
    assert codes == [1012]
    assert told[-1]["error"]["code"] == "shutting-down"
    assert "holdfast_requests_total" in numbers


def test_neither_key_nor_speech_is_in_a_log_however_much_is_told(
    line: Waveform, tmp_path: Path
) -> None:
    key, log = "s3cret-key", tmp_path / "log"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "HOLDFAST_API_KEY": key}
    command = [sys.executable, "-m", "holdfast", "-v", "up", "--json", "--port", "0"]
    with log.open("w") as said, subprocess.Popen(
        command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=said, text=True
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            deadline = time.monotonic() + 90
            while urllib3.request("GET", f"{url}/ready", retries=False).status != 200:
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.1)
            for options in (
                {"additional_headers": {"Authorization": f"Bearer {key}"}},
                {"additional_headers": {"X-Api-Key": key}},
                {"subprotocols": ["realtime", f"openai-insecure-api-key.{key}"]},
            ):
                talk(url, appended(pcm(line)), completed(1), **options)
            with pytest.raises(InvalidStatus):
                talk(url, [], lambda _: True)
        finally:
            process.terminate()
            process.wait(30)
    told = log.read_text()
    assert "GET /v1/realtime" in told
    assert " ERROR " not in told  # a refusal is none
    assert told.count("connection rejected") == 1  # each line once
    assert "leaked" not in told
    assert key not in told
    assert "input_audio_buffer" not in told
    assert SPOKEN[0] not in told
