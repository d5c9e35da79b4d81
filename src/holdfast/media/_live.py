"""Samples that come in pieces, as they are sent over a line, as mono float32 at 16 kHz."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from holdfast.errors import MissingExtra
from holdfast.media._decode import RATE_HZ

if TYPE_CHECKING:
    from holdfast.media._decode import Waveform

__all__ = ["LINE_CODES", "LineCode", "LineSamples"]

# 16 bits, the low byte first; or 8 bits as telephones have them, by the mu-law or the A-law.
LineCode = Literal["pcm", "pcmu", "pcma"]
LINE_CODES: tuple[LineCode, ...] = get_args(LineCode)
_FULL_SCALE = 32_768.0


class LineSamples:
    """Decodes and resamples one line; what a piece ends in the midst of is kept for the next.

    Args:
        code: how samples are written.
        rate_hz: of what comes.

    Raises:
        MissingExtra: soxr is not installed.
    """

    def __init__(self, code: LineCode, rate_hz: int) -> None:
        try:
            import soxr
        except ImportError as error:
            raise MissingExtra(
                "sound cannot be taken from a line here", why=f"{error.name} is not installed",
                hint="pip install 'holdfast[speech]'",
            ) from error  # fmt: skip
        self._table = None if code == "pcm" else _expanded(code)
        self._half = b""
        self._resampler: Any = None
        if rate_hz != RATE_HZ:
            self._resampler = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32")

    def feed(self, piece: bytes) -> Waveform:
        """Return the samples that are complete now.

        Returns:
            float32, shape (samples,), mono, 16 kHz, within [-1, 1].
        """
        import numpy as np

        if self._table is None:
            piece, whole = self._half + piece, (len(self._half) + len(piece)) // 2 * 2
            self._half = piece[whole:]
            samples = np.frombuffer(piece[:whole], "<i2").astype(np.float32) / _FULL_SCALE
        else:
            samples = self._table[np.frombuffer(piece, np.uint8)]
        return self._resampled(samples, last=False)

    def finish(self) -> Waveform:
        """Return what the resampler still holds. Nothing may be fed afterwards."""
        import numpy as np

        return self._resampled(np.zeros(0, np.float32), last=True)

    def _resampled(self, samples: Waveform, *, last: bool) -> Waveform:
        if self._resampler is None:
            return samples
        done: Waveform = self._resampler.resample_chunk(samples, last=last)
        return done


def _expanded(code: LineCode) -> Any:
    """Return what each byte means: float32, shape (256,), after ITU-T G.711, tables 1 and 2."""
    import numpy as np

    codes = np.arange(256)
    if code == "pcmu":
        codes = ~codes & 0xFF
        step, exponent = codes & 0x0F, (codes >> 4) & 0x07
        level = (((step << 3) + 0x84) << exponent) - 0x84
        negative = codes & 0x80
    else:
        codes = codes ^ 0x55
        step, exponent = codes & 0x0F, (codes >> 4) & 0x07
        level = (step << 4) + 8
        level = np.where(exponent > 0, (level + 0x100) << np.maximum(exponent - 1, 0), level)
        negative = ~codes & 0x80
    return (np.where(negative, -level, level) / _FULL_SCALE).astype(np.float32)
