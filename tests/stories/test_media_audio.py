"""Real files in every form become mono samples at 16 kHz, or one clear error."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from holdfast.errors import MissingExtra
from holdfast.media import (
    RATE_HZ,
    AudioDamaged,
    AudioEmpty,
    AudioTruncated,
    MediaError,
    NotAudio,
    RawAudio,
    Waveform,
    audio_blocks,
    flac_bytes,
    probe_audio,
    read_audio,
)
from holdfast.media._lasting import Lasting
from tests.support.audio import FORMS, LEVEL, TONE_HZ, Form, tone, tone_file, write_audio

FLAC = Form("flac", "flac", "flac", 44_100)
WAV = Form("wav", "wav", "pcm_s16le", 44_100, "stereo")


def loudest_hz(waveform: Waveform) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(np.argmax(spectrum) * RATE_HZ / len(waveform))


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.codec}-{form.suffix}")
def test_every_form_is_decoded(tmp_path: Path, form: Form) -> None:
    waveform = read_audio(tone_file(tmp_path, form))

    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert len(waveform) / RATE_HZ == pytest.approx(3.0, abs=0.08)
    middle = waveform[RATE_HZ : 2 * RATE_HZ]
    assert loudest_hz(middle) == pytest.approx(TONE_HZ, abs=2)
    assert float(np.abs(middle).max()) == pytest.approx(LEVEL, abs=0.03)


def test_a_recording_says_what_it_is(tmp_path: Path) -> None:
    info = probe_audio(tone_file(tmp_path, WAV))
    assert (info.container, info.codec, info.rate_hz, info.channels, info.duration_s) == (
        "wav",
        "pcm_s16le",
        44_100,
        2,
        3.0,
    )


def test_samples_without_a_header_need_their_form(tmp_path: Path) -> None:
    path = tmp_path / "samples.raw"
    samples = (tone(1.0, 8_000)[0] * 32_767).astype("<i2")
    path.write_bytes(samples.tobytes())

    with pytest.raises(NotAudio):
        read_audio(path)
    assert len(read_audio(path, raw=RawAudio(8_000))) == RATE_HZ
    assert len(read_audio(path, raw=RawAudio(8_000, channels=2))) == RATE_HZ // 2


def test_blocks_are_the_whole_in_order(tmp_path: Path) -> None:
    path = tone_file(tmp_path, FLAC)
    blocks = list(audio_blocks(path, block_samples=1000))
    assert {len(block) for block in blocks[:-1]} == {1000}
    assert 0 < len(blocks[-1]) <= 1000
    assert np.array_equal(np.concatenate(blocks), read_audio(path))


def test_an_open_file_is_read_and_left_open(tmp_path: Path) -> None:
    path = tone_file(tmp_path, FLAC)
    stream = io.BytesIO(path.read_bytes())
    assert np.array_equal(read_audio(stream), read_audio(path))
    assert not stream.closed


def test_resampling_keeps_what_lies_below_the_new_limit_and_nothing_above(tmp_path: Path) -> None:
    form = Form("wav", "wav", "pcm_f32le", 48_000)
    time = np.arange(48_000) / 48_000
    high = (0.5 * np.sin(2 * np.pi * 12_000 * time)).astype(np.float32)[None, :]
    waveform = read_audio(write_audio(tmp_path / "high.wav", high, form))
    assert float(np.abs(waveform[800:-800]).max()) < 0.001


def test_channels_are_averaged(tmp_path: Path) -> None:
    samples = tone(1.0, 16_000, 2)
    samples[1] = 0.0
    form = Form("wav", "wav", "pcm_f32le", 16_000, "stereo")
    waveform = read_audio(write_audio(tmp_path / "left.wav", samples, form))
    assert np.allclose(waveform, samples[0] / 2, atol=1e-6)


def test_no_bytes_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    path.touch()
    for source in (path, io.BytesIO()):
        with pytest.raises(AudioEmpty) as caught:
            read_audio(source)
        assert caught.value.code == "audio-empty"


def test_a_header_without_samples_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "header.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
    with pytest.raises(AudioEmpty):
        read_audio(path)


@pytest.mark.parametrize(
    "content",
    [b"hello\n", b"RIFF\x00\x00\x00\x00WAVE", b"<html></html>", b"\x00" * 5000, b"fLaC", b"OggS"],
)
def test_something_else_is_not_audio(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.wav"
    path.write_bytes(content)
    with pytest.raises(MediaError) as caught:
        read_audio(path)
    assert caught.value.code in {"not-audio", "audio-empty"}
    assert str(path.name) in str(caught.value)


@pytest.mark.parametrize(
    "header", ["#EXTM3U\n#EXTINF:5,\n{0}\n", "ffconcat version 1.0\nfile {0}\n"]
)
def test_a_playlist_does_not_open_what_it_names(tmp_path: Path, header: str) -> None:
    named = tone_file(tmp_path, Form("mp3", "mp3", "libmp3lame", 32_000))
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(header.format(named))
    with pytest.raises(NotAudio):
        read_audio(playlist)


@pytest.mark.parametrize(
    "form",
    [WAV, FLAC, Form("mka", "matroska", "flac", 44_100), Form("webm", "webm", "libopus", 48_000)],
    ids=lambda form: form.suffix,
)
def test_a_recording_that_is_cut_short_is_said_after_what_there_is(
    tmp_path: Path, form: Form
) -> None:
    path = tone_file(tmp_path, form)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])

    blocks: list[Waveform] = []
    with pytest.raises(AudioTruncated) as caught:
        blocks.extend(audio_blocks(path, block_samples=1600))
    assert 1.0 < sum(map(len, blocks)) / RATE_HZ < 2.0
    assert caught.value.facts["promised_s"] == pytest.approx(3.0, abs=0.02)
    assert len(read_audio(path, whole=False)) == sum(map(len, blocks))


def test_a_cut_m4a_without_its_index_is_not_audio(tmp_path: Path) -> None:
    path = tone_file(tmp_path, Form("m4a", "ipod", "aac", 44_100))
    path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises(NotAudio):
        read_audio(path)


def test_a_wav_written_to_a_pipe_promises_nothing(tmp_path: Path) -> None:
    path = tone_file(tmp_path, WAV)
    content = bytearray(path.read_bytes())
    size = content.index(b"data") + 4
    content[size : size + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert len(read_audio(path)) == pytest.approx(3 * RATE_HZ, abs=2)


def test_damage_is_said(tmp_path: Path) -> None:
    path = tone_file(tmp_path, Form("mka", "matroska", "flac", 44_100), seconds=5)
    content = bytearray(path.read_bytes())
    for position in range(len(content) // 10, len(content), 211):
        content[position] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises((AudioDamaged, AudioTruncated)):
        read_audio(path)


@pytest.mark.linux
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    form = Form("flac", "flac", "flac", 48_000, "stereo")

    def peak_mib(seconds: float) -> float:
        path = tone_file(tmp_path, form, seconds)
        code = (
            "import resource, sys; from pathlib import Path\n"
            "from holdfast.media import audio_blocks\n"
            "for _ in audio_blocks(Path(sys.argv[1])): pass\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
        )
        command = [sys.executable, "-c", code, str(path)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    # Ten minutes are 115 MB of samples as they are decoded.
    assert peak_mib(600) - peak_mib(30) < 20


def test_importing_media_loads_no_library() -> None:
    code = (
        "import sys, holdfast.media, holdfast.speech, holdfast.speech.engines.silero\n"
        "heavy = {'av', 'numpy', 'soxr', 'onnxruntime', 'faster_whisper'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(os.environ))


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tone_file(tmp_path, FLAC)
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(MissingExtra) as caught:
        read_audio(path)
    assert caught.value.hint == "pip install 'holdfast[speech]'"


@pytest.mark.parametrize("samples", [1, 4096, 70_001])
def test_flac_gives_back_what_went_in(samples: int) -> None:
    waveform = np.sin(np.arange(samples) / 9).astype(np.float32) * 1.2  # beyond is cut
    content = flac_bytes(waveform)
    found = read_audio(io.BytesIO(content))
    assert len(found) == samples
    assert np.abs(found - np.clip(waveform, -1, 1)).max() <= 1 / 32_000
    info = probe_audio(io.BytesIO(content))
    assert (info.codec, info.rate_hz, info.channels) == ("flac", 16_000, 1)


def test_a_file_that_is_closed_while_it_is_read_is_at_its_end_and_nothing_is_printed(
    tmp_path: Path,
) -> None:
    """As when a client leaves whose upload is being decoded."""
    path = tmp_path / "long.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 16_000 * 60), 16_000)
    code = (
        "import sys; from pathlib import Path; from holdfast.media import *\n"
        "file = open(sys.argv[1], 'rb'); blocks = audio_blocks(Recording(file)); next(blocks)\n"
        "file.close()\n"
        "try:\n    sum(map(len, blocks))\nexcept (MediaError, ValueError):\n    pass\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    # What FFmpeg is told of it; an exception would be printed from within, now and then.
    file = path.open("rb")
    lasting = Lasting(file)
    assert (lasting.read(4), lasting.tell(), lasting.seek(0), lasting.seekable()) == (
        b"fLaC", 4, 0, True,
    )  # fmt: skip
    file.close()
    assert (lasting.read(4), lasting.tell(), lasting.seek(0), lasting.seekable()) == (
        b"", -1, -1, False,
    )  # fmt: skip
