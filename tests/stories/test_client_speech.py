"""The client's speech methods on the wire: what is asked, and what is made of answers."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import io
import json
import os
import socket
import sys
import time
import wave
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.client import (
    AsyncClient,
    Client,
    ServiceError,
    ServiceUnreachable,
    Transcript,
    TranscriptPiece,
    TranscriptSegment,
    TranscriptWord,
)
from holdfast.media import SoundEncoder
from tests.support.audio import tone
from tests.support.wire import Wire, answer, json_answer, stream_of, until, wired

SPEAK, READ = "/v1/audio/speech", "/v1/audio/transcriptions"
TRANSLATE = "/v1/audio/translations"
SOUND = bytes(range(256)) * 40
VERBOSE = {
    "task": "transcribe", "language": "english", "duration": 3.5, "text": "Good morning. Yes.",
    "segments": [
        {"id": 0, "seek": 0, "start": 0.5, "end": 2, "text": "Good morning.", "tokens": [1],
         "temperature": 0.0, "avg_logprob": -0.25, "compression_ratio": 1.0, "no_speech_prob": 0},
        {"id": 1, "seek": 0, "start": 2.5, "end": 3.0, "text": "Yes.", "avg_logprob": None},
    ],
    "words": [{"word": "Good", "start": 0.5, "end": 0.9}],
    "usage": {"type": "duration", "seconds": 4},
}  # fmt: skip
DIARIZED = {
    "task": "transcribe", "duration": 3.5, "text": "Good morning. Yes.",
    "segments": [{"type": "transcript.text.segment", "id": "seg_0", "start": 0.5, "end": 2.0,
                  "text": "Good morning.", "speaker": "ada"}],
}  # fmt: skip


def event(**value: Any) -> str:
    return f"data: {json.dumps(value)}"


@pytest.fixture
def wire() -> Iterator[Wire]:
    with wired({}) as one:
        yield one


def form_of(body: bytes, head: bytes) -> dict[str, list[bytes]]:
    """Return the fields of a form as a parser of the standard library reads them."""
    kind = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-type"))
    parsed = email.message_from_bytes(kind + b"\r\n\r\n" + body, policy=email.policy.HTTP)
    fields: dict[str, list[bytes]] = {}
    for part in parsed.iter_parts():
        name = part.get_param("name", header="content-disposition")
        fields.setdefault(str(name), []).append(part.get_payload(decode=True))
    return fields


def in_both_ways(wire: Wire, method: str, *given: Any, **options: Any) -> Any:
    """Call a method of both clients; return what one returned, having seen the other's the same."""

    async def awaited() -> Any:
        async with AsyncClient(wire.url, patience_s=0) as client:
            made = getattr(client, method)(*given, **options)
            if isinstance(made, AsyncGenerator):
                return [piece async for piece in made]
            return await made

    def plain() -> Any:
        with Client(wire.url, patience_s=0) as client:
            made = getattr(client, method)(*given, **options)
            return list(made) if isinstance(made, Iterator) else made

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (ServiceError, ServiceUnreachable) as error:
            return error

    one, other = outcome(plain), outcome(lambda: asyncio.run(awaited()))
    if isinstance(one, Exception):
        assert type(one) is type(other)
        assert one.to_dict() == other.to_dict()  # type: ignore[attr-defined]
        raise one
    assert one == other
    assert len(wire.bodies) % 2 == 0
    return one


# -- speaking


def test_text_becomes_sound(wire: Wire) -> None:
    wire.says[SPEAK] = answer("200 OK", SOUND, Content_Type="audio/mpeg")
    said = in_both_ways(
        wire, "speak", "Gr\u00fc\u00dfe", voice="ash", response_format="mp3", speed=1.5
    )
    assert said == SOUND
    assert json.loads(wire.bodies[0]) == json.loads(wire.bodies[1]) == {
        "input": "Gr\u00fc\u00dfe", "voice": "ash", "response_format": "mp3",
        "speed": 1.5,
    }  # fmt: skip
    in_both_ways(wire, "speak", "hello", model="espeak")
    assert json.loads(wire.bodies[2]) == {
        "model": "espeak", "input": "hello", "voice": "default", "response_format": "wav",
        "speed": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["audio/pcm", "application/octet-stream", "Audio/WAV"])
def test_sound_is_told_as_it_is_whatever_it_is_called(wire: Wire, kind: str) -> None:
    wire.says[SPEAK] = answer("200 OK", SOUND, Content_Type=kind)
    assert in_both_ways(wire, "speak", "hello") == SOUND
    assert b"".join(in_both_ways(wire, "speak_stream", "hello")) == SOUND


def test_a_wav_file_that_was_sent_while_it_was_made_says_how_long_it_is(wire: Wire) -> None:
    encoder = SoundEncoder("wav", 16_000)
    made = b"".join(
        [encoder.feed(tone(0.5, 16_000)[0]), encoder.feed(tone(0.25, 16_000)[0]), encoder.finish()]
    )
    wire.says[SPEAK] = answer("200 OK", made, Content_Type="audio/wav")
    with wave.open(io.BytesIO(in_both_ways(wire, "speak", "hello"))) as file:
        assert (file.getnframes(), file.getframerate()) == (12_000, 16_000)
        assert len(file.readframes(12_001)) == 24_000
    assert b"".join(in_both_ways(wire, "speak_stream", "hello")) == made
    for odd in (made[:4], made[:12], made[:20], b"RIFF" + b"\xff" * 40):
        wire.says[SPEAK] = answer("200 OK", odd, Content_Type="audio/wav")
        assert len(in_both_ways(wire, "speak", "hello")) == len(odd)


@pytest.mark.parametrize("method", ["speak", "speak_stream"])
@pytest.mark.parametrize(
    "said", [json_answer({"text": "hello"}), answer("200 OK", b"<p>", Content_Type="text/html")]
)
def test_what_is_no_sound_is_not_taken_for_it(wire: Wire, method: str, said: bytes) -> None:
    wire.says[SPEAK] = said
    with pytest.raises(ServiceUnreachable, match="no Holdfast service"):
        in_both_ways(wire, method, "hello")


@pytest.mark.parametrize("method", ["speak", "speak_stream"])
def test_why_a_text_cannot_be_spoken_is_told(wire: Wire, method: str) -> None:
    told = {"message": "there is no voice 'bob'", "code": "voice-unknown", "param": "voice"}
    wire.says[SPEAK] = json_answer({"error": told}, "422 No")
    with pytest.raises(ServiceError, match="no voice 'bob'") as caught:
        in_both_ways(wire, method, "hello", voice="bob")
    assert (caught.value.status, caught.value.service_code) == (422, "voice-unknown")
    assert caught.value.facts["param"] == "voice"


def test_sound_is_heard_before_all_of_it_is_made(wire: Wire) -> None:
    def say(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")  # fmt: skip
        wire.hold(connection)

    wire.says[SPEAK] = say
    with Client(wire.url) as client, contextlib.closing(client.speak_stream("hello")) as pieces:
        assert next(pieces) == b"first"
    until(lambda: wire.left == 1)  # who leaves early is not spoken to any more

    async def first() -> bytes:
        async with (
            AsyncClient(wire.url) as client,
            contextlib.aclosing(client.speak_stream("hello")) as awaited,
        ):
            return await anext(awaited)

    assert asyncio.run(first()) == b"first"
    until(lambda: wire.left == 2)


def test_sound_that_was_cut_off_is_not_taken_for_whole(wire: Wire) -> None:
    wire.says[SPEAK] = (
        b"HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nfirst\r\n"
    )
    with Client(wire.url) as client:
        pieces = client.speak_stream("hello")
        assert next(pieces) == b"first"
        with pytest.raises(ServiceUnreachable, match="cut its answer off"):
            next(pieces)
    with pytest.raises(ServiceUnreachable):
        in_both_ways(wire, "speak_stream", "hello")


@pytest.mark.parametrize(
    ("method", "given", "options", "reason"),
    [
        ("speak", "half \ud800", {}, "half a character"),
        ("speak", "hello", {"voice": "\udfff"}, "half a character"),
        ("speak_stream", "hello", {"response_format": "midi"}, "wav, mp3, flac, opus, aac, pcm"),
        ("transcribe", b"x", {"prompt": "\ud800"}, "half a character"),
        ("transcribe_text", b"x", {"form": "docx"}, "text, srt, vtt"),
        ("speak", "hello", {"speed": float("nan")}, "no speed"),
        ("speak", None, {}, "a text is wanted, not NoneType"),
        ("transcribe", None, {}, "a path, bytes or a file of bytes is wanted, not NoneType"),
        ("transcribe", io.StringIO("opened as text"), {}, "not StringIO"),
    ],
)
def test_what_no_service_would_take_is_not_sent(
    wire: Wire, method: str, given: Any, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=reason):
        in_both_ways(wire, method, given, **options)
    assert wire.asked == []


@pytest.mark.parametrize("key", ["secret\n", "secret\r\nX-Other: 1", " secret", "sécret", ""])
def test_a_key_that_no_header_carries_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(ValueError, match="the key cannot be sent") as told:
        Client("http://127.0.0.1:9", key=key)
    assert "cret" not in str(told.value)


# -- reading


def test_a_recording_is_read_segment_by_segment(wire: Wire, tmp_path: Path) -> None:
    wire.says[READ] = json_answer(VERBOSE)
    file = tmp_path / "morning.flac"
    file.write_bytes(SOUND)
    for audio in (file, str(file), SOUND, bytearray(SOUND)):
        found = in_both_ways(wire, "transcribe", audio)
        assert found == Transcript(
            text="Good morning. Yes.",
            language="english",
            duration_s=3.5,
            segments=[
                TranscriptSegment(0.5, 2.0, "Good morning.", None, -0.25),
                TranscriptSegment(2.5, 3.0, "Yes."),
            ],
            words=[TranscriptWord(0.5, 0.9, "Good")],
            raw=VERBOSE,
        )
    assert b'filename="morning.flac"' in wire.bodies[0]
    for head, body in zip(wire.asked, wire.bodies, strict=True):
        assert form_of(body, head) == {
            "response_format": [b"verbose_json"], "file": [SOUND]
        }  # fmt: skip
    with Client(wire.url) as client:
        assert client.transcribe(io.BytesIO(SOUND)).language == "english"
        with pytest.raises(FileNotFoundError):
            client.transcribe(tmp_path / "gone.wav")


@pytest.mark.skipif(sys.platform != "linux", reason="names are text here")
def test_a_name_that_is_no_text_is_sent_as_nearly(wire: Wire, tmp_path: Path) -> None:
    wire.says[READ] = json_answer(VERBOSE)
    file = tmp_path / os.fsdecode(b"gr\xfc\xdfe.wav")
    file.write_bytes(SOUND)
    in_both_ways(wire, "transcribe", file)
    assert "gr\ufffd\ufffde.wav".encode() in wire.bodies[0]


def test_all_that_can_be_asked_is_asked(wire: Wire) -> None:
    wire.says[READ] = json_answer(VERBOSE)
    in_both_ways(
        wire, "transcribe", SOUND, model="tiny", language="de", prompt="\u00c4rzte",
        temperature=0.2, words=True,
    )  # fmt: skip
    assert form_of(wire.bodies[0], wire.asked[0]) == {
        "model": [b"tiny"], "language": [b"de"], "prompt": ["\u00c4rzte".encode()],
        "temperature": [b"0.2"], "response_format": [b"verbose_json"], "file": [SOUND],
        "timestamp_granularities[]": [b"segment", b"word"],
    }  # fmt: skip


def test_who_speaks_is_told(wire: Wire) -> None:
    wire.says[READ] = json_answer(DIARIZED)
    found = in_both_ways(wire, "transcribe", SOUND, speakers=True)
    assert found.segments == [TranscriptSegment(0.5, 2.0, "Good morning.", "ada")]
    assert (found.language, found.words) == (None, [])
    asked = form_of(wire.bodies[0], wire.asked[0])
    assert (asked["response_format"], asked["chunking_strategy"]) == ([b"diarized_json"], [b"auto"])
    in_both_ways(wire, "transcribe", SOUND, speakers=True, words=True)
    asked = form_of(wire.bodies[2], wire.asked[2])
    assert asked["timestamp_granularities[]"] == [b"segment", b"word"]


@pytest.mark.parametrize("form", ["text", "srt", "vtt"])
def test_text_and_subtitles_are_told_as_they_are(wire: Wire, form: str) -> None:
    text = "1\n00:00:00,500 --> 00:00:02,000\nGr\u00fc\u00dfe\n\n"
    wire.says[READ] = answer("200 OK", text.encode(), Content_Type="text/plain; charset=utf-8")
    assert in_both_ways(wire, "transcribe_text", SOUND, form, language="de") == text
    asked = form_of(wire.bodies[0], wire.asked[0])
    assert (asked["response_format"], asked["language"]) == ([form.encode()], [b"de"])


def test_what_is_said_elsewhere_is_read_in_english(wire: Wire) -> None:
    wire.says[TRANSLATE] = json_answer(VERBOSE | {"task": "translate"})
    found = in_both_ways(wire, "translate", SOUND, prompt="names", temperature=0)
    assert found.raw["task"] == "translate"
    assert form_of(wire.bodies[0], wire.asked[0]) == {
        "prompt": [b"names"], "temperature": [b"0"],
        "response_format": [b"verbose_json"], "file": [SOUND],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("transcribe", json_answer({"text": "no length"})),
        ("transcribe", json_answer(VERBOSE | {"segments": [{"start": 0}]})),
        ("transcribe", answer("200 OK", b"words", Content_Type="text/plain")),
        ("transcribe_text", json_answer({"text": "words"})),
        ("transcribe_text", answer("200 OK", b"<p>", Content_Type="text/html")),
        ("transcribe_stream", json_answer({"texts": []})),
    ],
)
def test_another_answer_is_not_taken_for_a_transcript(wire: Wire, method: str, said: bytes) -> None:
    wire.says[READ] = said
    with pytest.raises(ServiceUnreachable, match="no Holdfast service"):
        in_both_ways(wire, method, SOUND)


# -- reading while it is read


def test_a_transcript_comes_piece_by_piece(wire: Wire) -> None:
    wire.says[READ] = stream_of(
        event(type="transcript.text.delta", delta="Good "),
        event(type="transcript.text.delta", delta="morning.", logprobs=[]),
        event(type="transcript.text.segment", id="0", start=0.5, end=2, text="Good morning.",
              speaker="A"),
        event(type="transcript.something.new", value=7),
        event(type="transcript.text.done", text="Good morning.", usage={"type": "duration"}),
        "data: [DONE]",
    )  # fmt: skip
    assert in_both_ways(wire, "transcribe_stream", SOUND, speakers=True) == [
        TranscriptPiece("delta", "Good "),
        TranscriptPiece("delta", "morning."),
        TranscriptPiece(
            "segment", "Good morning.", TranscriptSegment(0.5, 2, "Good morning.", "A")
        ),
        TranscriptPiece("done", "Good morning."),
    ]
    asked = form_of(wire.bodies[0], wire.asked[0])
    assert asked["stream"] == [b"true"]
    assert asked["response_format"] == [b"diarized_json"]


def test_a_service_may_also_answer_all_at_once(wire: Wire) -> None:
    wire.says[READ] = json_answer({"text": "Good morning."})
    expected = [TranscriptPiece("done", "Good morning.")]
    assert in_both_ways(wire, "transcribe_stream", SOUND) == expected
    assert form_of(wire.bodies[0], wire.asked[0])["response_format"] == [b"json"]


@pytest.mark.parametrize(
    ("lines", "whole", "kind", "reason"),
    [
        ([event(type="transcript.text.delta", delta="a")], True, ServiceUnreachable, "cut its"),
        ([event(type="transcript.text.delta", delta="a")], False, ServiceUnreachable, "cut its"),
        ([event(type="transcript.text.delta")], True, ServiceError, "cannot be read"),
        ([event(delta="a")], True, ServiceError, "cannot be read"),
        (["data: 7"], True, ServiceError, "cannot be read"),
        ([event(error={"message": "the model died", "code": "worker-died"})], True, ServiceError,
         "the model died"),
        ([event(type="error", error={"message": "it ended"})], True, ServiceError, "it ended"),
    ],
)  # fmt: skip
def test_a_transcript_that_goes_wrong_is_an_error(
    wire: Wire, lines: list[str], whole: bool, kind: type[Exception], reason: str
) -> None:
    wire.says[READ] = stream_of(*lines, whole=whole)
    with pytest.raises(kind, match=reason) as caught:
        in_both_ways(wire, "transcribe_stream", SOUND)
    assert caught.value.hint  # type: ignore[attr-defined]


def test_reading_is_tried_again_when_a_busy_service_says(wire: Wire) -> None:
    busy = json_answer({"error": {"message": "loading"}}, "503 No", Retry_After="1")

    def saying(connection: socket.socket) -> None:
        first = len(wire.asked) == 1
        connection.sendall(busy if first else json_answer(VERBOSE))

    wire.says[READ] = saying
    started = time.monotonic()
    with Client(wire.url) as client:
        assert client.transcribe(SOUND).text == VERBOSE["text"]
    assert time.monotonic() - started >= 1
    assert len(wire.bodies) == 2
    assert all(SOUND in body for body in wire.bodies)
