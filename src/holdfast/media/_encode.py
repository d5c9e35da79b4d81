"""Encoding with PyAV."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from holdfast.errors import MissingExtra
from holdfast.media._decode import RATE_HZ

if TYPE_CHECKING:
    from holdfast.media._decode import Waveform

__all__ = ["flac_bytes"]

_BLOCK_SAMPLES = 4096


def flac_bytes(waveform: Waveform) -> bytes:
    """Return samples as a FLAC file of 16 bits: what is read back differs by 1/65536 at most.

    Args:
        waveform: float32, shape (samples,), mono, 16 kHz, within [-1, 1]; what is beyond is cut.

    Raises:
        MissingExtra: PyAV is not installed.
    """
    try:
        import av
        import numpy as np
    except ImportError as error:
        raise MissingExtra(
            "recordings cannot be written here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[speech]'",
        ) from error  # fmt: skip
    samples = np.clip(np.rint(waveform * 32_768.0), -32_768, 32_767).astype("<i2")
    target = io.BytesIO()
    with av.open(target, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=RATE_HZ, layout="mono", format="s16")
        for start in range(0, len(samples), _BLOCK_SAMPLES):
            frame = av.AudioFrame.from_ndarray(
                samples[np.newaxis, start : start + _BLOCK_SAMPLES], format="s16", layout="mono"
            )
            frame.sample_rate, frame.pts = RATE_HZ, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()
