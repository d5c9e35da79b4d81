"""What speaker models hear: logarithmic mel spectra, in the two dialects that their makers use.

Numbers in, numbers out; numpy only. SpeechBrain's dialect is that of its ``Fbank`` and of
``InputNormalization`` over the sentence; the other one is Kaldi's ``compute-fbank-feats`` with the
settings that WeSpeaker trains with. A model only knows voices in the dialect it was trained in.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float32]

__all__ = ["KaldiFbank", "SpeechBrainFbank", "kaldi_features", "speechbrain_features"]

_TOP_DB = 80.0
_LEAST_POWER = 1e-10
# Kaldi's floor before the logarithm: float32's epsilon.
_KALDI_FLOOR = float(np.finfo(np.float32).eps)
_KALDI_LOWEST_HZ = 20.0
# Multiplications up to which OpenBLAS keeps to one thread.
_SMALL_PRODUCT = 250_000


class SpeechBrainFbank(NamedTuple):
    """The settings of SpeechBrain's ``Fbank``; its defaults, but for ``n_mels``.

    Attributes:
        sample_rate: in Hz.
        n_fft: samples in a transform.
        win_length_ms: the window, centred in it.
        hop_length_ms: from one frame to the next.
        n_mels: filters.
        f_min: the lowest filter's lower end, in Hz.
        f_max: the highest filter's upper end, in Hz; None for half the rate.
    """

    sample_rate: int = 16_000
    n_fft: int = 400
    win_length_ms: float = 25.0
    hop_length_ms: float = 10.0
    n_mels: int = 80
    f_min: float = 0.0
    f_max: float | None = None

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return round(self.sample_rate / 1000 * self.hop_length_ms)

    @property
    def window(self) -> int:
        """Samples under the window."""
        return round(self.sample_rate / 1000 * self.win_length_ms)


class KaldiFbank(NamedTuple):
    """The settings of Kaldi's filter bank; WeSpeaker's where they differ from Kaldi's own.

    Attributes:
        sample_rate: in Hz.
        frame_length_ms: a frame; the transform is the next power of two.
        frame_shift_ms: from one frame to the next.
        n_mels: filters, from 20 Hz to half the rate.
        preemphasis: how much of each sample is taken off the next.
    """

    sample_rate: int = 16_000
    frame_length_ms: float = 25.0
    frame_shift_ms: float = 10.0
    n_mels: int = 80
    preemphasis: float = 0.97

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return int(self.sample_rate * self.frame_shift_ms / 1000)

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return int(self.sample_rate * self.frame_length_ms / 1000)


def speechbrain_features(waveform: Floats, settings: SpeechBrainFbank) -> Floats:
    """Return what SpeechBrain's ECAPA-TDNN is given of a recording.

    Args:
        waveform: float32, shape (samples,), mono, within about [-1, 1]; not empty.
        settings: of the model.

    Returns:
        float32, shape (1 + samples // hop, n_mels), in dB, each column's mean taken off.
    """
    window, filters = _speechbrain_tables(settings)
    half = settings.n_fft // 2
    padded = np.zeros(len(waveform) + 2 * half, np.float32)
    padded[half : half + len(waveform)] = waveform
    spectra = np.fft.rfft(_frames(padded, settings.n_fft, settings.hop) * window)
    mels = _filtered(spectra.real**2 + spectra.imag**2, filters)
    decibels = 10 * np.log10(np.maximum(mels, np.float32(_LEAST_POWER)))
    # The floor lies below the loudest point of the whole recording.
    np.maximum(decibels, decibels.max() - np.float32(_TOP_DB), out=decibels)
    return _centred(decibels)


def kaldi_features(waveform: Floats, settings: KaldiFbank) -> Floats:
    """Return what a WeSpeaker model is given of a recording.

    No dither; samples count as 16-bit integers; each frame loses its mean, is pre-emphasised and
    goes under a Hamming window; only whole frames count.

    Args:
        waveform: float32, shape (samples,), mono, within about [-1, 1]; a frame or more.
        settings: of the model.

    Returns:
        float32, shape (1 + (samples - window) // hop, n_mels), natural logarithms, each column's
        mean taken off.
    """
    window, filters = _kaldi_tables(settings)
    frames = _frames(waveform * np.float32(32_768), settings.window, settings.hop)
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    frames = (frames - np.float32(settings.preemphasis) * before) * window
    spectra = np.fft.rfft(frames, n=2 * (len(filters) - 1))
    mels = _filtered(spectra.real**2 + spectra.imag**2, filters)
    return _centred(np.log(np.maximum(mels, np.float32(_KALDI_FLOOR))))


def _frames(samples: Floats, length: int, hop: int) -> Floats:
    return np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]


def _filtered(power: NDArray[Any], filters: Floats) -> Floats:
    """Return (frames, bins) times (bins, n_mels), in blocks of some frames.

    For a whole recording BLAS would start threads, and those wait busily for some twenty
    milliseconds afterwards: just when the model needs every core.
    """
    rows = max(1, _SMALL_PRODUCT // filters.size)
    parts = [power[start : start + rows] @ filters for start in range(0, len(power), rows)]
    mels: Floats = np.concatenate(parts)
    return mels


def _centred(features: Floats) -> Floats:
    centred: Floats = features - features.mean(axis=0, keepdims=True, dtype=np.float32)
    return centred


@lru_cache(maxsize=8)
def _speechbrain_tables(settings: SpeechBrainFbank) -> tuple[Floats, Floats]:
    """Return the window, shape (n_fft,), and the filters, shape (n_fft // 2 + 1, n_mels)."""
    length, n_fft = settings.window, settings.n_fft
    window = np.zeros(n_fft)
    start = (n_fft - length) // 2
    # Periodic, as torch.hamming_window is; Kaldi's is symmetric.
    window[start : start + length] = np.hamming(length + 1)[:-1]
    highest = settings.sample_rate // 2 if settings.f_max is None else settings.f_max
    mels = np.linspace(_mel10(settings.f_min), _mel10(highest), settings.n_mels + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    # Triangles that fall on the right side as steeply as they rise on the left.
    width, centre = np.diff(edges)[:-1], edges[1:-1]
    frequencies = np.linspace(0, settings.sample_rate // 2, n_fft // 2 + 1)
    filters = np.maximum(0, 1 - np.abs((frequencies[:, None] - centre) / width))
    return window.astype(np.float32), filters.astype(np.float32)


@lru_cache(maxsize=8)
def _kaldi_tables(settings: KaldiFbank) -> tuple[Floats, Floats]:
    """Return the window, shape (window,), and the filters, shape (transform // 2 + 1, n_mels)."""
    length = settings.window
    transform = 1 << (length - 1).bit_length()
    mels = np.linspace(
        _mel_e(_KALDI_LOWEST_HZ), _mel_e(settings.sample_rate / 2), settings.n_mels + 2
    )
    bins = np.arange(transform // 2 + 1) * settings.sample_rate / transform
    points = 1127 * np.log1p(bins / 700)[:, None]
    left, centre, right = mels[:-2], mels[1:-1], mels[2:]
    rising, falling = (points - left) / (centre - left), (right - points) / (right - centre)
    filters = np.maximum(0, np.minimum(rising, falling))
    filters[-1] = 0  # Kaldi leaves half the rate itself out
    return np.hamming(length).astype(np.float32), filters.astype(np.float32)


def _mel10(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def _mel_e(hertz: float) -> float:
    return 1127 * math.log1p(hertz / 700)
