"""One channel of several, and samples without a header: decoded, over HTTP, on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from holdfast.client import Client, Pcm, ServiceError
from holdfast.media import (
    RATE_HZ,
    ChannelMissing,
    RawAudio,
    Recording,
    Waveform,
    raw_of_media_type,
    raw_of_text,
    read_audio,
)
from holdfast.server import ServerSettings, running_server
from tests.stories.test_apps import bare, holdfast
from tests.stories.test_voiceprint_service import services_in
from tests.support.audio import FORMS, Form, write_audio
from tests.support.voices import SENTENCES, speak

SEVERAL = [form for form in FORMS if form.layout != "mono"]
PITCHES_HZ = (440.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0)
HER, HIM = "flite:slt", "flite:rms"


def pitch_hz(waveform: Waveform) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum)) * RATE_HZ / len(waveform)


def chord(count: int, rate_hz: int, seconds: float = 1.0) -> Any:
    """A pitch of its own on each channel, float32, shape (channels, samples)."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.stack([0.3 * np.sin(2 * np.pi * hz * time) for hz in PITCHES_HZ[:count]]).astype("f4")


@pytest.mark.parametrize("form", SEVERAL, ids=lambda form: f"{form.codec}-{form.layout}")
def test_a_channel_is_heard_alone(tmp_path: Path, form: Form) -> None:
    count = {"stereo": 2, "5.1": 6}[form.layout]
    path = write_audio(tmp_path / f"x.{form.suffix}", chord(count, form.rate_hz), form)
    for channel in range(count):
        heard = read_audio(Recording(path, channel=channel))
        assert pitch_hz(heard) == pytest.approx(PITCHES_HZ[channel], abs=3)
    both = [read_audio(Recording(path, channel=channel)) for channel in range(count)]
    assert np.allclose(read_audio(path), np.mean(both, axis=0), atol=1e-5)
    with pytest.raises(ChannelMissing, match=rf"no channel {count}: it has {count}") as caught:
        read_audio(Recording(path, channel=count))
    assert caught.value.facts == {"channel": count, "channels": count}


@pytest.mark.parametrize(
    ("encoding", "kind"), [("s16le", "<i2"), ("s16be", ">i2"), ("f32le", "<f4")]
)
def test_bare_samples_are_read_in_their_form(tmp_path: Path, encoding: str, kind: str) -> None:
    samples = chord(2, 8_000).T
    if "i" in kind:
        samples = samples * 32_767
    path = tmp_path / "samples"
    path.write_bytes(samples.astype(kind).tobytes())
    raw = RawAudio(8_000, 2, encoding)
    for channel in range(2):
        with path.open("rb") as file:
            heard = read_audio(Recording(file, raw, channel))
        assert len(heard) == RATE_HZ
        assert pitch_hz(heard) == pytest.approx(PITCHES_HZ[channel], abs=3)


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("audio/pcm;rate=16000", RawAudio(16_000)),
        ("Audio/PCM; rate=24000; channels=2", RawAudio(24_000, 2)),
        ('audio/pcm;rate="48000";encoding=f32le', RawAudio(48_000, 1, "f32le")),
        ("audio/L16;rate=8000;channels=2", RawAudio(8_000, 2, "s16be")),
        ("audio/wav", None),
        ("application/octet-stream", None),
        ("", None),
    ],
)
def test_a_media_type_says_the_form_of_samples(text: str, raw: RawAudio | None) -> None:
    assert raw_of_media_type(text) == raw


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("audio/pcm", "the rate '' is no number"),
        ("audio/L16;rate=fast", "the rate 'fast'"),
        ("audio/pcm;rate=10", "from 1000 to 384000"),
        ("audio/pcm;rate=16000;channels=0", "the channels '0'"),
        ("audio/pcm;rate=16000;encoding=mp3", "the encoding 'mp3'"),
    ],
)
def test_a_form_that_is_not_said_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        raw_of_media_type(text)


@given(st.text())
def test_any_text_is_a_form_or_is_refused(text: str) -> None:
    for read in (raw_of_text, raw_of_media_type):
        try:
            found = read("audio/pcm;" + text if read is raw_of_media_type else text)
        except ValueError:
            continue
        assert found is not None
        assert found.channels >= 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    services = services_in(tmp_path_factory.mktemp("place"))
    with running_server(services, ServerSettings(port=0)) as running:
        assert services.supervisor.wait_ready(60)
        yield running.url


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A call: she on the left, he on the right; and each of them alone, with other words."""
    folder = tmp_path_factory.mktemp("call")
    ours, theirs = (
        read_audio(speak(folder, voice, SENTENCES[at])) for at, voice in enumerate((HER, HIM))
    )
    samples = np.zeros((2, max(len(ours), len(theirs))), np.float32)
    samples[0, : len(ours)], samples[1, : len(theirs)] = ours, theirs
    bare_samples = folder / "call.pcm"
    bare_samples.write_bytes((samples.T * 32_767).astype("<i2").tobytes())
    return {
        "flac": write_audio(
            folder / "call.flac", samples, Form("flac", "flac", "flac", RATE_HZ, "stereo")
        ),
        "pcm": bare_samples,
        "her": speak(folder, HER, SENTENCES[4]),
        "him": speak(folder, HIM, SENTENCES[4]),
    }


def test_one_side_of_a_call_is_known_by_its_channel(server: str, call: dict[str, Path]) -> None:
    with Client(server) as client:
        for speaker in ("her", "him"):
            client.put_speaker(speaker)
            client.enroll(speaker, [call[speaker]])
        for sent in (call["flac"], Pcm(audio=call["pcm"], rate_hz=RATE_HZ, channels=2)):
            for channel, (own, other) in enumerate((("her", "him"), ("him", "her"))):
                assert client.verify(sent, own, channel=channel).decision == "accept"
                assert client.verify(sent, other, channel=channel).decision == "reject"
                found = client.identify(sent, channel=channel)
                assert [each.speaker_id for each in found.candidates] == [own]
        vectors = [client.embed_voice(call["flac"], channel=channel) for channel in (0, 1, None)]
        assert vectors[0] != vectors[1] != vectors[2]
        # Both recordings of a comparison are heard in the same way.
        same = client.compare(call["flac"], call["flac"], channel=1)
        assert same.score == pytest.approx(1.0, abs=1e-4)
        client.detect_spoof(call["flac"], channel=0)
        for wrong in (2, 17):
            with pytest.raises(ServiceError, match=f"no channel {wrong}"):
                client.verify(call["flac"], "her", channel=wrong)


@pytest.mark.parametrize(
    ("kind", "fields", "status", "code"),
    [
        ("audio/pcm;rate=16000;channels=2", {}, 200, None),
        ("audio/pcm;rate=16000;channels=2", {"channel": "1"}, 200, None),
        ("audio/pcm", {}, 422, "upload-invalid"),
        ("audio/pcm;rate=16000;channels=2", {"channel": "2"}, 422, "channel-missing"),
        ("audio/pcm;rate=16000", {"channel": "-1"}, 422, "upload-invalid"),
        ("audio/wav", {}, 415, "not-audio"),
    ],
)
@pytest.mark.parametrize("route", ["embeddings", "identify"])
def test_a_parts_type_says_what_its_samples_are(
    server: str, call: dict[str, Path], route: str, kind: str, fields: dict[str, str], status: int,
    code: str | None,
) -> None:  # fmt: skip
    parts: Any = [("file", ("call.pcm", call["pcm"].read_bytes(), kind)), *fields.items()]
    with urllib3.PoolManager(timeout=60, retries=False) as pool:
        answer = pool.request("POST", f"{server}/v1/voiceprint/{route}", fields=parts)
    assert answer.status == status, answer.data
    if code is not None:
        assert answer.json()["error"]["code"] == code


def test_the_command_line_hears_a_channel_and_bare_samples(
    tmp_path: Path, call: dict[str, Path]
) -> None:
    env = bare(tmp_path)
    assert holdfast("voiceprint", "enroll", "her", call["her"], env=env).returncode == 0
    for more in ((call["flac"],), (call["pcm"], "--pcm", "s16le:16000:2")):
        found = [
            holdfast("voiceprint", "verify", "her", *more, "--channel", channel, env=env).stdout
            for channel in "01"
        ]
        assert found == ["accept\n", "reject\n"]
    absent = holdfast("voiceprint", "verify", "her", call["flac"], "--channel", "2", env=env)
    assert absent.returncode == 9
    assert "error[channel-missing]" in absent.stderr
    assert "it has 2, counted from 0" in absent.stderr
    wrong = holdfast("voiceprint", "verify", "her", call["pcm"], "--pcm", "s16le", env=env)
    assert wrong.returncode == 2
    assert "the rate '' is no number" in wrong.stderr

    trials, scores = tmp_path / "trials", tmp_path / "scores"
    trials.write_text("1 her.wav call.flac\n0 him.wav call.flac\n")
    for name in ("her", "him"):
        (call["flac"].parent / f"{name}.wav").write_bytes(call[name].read_bytes())
    rate = ("voiceprint", "evaluate", trials, "--audio", call["flac"].parent, "--scores", scores)
    told = [holdfast(*rate, "--json", "--channel", "0", env=env), holdfast(*rate, env=env)]
    assert json.loads(told[0].stdout)["figures"]["eer"]["value"] == 0
    assert "is of another way to read recordings" in told[1].stderr
