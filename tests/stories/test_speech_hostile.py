"""Recordings and clients that mean no good, at the service as a person starts it.

After every one of them nothing is left: no temporary file, no work, and an innocent is answered.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json
import os
import re
import signal
import socket
import struct
import sys
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np
import pytest
import urllib3
from websockets.sync.client import connect

from holdfast.media import Waveform, read_audio
from tests.support.audio import Form, tone, write_audio
from tests.support.bombs import silent_flac
from tests.support.serving import Served, served
from tests.support.voices import speak, write_wav

pytestmark = pytest.mark.linux

READ, FOUND, SAID = (
    "/v1/audio/transcriptions", "/v1/audio/speech/timestamps", "/v1/audio/speech",
)  # fmt: skip
LIMIT_MB, LONGEST_S, QUEUE = 8, 5_400, 6
CONFIG = f"[models.speech-to-text]\nqueue_limit = {QUEUE}\n"
WORDS = "good morning"
# A process may die while it is asked, or between two questions.
DEAD = {"worker-died", "model-not-ready"}
TEXT = "The old library on the corner opens at nine in the morning. " * 60
# What decoding, listening and reading take besides what is there anyhow.
MOST_MB = 120.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    more = {
        "HOLDFAST_UPLOAD_LIMIT_MB": f"{LIMIT_MB}", "HOLDFAST_SPEECH_LONGEST_S": f"{LONGEST_S}",
    }  # fmt: skip
    with served(tmp_path_factory.mktemp("served"), CONFIG, **more) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recordings")


@pytest.fixture(scope="module")
def speech(folder: Path) -> bytes:
    """A short sentence, as WAV."""
    return speak(folder, "flite:rms", WORDS).read_bytes()


@pytest.fixture(autouse=True)
def nothing_is_left(service: Served, speech: bytes) -> Iterator[None]:
    files = service.open_files()
    yield
    service.wait_ready()
    service.wait_quiet()
    status, body = posted(service, speech, READ)
    assert (status, body["text"]) == (200, WORDS)
    assert service.left_behind() == []
    until(lambda: service.open_files() <= files + 2)  # a connection that is kept, and ours
    assert "Traceback" not in service.log.read_text()


def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def posted(service: Served, content: bytes, path: str, **fields: str) -> tuple[int, Any]:
    """Send a form as a client does that nobody taught anything better."""
    form: dict[str, Any] = {**fields, "file": ("speech", content, "application/octet-stream")}
    answer = urllib3.request(
        "POST", service.url + path, fields=form, timeout=60, retries=False
    )  # fmt: skip
    return answer.status, answer.json()


def code_of(answer: tuple[int, Any]) -> tuple[int, str]:
    assert answer[0] >= 400, answer
    error = answer[1]["error"]
    assert error["message"]
    assert not re.search(r"/tmp|Traceback|\.py", error["message"])
    return answer[0], error["code"]


# --- recordings -------------------------------------------------------------------------------


def _encoded(folder: Path, form: Form, seconds: float = 4.0) -> bytes:
    path = folder / f"{form.codec}.{form.suffix}"
    return write_audio(path, tone(seconds, form.rate_hz), form).read_bytes()


def _wav(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(16_000)
        written.writeframes(bytes(round(seconds * 32_000)))
    return file.getvalue()


def _png() -> bytes:
    chunk = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(chunk)) + b"IHDR" + chunk + bytes(2_000)


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


FLAC, MP3 = Form("flac", "flac", "flac", 16_000), Form("mp3", "mp3", "libmp3lame", 16_000)
Made = Callable[[Path], bytes]
BAD: dict[str, tuple[Made, int, str]] = {
    "nothing": (lambda _: b"", 422, "audio-empty"),
    "text": (lambda _: b"It was a dark and stormy night.\n" * 99, 415, "not-audio"),
    "a picture": (lambda _: _png(), 415, "not-audio"),
    "a program": (lambda _: Path(sys.executable).read_bytes()[:500_000], 415, "not-audio"),
    "noise": (lambda _: np.random.default_rng(1).bytes(50_000), 415, "not-audio"),
    "a playlist of our own files": (
        lambda _: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", 415, "not-audio",
    ),
    "a header and no samples": (lambda _: _wav(0), 422, "audio-empty"),
    "half a header": (lambda _: _wav(1)[:20], 415, "not-audio"),
    "half of a WAV": (lambda _: _half(_wav(8)), 422, "audio-truncated"),
    "half of a FLAC": (lambda folder: _half(_encoded(folder, FLAC)), 422, "audio-truncated"),
    "half of what an MP3's header promises": (
        lambda folder: _encoded(folder, MP3)[:300], 415, "not-audio",
    ),
    "ten hours that its header tells of": (
        lambda folder: _flac(folder, 36_000), 413, "audio-too-long",
    ),
    "a sample a second": (
        lambda folder: _flac(folder, 65_535, rate_hz=1, promised=0), 415, "not-audio",
    ),
}  # fmt: skip


def _flac(folder: Path, seconds: float, **options: Any) -> bytes:
    return silent_flac(folder / "bomb.flac", seconds, **options).read_bytes()


@pytest.mark.parametrize("path", [READ, FOUND])
@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_sound_recording_is_told_so(
    service: Served, folder: Path, bad: str, path: str
) -> None:
    made, status, code = BAD[bad]
    service.forget_peaks()
    before = service.peak_mb()
    assert code_of(posted(service, made(folder), path)) == (status, code)
    assert service.peak_mb() - before < MOST_MB


def test_before_anything_is_streamed_a_refusal_has_its_status(service: Served) -> None:
    answer = posted(service, _half(_wav(8)), READ, stream="true")
    assert code_of(answer) == (422, "audio-truncated")


def test_half_an_mp3_is_half_a_recording(service: Served, folder: Path) -> None:
    """Its frames stand for themselves, and nothing says how many there should be."""
    status, body = posted(
        service, _half(_encoded(folder, MP3)), READ, response_format="verbose_json"
    )
    assert (status, body["text"]) == (200, "")
    assert 1.5 < body["duration"] < 2.5


@pytest.mark.parametrize(
    ("path", "promised"), [(READ, 0), (FOUND, 16_000)], ids=["says nothing", "says a second"]
)
def test_who_hides_ten_hours_is_listened_to_no_longer_than_others(
    service: Served, folder: Path, path: str, promised: int
) -> None:
    content = _flac(folder, 36_000, promised=promised)
    assert len(content) < 200_000
    service.forget_peaks()
    before = service.peak_mb()
    status, body = posted(service, content, path)
    assert code_of((status, body)) == (413, "audio-too-long")
    (heard,) = re.findall(r"it lasts (\d+) s or more", body["error"]["message"])
    assert LONGEST_S <= int(heard) < LONGEST_S + 10
    assert service.peak_mb() - before < MOST_MB


def test_gigabytes_of_samples_in_a_small_file_fill_no_memory(service: Served, folder: Path) -> None:
    """Eight channels at 192 kHz: four minutes are 1.5 GB once they are decoded."""
    content = _flac(folder, 240, rate_hz=192_000, channels=8, promised=0)
    assert len(content) < 30_000
    service.forget_peaks()
    before = service.peak_mb()
    assert posted(service, content, READ)[:1] == (200,)
    assert posted(service, content, FOUND) == (200, [])
    assert service.peak_mb() - before < MOST_MB


def test_hours_of_silence_take_no_more_memory_than_a_minute(service: Served, folder: Path) -> None:
    peaks = []
    for seconds in (60, LONGEST_S - 300):
        service.forget_peaks()
        status, body = posted(service, _flac(folder, seconds), READ, response_format="verbose_json")
        peaks.append(service.peak_mb())
        assert (status, body["text"], body["segments"]) == (200, "", [])
        assert body["duration"] == pytest.approx(seconds, abs=5)
    assert peaks[1] - peaks[0] < 20, peaks


def test_three_channels_at_96_khz_are_read(service: Served, folder: Path) -> None:
    import soxr

    found = read_audio(speak(folder, "flite:rms", WORDS))
    wide = (soxr.resample(found, 16_000, 96_000) * 32_767).astype("<i2")
    samples = np.stack([np.zeros_like(wide), wide, np.zeros_like(wide)], axis=1)
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setnchannels(3)
        written.setsampwidth(2)
        written.setframerate(96_000)
        written.writeframes(samples.tobytes())
    assert posted(service, file.getvalue(), READ, channel="1")[1]["text"] == WORDS
    together = posted(service, file.getvalue(), READ)[1]["text"]
    assert set(WORDS.split()) & set(together.split())
    assert code_of(posted(service, file.getvalue(), READ, channel="3"))[1] == "channel-missing"


# --- forms ------------------------------------------------------------------------------------


def _form(*parts: tuple[str, bytes]) -> bytes:
    """Return a form: what stands behind ``form-data;`` of each part, and its content."""
    heads = [
        f"--x\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    ]
    return b"".join(heads) + b"--x--\r\n"


FILE, FORM = 'name="file"; filename="a.wav"', "multipart/form-data; boundary=x"
WRONG: dict[str, tuple[str, bytes, int, str]] = {
    "text": ("text/plain", b"hello", 415, "unsupported-content"),
    "JSON": ("application/json", b'{"file": "a.wav"}', 415, "unsupported-content"),
    "a form of another kind": (
        "application/x-www-form-urlencoded", b"file=a.wav", 415, "unsupported-content",
    ),
    "bare sound": ("audio/wav", _wav(1), 415, "unsupported-content"),
    "no boundary": ("multipart/form-data", _form((FILE, b"x")), 422, "upload-invalid"),
    "a form without a file": (
        FORM, _form(('name="model"', b"whisper-1")), 422, "upload-invalid",
    ),
    "a file that is none": (FORM, _form(('name="file"', b"RIFF")), 422, "upload-invalid"),
    "a file by another name": (
        FORM, _form(('name="audio"; filename="a.wav"', _wav(1))), 422, "upload-invalid",
    ),
    "two files": (FORM, _form((FILE, _wav(1)), (FILE, _wav(1))), 422, "upload-invalid"),
    "a hundred fields": (
        FORM, _form(*[('name="prompt"', b"x")] * 100, (FILE, _wav(1))), 422, "upload-invalid",
    ),
    "the end of it missing": (FORM, _form((FILE, _wav(1)))[:-30], 422, "upload-invalid"),
    "more than may be sent": (
        FORM, _form((FILE, bytes(LIMIT_MB * 1_000_000))), 413, "upload-too-large",
    ),
}  # fmt: skip


@pytest.mark.parametrize("path", [READ, FOUND])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_form_with_one_recording_is_told_so(
    service: Served, wrong: str, path: str
) -> None:
    kind, body, status, code = WRONG[wrong]
    answer = urllib3.request(
        "POST", service.url + path, body=body, headers={"Content-Type": kind}, timeout=30,
        retries=False,
    )  # fmt: skip
    assert code_of((answer.status, answer.json())) == (status, code)


def test_more_than_may_be_sent_is_no_more_welcome_without_a_length(service: Served) -> None:
    def body() -> Iterator[bytes]:
        yield b"--x\r\nContent-Disposition: form-data; " + FILE.encode() + b"\r\n\r\n"
        for _ in range(3 * LIMIT_MB):
            yield bytes(1_000_000)

    connection = http.client.HTTPConnection(*_address(service.url), timeout=30)
    try:
        connection.request("POST", READ, body(), {"Content-Type": FORM}, encode_chunked=True)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it need not be taken to its end; the answer may be there all the same
    else:
        answer = connection.getresponse()
        assert code_of((answer.status, json.loads(answer.read()))) == (413, "upload-too-large")
    finally:
        connection.close()


# --- clients ----------------------------------------------------------------------------------


def _address(url: str) -> tuple[str, int]:
    target = urlsplit(url)
    return target.hostname or "", target.port or 0


def _asked(service: Served, path: str, body: bytes, kind: str = FORM) -> socket.socket:
    """Send a request, and leave the answer to be received; little of it fits into the way."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
    connection.settimeout(30)
    connection.connect(_address(service.url))
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def _long_speech(folder: Path, times: int = 12) -> bytes:
    """Return a recording that takes seconds to read: sentences and pauses that part them."""
    one = read_audio(speak(folder, "flite:rms", WORDS))
    pause = np.zeros(4 * 16_000, np.float32)
    line: Waveform = np.tile(np.concatenate([one, pause]), times)
    return write_wav(folder / f"long-{times}.wav", line).read_bytes()


def _said(form: str = "pcm", stream: str = "audio", text: str = TEXT) -> bytes:
    asked = {"input": text, "response_format": form, "stream_format": stream}
    return json.dumps(asked).encode()


def test_who_leaves_in_the_midst_of_an_upload(service: Served) -> None:
    for path in (READ, FOUND):
        body = _form((FILE, bytes(3_000_000)))
        connection = socket.create_connection(_address(service.url))
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:2_000_000])
        until(lambda: service.left_behind() != [] or _unlinked(service))
        connection.close()
        until(lambda: not _unlinked(service))


def _unlinked(service: Served) -> bool:
    """Return whether the process holds a temporary file, be it one that has no name any more."""
    held = []
    for link in Path(f"/proc/{service.pid}/fd").iterdir():
        try:
            held.append(os.readlink(link))
        except OSError:
            continue  # it was closed in between
    return any(name.startswith(str(service.scratch)) for name in held)


def test_who_leaves_while_it_is_read(service: Served, folder: Path) -> None:
    connection = _asked(service, READ, _form((FILE, _long_speech(folder))))
    until(lambda: service.models()["speech-to-text"]["requests"]["running"] == 1)
    connection.close()
    service.wait_quiet()


@pytest.mark.parametrize("kind", ["sound", "sound as events", "text as events"])
def test_who_leaves_in_the_midst_of_an_answer(service: Served, folder: Path, kind: str) -> None:
    if kind == "text as events":
        body = _form((FILE, _long_speech(folder)), ('name="stream"', b"true"))
        connection, model = _asked(service, READ, body), "speech-to-text"
    else:
        body = _said(stream="audio" if kind == "sound" else "sse")
        connection, model = _asked(service, SAID, body, "application/json"), "text-to-speech"
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert answer.status == 200
    assert len(answer.read(40)) == 40
    answer.close()
    connection.close()
    service.wait_quiet()
    assert service.models()[model]["state"] == "ready"


def test_who_hardly_reads_holds_up_nobody_and_gets_all_of_it(
    service: Served, speech: bytes
) -> None:
    service.forget_peaks()
    before = service.peak_mb()
    slow = [_asked(service, SAID, _said(), "application/json") for _ in range(4)]
    answers = [http.client.HTTPResponse(connection) for connection in slow]
    for answer in answers:
        answer.begin()
    first = answers[0].read(1_000)
    # What nobody takes is not made: the voice has nothing to do, and others are served.
    service.wait_quiet()
    for path in (READ, FOUND):
        assert posted(service, speech, path)[0] == 200
    short = urllib3.request(
        "POST", service.url + SAID, body=_said(text="Good morning."), timeout=10
    )
    assert len(short.data) > 10_000
    assert service.peak_mb() - before < MOST_MB
    whole = len(first) + len(answers[0].read())
    assert whole > 60 * 24_000 * 2 * 2  # sixty sentences, of more than two seconds
    for connection, answer in zip(slow, answers, strict=True):
        answer.close()
        connection.close()


def test_thirty_at_once_are_answered_or_asked_to_come_again(service: Served, speech: bytes) -> None:
    async def all_of() -> list[httpx2.Response]:
        async with httpx2.AsyncClient(base_url=service.url, timeout=60) as client:
            return list(await asyncio.gather(*(
                client.post(READ, files={"file": ("a.wav", speech)}) for _ in range(30)
            )))  # fmt: skip

    answers = asyncio.run(all_of())
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) >= QUEUE
    for answer in answers:
        if answer.status_code == 200:
            assert answer.json()["text"] == WORDS
        else:
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["error"]["code"] == "model-busy"


# --- a model's process dies -------------------------------------------------------------------


def test_a_reader_that_dies_is_told_of_and_comes_back(service: Served, folder: Path) -> None:
    connection = _asked(service, READ, _form((FILE, _long_speech(folder))))
    until(lambda: service.models()["speech-to-text"]["requests"]["running"] == 1)
    os.kill(service.process_of("pocketsphinx"), signal.SIGKILL)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    status, code = code_of((answer.status, json.loads(answer.read())))
    assert (status, code in DEAD) == (503, True)
    assert int(answer.headers["Retry-After"]) >= 1
    connection.close()


def test_a_stream_of_text_whose_reader_dies_ends_with_an_error(
    service: Served, folder: Path
) -> None:
    body = _form((FILE, _long_speech(folder)), ('name="stream"', b"true"))
    connection = _asked(service, READ, body)
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert json.loads(answer.readline().removeprefix(b"data: "))["delta"] == WORDS
    os.kill(service.process_of("pocketsphinx"), signal.SIGKILL)
    rest = answer.read().decode()
    connection.close()
    assert _last(rest)["type"] == "error"
    assert _last(rest)["error"]["code"] in DEAD
    assert "transcript.text.done" not in rest
    assert "[DONE]" not in rest


def _last(events: str) -> dict[str, Any]:
    """Return the last event of a stream."""
    last: dict[str, Any] = json.loads(events.strip().split("\n\n")[-1].removeprefix("data: "))
    return last


@pytest.mark.parametrize("stream", ["audio", "sse"])
def test_a_voice_that_dies_leaves_no_answer_that_looks_whole(service: Served, stream: str) -> None:
    connection = _asked(service, SAID, _said(stream=stream), "application/json")
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    assert answer.read(100)
    os.kill(service.process_of("espeak"), signal.SIGKILL)
    if stream == "audio":
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
    else:
        assert _last(answer.read().decode())["error"]["code"] in DEAD
    connection.close()


def test_a_live_turn_whose_reader_dies_fails_and_the_next_is_read(
    service: Served, folder: Path
) -> None:
    narrow = read_audio(speak(folder, "flite:rms", WORDS))
    pause = np.zeros(16_000, np.float32)
    line = (np.concatenate([narrow, pause]) * 32_767).astype("<i2").tobytes()
    form = {"type": "session.update", "session": {"type": "transcription", "audio": {
        "input": {"format": {"type": "audio/pcm", "rate": 16_000}}}}}  # fmt: skip
    sound = {"type": "input_audio_buffer.append", "audio": base64.b64encode(line).decode()}
    kind = "conversation.item.input_audio_transcription"
    with connect(service.url.replace("http", "ws") + "/v1/realtime") as live:

        def told(wanted: str) -> dict[str, Any]:
            while True:
                event: dict[str, Any] = json.loads(live.recv(timeout=30))
                if event["type"] == wanted:
                    return event

        live.send(json.dumps(form))
        live.send(json.dumps(sound))
        told("input_audio_buffer.committed")
        os.kill(service.process_of("pocketsphinx"), signal.SIGKILL)
        assert told(f"{kind}.failed")["error"]["code"] in DEAD
        service.wait_ready()
        live.send(json.dumps(sound))
        assert told(f"{kind}.completed")["transcript"] == WORDS
