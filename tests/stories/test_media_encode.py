"""Samples become recordings in every form, while they are made, and others can read them."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from holdfast.errors import MissingExtra
from holdfast.media import (
    MEDIA_TYPES,
    PCM_RATE_HZ,
    SOUND_FORMS,
    AudioEmpty,
    RawAudio,
    Recording,
    SoundEncoder,
    SoundForm,
    probe_audio,
    read_audio,
)
from tests.support.audio import LEVEL, TONE_HZ, tone

RATES = (16_000, 22_050, 24_000)
# What a coder adds in front and behind, where nothing in the stream says that it is to be cut off.
FRAME_SAMPLES = {"mp3": 1152, "aac": 1024, "opus": 0, "flac": 0, "wav": 0, "pcm": 0}
HEADERLESS = RawAudio(PCM_RATE_HZ)


def encoded(
    form: SoundForm, rate_hz: int, seconds: float = 3.0, file: io.BytesIO | None = None
) -> list[bytes]:
    """Return what each tenth of a second gave to send, and at last what ``finish`` gave."""
    encoder = SoundEncoder(form, rate_hz, file)
    parts = np.array_split(tone(seconds, rate_hz)[0], round(10 * seconds))
    return [*(encoder.feed(part) for part in parts), encoder.finish()]


def read_back(form: SoundForm, content: bytes) -> NDArray[np.float32]:
    source = io.BytesIO(content)
    return read_audio(Recording(source, HEADERLESS) if form == "pcm" else source)


def is_the_tone(waveform: NDArray[np.float32], rate_hz: int) -> bool:
    """Whether nearly all power of the middle lies at the tone's frequency, as loud as it was."""
    middle = waveform[rate_hz : 2 * rate_hz].astype(np.float64)
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    around = round(TONE_HZ * len(middle) / rate_hz)
    share = power[around - 3 : around + 4].sum() / power.sum()
    level = np.sqrt(2 * np.mean(middle**2))
    # LAME takes 5 % off, so that what it adds does not go beyond full scale.
    return bool(share > 0.9999 and 0.94 < level / LEVEL < 1.01)


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("form", SOUND_FORMS)
def test_every_form_comes_back_as_what_was_fed(form: SoundForm, rate_hz: int) -> None:
    content = b"".join(encoded(form, rate_hz))
    found = read_back(form, content)
    made_at = SoundEncoder(form, rate_hz).rate_hz
    assert 0 <= len(found) / 16_000 - 3.0 <= 3 * FRAME_SAMPLES[form] / made_at + 1e-3
    assert is_the_tone(found, 16_000)


@pytest.mark.parametrize("form", ["mp3", "opus", "flac", "wav"])
def test_libsndfile_reads_it(form: SoundForm) -> None:
    content = b"".join(encoded(form, 22_050))
    with soundfile.SoundFile(io.BytesIO(content)) as file:
        rate_hz = file.samplerate
        # A stream of FLAC does not say how long it is, and libsndfile fails at an end that it was
        # not told: the last tenth of a second stays unread.
        found = file.read(64_000 if form == "flac" else -1, dtype="float32")
    assert rate_hz == (48_000 if form == "opus" else 22_050)
    if form != "flac":
        assert 0 <= len(found) / rate_hz - 3.0 <= 2 * FRAME_SAMPLES[form] / rate_hz + 1e-3
    assert is_the_tone(found, rate_hz)


@pytest.mark.parametrize(
    ("form", "codec", "container", "rate_hz"),
    [
        ("mp3", "mp3", "mp3", 22_050),
        ("opus", "opus", "ogg", 48_000),
        ("aac", "aac", "aac", 22_050),
        ("flac", "flac", "flac", 22_050),
        ("wav", "pcm_s16le", "wav", 22_050),
    ],
)
def test_ffprobe_says_what_it_is(
    tmp_path: Path, form: SoundForm, codec: str, container: str, rate_hz: int
) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not here: apt-get install ffmpeg")
    path = tmp_path / f"tone.{form}"
    path.write_bytes(b"".join(encoded(form, 22_050)))
    command = ["ffprobe", "-v", "warning", "-show_streams", "-show_format", "-count_packets",
               "-of", "json", str(path)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    (stream,) = told["streams"]
    assert told["format"]["format_name"] == container
    assert stream["codec_name"] == codec
    assert (int(stream["sample_rate"]), stream["channels"]) == (rate_hz, 1)
    assert int(stream["nb_read_packets"]) > 1
    said = done.stderr.replace("Estimating duration from bitrate, this may be inaccurate", "")
    if form != "wav":  # whose unknown length it calls a wrong one
        assert not [line for line in said.splitlines() if line.split("]", 1)[-1].strip()]


@pytest.mark.parametrize("form", SOUND_FORMS)
def test_the_first_bytes_come_long_before_the_end_and_then_all_along(form: SoundForm) -> None:
    parts = encoded(form, 24_000, 10.0)
    total = sum(map(len, parts))
    # Half a second of sound is enough to begin with; no later half second is held back.
    assert sum(map(len, parts[:5])) > 0
    for end in range(10, 100, 5):
        assert sum(map(len, parts[:end])) > 0.5 * total * (end - 5) / 100
    assert len(parts[-1]) < 0.1 * total


@pytest.mark.parametrize("form", ["wav", "flac", "mp3"])
def test_a_file_says_how_long_it_is_to_the_sample(form: SoundForm) -> None:
    file = io.BytesIO()
    assert b"".join(encoded(form, 22_050, 2.5, file)) == b""
    assert not file.closed
    with soundfile.SoundFile(io.BytesIO(file.getvalue())) as read:
        assert read.frames == round(2.5 * 22_050)
    assert probe_audio(io.BytesIO(file.getvalue())).duration_s == pytest.approx(2.5, abs=1e-3)


def test_a_stream_of_wav_says_that_its_length_is_unknown() -> None:
    content = b"".join(encoded("wav", 16_000))
    assert content[4:8] == b"\xff" * 4
    assert content[36:44] == b"data" + b"\xff" * 4


def test_pcm_is_what_clients_of_openai_take_it_for() -> None:
    content = b"".join(encoded("pcm", PCM_RATE_HZ, 1.0))
    samples = np.frombuffer(content, "<i2")
    assert np.abs(samples / 32_768 - tone(1.0, PCM_RATE_HZ)[0]).max() < 1e-4
    assert len(b"".join(encoded("pcm", 16_000, 1.0))) == 2 * PCM_RATE_HZ


@pytest.mark.parametrize(
    ("form", "given", "made"),
    [
        ("mp3", 22_050, 22_050), ("mp3", 20_000, 22_050), ("mp3", 96_000, 48_000),
        ("aac", 17_000, 22_050), ("opus", 16_000, 48_000), ("flac", 17_123, 17_123),
        ("wav", 11_111, 11_111), ("pcm", 48_000, 24_000),
    ],
)  # fmt: skip
def test_rates_that_a_form_has_not_become_the_next_that_it_has(
    form: SoundForm, given: int, made: int
) -> None:
    assert SoundEncoder(form, given).rate_hz == made
    assert is_the_tone(read_back(form, b"".join(encoded(form, given))), 16_000)


@pytest.mark.parametrize("form", SOUND_FORMS)
def test_nothing_at_all_is_a_file_that_can_be_opened(form: SoundForm) -> None:
    encoder = SoundEncoder(form, 22_050)
    empty = encoder.feed(np.zeros(0, np.float32)) + encoder.finish()
    if form == "pcm":
        assert empty == b""
        return
    assert probe_audio(io.BytesIO(empty)).channels == 1
    try:
        heard = read_audio(io.BytesIO(empty))
    except AudioEmpty:
        assert form in {"wav", "flac"}
    else:
        assert np.abs(heard).max() < 1e-4
        assert len(heard) < 0.12 * 16_000


def test_what_is_too_loud_is_cut_and_does_not_wrap_around() -> None:
    loud = 3.0 * tone(1.0, 16_000)[0] / LEVEL
    for form in SOUND_FORMS:
        encoder = SoundEncoder(form, 16_000)
        found = read_back(form, encoder.feed(loud) + encoder.finish())
        if form not in {"mp3", "aac"}:  # whose delay would have to be guessed
            tops = np.sin(2 * np.pi * TONE_HZ * np.arange(16_000) / 16_000)[4_000:12_000] > 0.9
            assert found[4_000:12_000][tops].min() > 0.8
        assert np.abs(found).max() < 1.5


def test_every_form_has_a_media_type() -> None:
    assert set(MEDIA_TYPES) == set(SOUND_FORMS)
    assert all(kind.startswith("audio/") for kind in MEDIA_TYPES.values())


@pytest.mark.linux
@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac"])
def test_memory_does_not_grow_with_the_length(form: SoundForm) -> None:
    code = (
        "import resource, sys, numpy as np\n"
        "from holdfast.media import SoundEncoder\n"
        "encoder = SoundEncoder(sys.argv[1], 24_000)\n"
        "block = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)\n"
        "for _ in range(int(sys.argv[2])): encoder.feed(block)\n"
        "encoder.finish()\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )

    def peak_mib(seconds: int) -> float:
        command = [sys.executable, "-c", code, form, str(seconds)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    # Ten minutes are 58 MB as they are fed, and 9 MB or more as they are sent, but for Opus's 4.
    assert peak_mib(600) - peak_mib(10) < 3


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(MissingExtra) as caught:
        SoundEncoder("wav", 16_000)
    assert caught.value.hint == "pip install 'holdfast[speech]'"
