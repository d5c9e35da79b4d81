"""Recordings in every form, made with PyAV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

TONE_HZ = 440.0
LEVEL = 0.3


@dataclass(frozen=True)
class Form:
    """A container, a codec and how sound is laid out in it."""

    suffix: str
    container: str
    codec: str
    rate_hz: int
    layout: str = "mono"


FORMS = [
    Form("wav", "wav", "pcm_s16le", 44_100, "stereo"),
    Form("wav", "wav", "pcm_u8", 8_000),
    Form("wav", "wav", "pcm_s24le", 96_000, "stereo"),
    Form("wav", "wav", "pcm_f32le", 48_000, "5.1"),
    Form("wav", "wav", "pcm_f64le", 16_000),
    Form("wav", "wav", "pcm_mulaw", 8_000),
    Form("flac", "flac", "flac", 22_050),
    Form("ogg", "ogg", "libopus", 48_000, "stereo"),
    Form("mp3", "mp3", "libmp3lame", 32_000, "stereo"),
    Form("m4a", "ipod", "aac", 44_100, "stereo"),
    Form("aac", "adts", "aac", 44_100),
    Form("webm", "webm", "libopus", 48_000),
    Form("mka", "matroska", "flac", 11_025),
    Form("aiff", "aiff", "pcm_s16be", 44_100),
]


def tone(seconds: float, rate_hz: int, channels: int = 1) -> NDArray[np.float32]:
    """Return a sine, float32, shape (channels, samples)."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = (LEVEL * np.sin(2 * np.pi * TONE_HZ * time)).astype(np.float32)
    return np.tile(wave, (channels, 1))


def write_audio(
    path: Path, samples: NDArray[np.float32], form: Form, options: dict[str, str] | None = None
) -> Path:
    """Encode ``samples`` (float32, shape (channels, samples), at the form's rate) into ``path``."""
    with av.open(str(path), "w", format=form.container, options=options or {}) as container:
        stream: Any = container.add_stream(form.codec, rate=form.rate_hz, layout=form.layout)
        convert = av.AudioResampler(
            format=stream.codec_context.format.name, layout=form.layout, rate=form.rate_hz
        )
        for start in range(0, samples.shape[1], 1024):
            block = np.ascontiguousarray(samples[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=form.layout)
            frame.sample_rate = form.rate_hz
            frame.pts = start
            for ready in convert.resample(frame):
                container.mux(stream.encode(ready))
        for ready in convert.resample(None):
            container.mux(stream.encode(ready))
        container.mux(stream.encode(None))
    return path


def tone_file(folder: Path, form: Form, seconds: float = 3.0) -> Path:
    """Write a tone in ``form`` and return its file."""
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[form.layout]
    name = f"{form.codec}-{form.rate_hz}.{form.suffix}"
    return write_audio(folder / name, tone(seconds, form.rate_hz, channels), form)
