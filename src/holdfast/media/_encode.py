"""Encoding with PyAV: whole files, and streams that are sent while they are made."""

from __future__ import annotations

import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple, get_args

from holdfast.errors import MissingExtra
from holdfast.media._decode import RATE_HZ

if TYPE_CHECKING:
    from holdfast.media._decode import Waveform

__all__ = ["MEDIA_TYPES", "PCM_RATE_HZ", "SOUND_FORMS", "SoundEncoder", "SoundForm", "flac_bytes"]

SoundForm = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
SOUND_FORMS: tuple[SoundForm, ...] = get_args(SoundForm)
MEDIA_TYPES: Mapping[SoundForm, str] = MappingProxyType(
    {
        "mp3": "audio/mpeg",
        "opus": "audio/ogg",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "wav": "audio/wav",
        "pcm": "audio/pcm",
    }
)
# What OpenAI's clients take headerless samples for.
PCM_RATE_HZ = 24_000
_BLOCK_SAMPLES = 4096
_SILENCE_S = 0.02


class _Codec(NamedTuple):
    """How a form is made; ``rates`` is empty where any is allowed."""

    container: str
    encoder: str
    samples: str
    rates: tuple[int, ...]
    bits_per_s: int | None
    options: Mapping[str, str]


_CODECS: Mapping[str, _Codec] = {
    # Only a file that can be gone back in gets the header that says how long it is.
    "mp3": _Codec(
        "mp3", "libmp3lame", "fltp",
        (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000), 64_000, {},
    ),
    # A page holds a second unless told otherwise: so long would the first sound have to wait.
    "opus": _Codec("ogg", "libopus", "flt", (48_000,), 48_000, {"page_duration": "100000"}),
    "aac": _Codec(
        "adts", "aac", "fltp",
        (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000), 64_000, {},
    ),
    # Else 8 kB are kept free for tags that nobody adds.
    "flac": _Codec("flac", "flac", "s16", (), None, {"metadata_header_padding": "0"}),
    "wav": _Codec("wav", "pcm_s16le", "s16", (), None, {}),
}  # fmt: skip


def flac_bytes(waveform: Waveform) -> bytes:
    """Return samples as a FLAC file of 16 bits: what is read back differs by 1/65536 at most.

    Args:
        waveform: float32, shape (samples,), mono, 16 kHz, within [-1, 1]; what is beyond is cut.

    Raises:
        MissingExtra: PyAV is not installed.
    """
    target = io.BytesIO()
    encoder = SoundEncoder("flac", RATE_HZ, target)
    encoder.feed(waveform)
    encoder.finish()
    return target.getvalue()


class SoundEncoder:
    """Makes a recording out of samples as they come; memory does not grow with its length.

    WAV and FLAC keep the rate that they are given. MP3 and AAC take the next of their own that is
    not lower, Opus is 48 kHz, and ``pcm`` is 24 kHz, 16 bits, little-endian, without a header.

    A stream cannot be gone back in: its WAV says 0xFFFFFFFF for its lengths, its FLAC and MP3 say
    nothing. With ``file`` all three say how long they are.

    Args:
        form: one of ``SOUND_FORMS``.
        rate_hz: of the samples that are fed.
        file: seekable, and then written into; it stays open. Where None, ``feed`` and ``finish``
            return the bytes.

    Raises:
        MissingExtra: PyAV or soxr is not installed.
    """

    def __init__(self, form: SoundForm, rate_hz: int, file: BinaryIO | None = None) -> None:
        try:
            import av
            import soxr
        except ImportError as error:
            raise MissingExtra(
                "recordings cannot be written here", why=f"{error.name} is not installed",
                hint="pip install 'holdfast[speech]'",
            ) from error  # fmt: skip
        self._codec = _CODECS.get(form)
        self._rate_hz = _rate_of(self._codec, rate_hz)
        self._resampler: Any = None
        if self._rate_hz != rate_hz:
            self._resampler = soxr.ResampleStream(rate_hz, self._rate_hz, 1, dtype="float32")
        self._file = file
        self._made = _Made()
        self._samples = 0
        self._container: Any = None
        if self._codec is not None:
            self._container = av.open(
                file or self._made, "w", format=self._codec.container,
                options={"fflags": "+bitexact", "flush_packets": "1", **self._codec.options},
            )  # fmt: skip
            self._stream: Any = self._container.add_stream(
                self._codec.encoder, rate=self._rate_hz, layout="mono", format=self._codec.samples
            )
            if self._codec.bits_per_s is not None:
                self._stream.bit_rate = self._codec.bits_per_s

    @property
    def rate_hz(self) -> int:
        """Samples per second of what is made."""
        return self._rate_hz

    def feed(self, waveform: Waveform) -> bytes:
        """Take samples; return what can be sent now, which may be nothing yet.

        Args:
            waveform: float32, shape (samples,), mono, within [-1, 1]; what is beyond is cut.
        """
        if self._resampler is not None:
            waveform = self._resampler.resample_chunk(waveform)
        self._write(waveform)
        return self._made.taken()

    def finish(self) -> bytes:
        """Return what was still to come. Nothing may be fed afterwards.

        MP3, Opus and AAC have no form for nothing at all: they get 20 ms of silence then.
        """
        import numpy as np

        if self._resampler is not None:
            self._write(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        if self._codec is not None and self._codec.bits_per_s is not None and not self._samples:
            self._write(np.zeros(round(_SILENCE_S * self._rate_hz), np.float32))
        if self._container is not None:
            self._container.start_encoding()
            self._container.mux(self._stream.encode(None))
            self._container.close()
        return self._made.taken()

    def _write(self, waveform: Waveform) -> None:
        if self._codec is None:
            (self._file or self._made).write(_whole_numbers(waveform).tobytes())
            return
        import av
        import numpy as np

        whole = self._codec.samples == "s16"
        ready = _whole_numbers(waveform) if whole else np.clip(waveform, -1.0, 1.0)
        for start in range(0, len(ready), _BLOCK_SAMPLES):
            block = np.ascontiguousarray(ready[np.newaxis, start : start + _BLOCK_SAMPLES])
            frame = av.AudioFrame.from_ndarray(block, format=self._codec.samples, layout="mono")
            frame.sample_rate, frame.pts = self._rate_hz, self._samples
            self._samples += block.shape[1]
            self._container.mux(self._stream.encode(frame))


class _Made:
    """What FFmpeg has written and nobody has taken; has no ``seek``, so that it never goes back."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _rate_of(codec: _Codec | None, rate_hz: int) -> int:
    if codec is None:
        return PCM_RATE_HZ
    if not codec.rates or rate_hz in codec.rates:
        return rate_hz
    return next((rate for rate in codec.rates if rate > rate_hz), codec.rates[-1])


def _whole_numbers(waveform: Waveform) -> Any:
    import numpy as np

    return np.clip(np.rint(waveform * 32_768.0), -32_768, 32_767).astype("<i2")
