"""People who speak: voices of Debian's synthesisers that the starter model was not trained on."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soxr

from holdfast.media import RATE_HZ, Waveform, read_audio

__all__ = ["SENTENCES", "mixed", "noisy", "speak", "telephone", "write_wav"]

SENTENCES = (
    "The old library on the corner opens at nine in the morning and closes late at night.",
    "She packed four sandwiches, a map, and a warm coat before the long walk to the lake.",
    "Nobody had expected the harbour to freeze so early in the year, least of all the sailors.",
    "If the train is late again we shall miss the first half of the concert in the park.",
    "Seven small boats were painted blue, and the largest of them carried a yellow flag.",
    "My neighbour keeps bees behind the garage and sells the honey on Saturday mornings.",
)


def speak(folder: Path, voice: str, text: str) -> Path:
    """Have a voice say something, once; return the recording.

    Args:
        folder: where recordings are kept.
        voice: ``espeak:VARIANT``, ``flite:NAME`` or ``festival:NAME``.
        text: what it says.
    """
    program, _, name = voice.partition(":")
    path = folder / f"{program}-{name}-{abs(hash(text))}.wav"
    if path.exists():
        return path
    commands = {
        "espeak": ["espeak-ng", "-v", f"en-us+{name}", "-w", str(path), text],
        "flite": ["flite", "-voice", name, "-t", text, "-o", str(path)],
        "festival": ["text2wave", "-eval", f"(voice_{name})", "-o", str(path)],
    }
    command = commands[program]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not here: apt-get install espeak-ng flite festival")
    given = text if program == "festival" else None
    subprocess.run(command, check=True, input=given, text=True, capture_output=True, timeout=60)
    return path


def write_wav(path: Path, waveform: Waveform, rate_hz: int = RATE_HZ) -> Path:
    """Write samples between -1 and 1 as 16-bit WAV."""
    import wave

    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(waveform, -1, 1) * 32_767).astype("<i2").tobytes())
    return path


def noisy(path: Path, snr_db: float, seed: int = 0) -> Path:
    """Return a recording with white noise so far below its speech."""
    clean = read_audio(path)
    loud = clean[np.abs(clean) > 0.05 * np.abs(clean).max()]
    power = float(np.mean(np.square(loud))) / 10 ** (snr_db / 10)
    noise = np.random.default_rng(seed).normal(0, np.sqrt(power), len(clean)).astype(np.float32)
    return write_wav(path.with_name(f"{path.stem}-{snr_db:g}dB.wav"), 0.7 * (clean + noise))


def telephone(path: Path) -> Path:
    """Return a recording as it comes over a narrow line: 8 kHz."""
    narrow = soxr.resample(read_audio(path), RATE_HZ, 8_000).astype(np.float32)
    return write_wav(path.with_name(f"{path.stem}-8k.wav"), narrow, 8_000)


def mixed(folder: Path, *paths: Path) -> Path:
    """Return recordings one after the other in one file."""
    pause = np.zeros(RATE_HZ // 4, np.float32)
    parts = [part for path in paths for part in (read_audio(path), pause)]
    return write_wav(folder / f"mixed-{abs(hash(paths))}.wav", np.concatenate(parts))
