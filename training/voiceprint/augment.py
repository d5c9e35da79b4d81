"""What happens to a voice on its way: noise, rooms and microphones, telephones.

Every function takes and returns float32 samples, shape (samples,), mono, 16 kHz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["add_noise", "coloured_noise", "equalised", "telephone"]

RATE_HZ = 16_000
Samples = NDArray[np.float32]


def coloured_noise(random: np.random.Generator, samples: int, slope: float) -> Samples:
    """Return noise whose power falls with frequency to the power ``slope`` (0 white, 1 pink)."""
    spectrum = np.fft.rfft(random.standard_normal(samples).astype(np.float32))
    weights = np.arange(1, len(spectrum) + 1, dtype=np.float32) ** (-slope / 2)
    noise: Samples = np.fft.irfft(spectrum * weights, samples)
    return noise


def add_noise(voice: Samples, noise: Samples, snr_db: float) -> Samples:
    """Return the voice with noise that is so many dB weaker, both averaged over the whole."""
    power, other = float(np.mean(voice**2)), float(np.mean(noise**2))
    if not power or not other:
        return voice
    return voice + noise * np.float32(np.sqrt(power / other) * 10 ** (-snr_db / 20))


def equalised(random: np.random.Generator, voice: Samples, most_db: float = 8.0) -> Samples:
    """Return the voice as another microphone hears it: a smooth curve of up to +-``most_db``."""
    spectrum = np.fft.rfft(voice)
    at_hz = np.array([0, 150, 400, 1000, 2200, 4200, 8000])
    gains = random.uniform(-most_db, most_db, len(at_hz))
    frequencies = np.linspace(0, RATE_HZ / 2, len(spectrum))
    curve = 10 ** (np.interp(frequencies, at_hz, gains) / 20)
    heard: Samples = np.fft.irfft(spectrum * curve.astype(np.float32), len(voice))
    return heard


def telephone(voice: Samples) -> Samples:
    """Return the voice over a telephone: 300 to 3400 Hz, eight bits on a logarithmic scale."""
    spectrum = np.fft.rfft(voice)
    frequencies = np.linspace(0, RATE_HZ / 2, len(spectrum))
    curve = np.clip((frequencies - 200) / 100, 0, 1) * np.clip((3700 - frequencies) / 300, 0, 1)
    band = np.fft.irfft(spectrum * curve.astype(np.float32), len(voice))
    peak = float(np.abs(band).max()) or 1.0
    pressed = np.sign(band) * np.log1p(255 * np.abs(band) / peak) / np.log(256)
    pressed = np.rint(pressed * 127) / 127
    heard: Samples = np.sign(pressed) * np.expm1(np.abs(pressed) * np.log(256)) / 255 * peak
    return heard.astype(np.float32)
