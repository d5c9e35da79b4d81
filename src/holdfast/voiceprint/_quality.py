"""What a recording is good for: how much speech, how clear, how many voices.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from holdfast.media import Waveform

__all__ = [
    "Gates",
    "Quality",
    "Refusal",
    "measure",
    "refusals",
    "split_similarity",
    "spoken",
    "with_pauses",
]

_RATE_HZ = 16_000
_FRAME = 400
_FEWEST_FRAMES = 10
# Beside speech what is left of it still sounds: not counted as background.
_MARGIN = 1600
_FULL = 0.98
_LARGEST_DB = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What was measured.

    Attributes:
        speech_s: seconds of net speech.
        snr_db: speech against what is between and around it, in dB; None without speech.
        clipped: share of the speech's samples at the end of the scale, 0 to 1.
        same_voice: cosine between the two most different parts of the speech; None where it is
            too short to be divided.
    """

    speech_s: float
    snr_db: float | None
    clipped: float
    same_voice: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "speech_s": round(self.speech_s, 2),
            "snr_db": None if self.snr_db is None else round(self.snr_db, 1),
            "clipped": round(self.clipped, 4),
            "same_voice": None if self.same_voice is None else round(self.same_voice, 3),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What a recording must have.

    Attributes:
        min_speech_s: seconds of net speech.
        min_snr_db: speech against background, in dB.
        max_clipped: share of samples.
        min_same_voice: cosine between the two most different parts, below which they are taken for
            two voices; None where that is not known of the model.
    """

    min_speech_s: float = 2.0
    min_snr_db: float = 2.0
    max_clipped: float = 0.01
    min_same_voice: float | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a recording is not used. ``code`` is kebab-case; ``message`` has both figures."""

    code: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON-ready data."""
        return {"code": self.code, "message": self.message}


def refusals(quality: Quality, gates: Gates) -> list[Refusal]:
    """Return everything that is wrong with a recording; nothing is wrong with a good one."""
    if quality.speech_s == 0:
        return [Refusal("no-speech", "nobody speaks in it")]
    found = []
    if quality.speech_s < gates.min_speech_s:
        found.append(
            Refusal(
                "too-little-speech",
                f"it has {quality.speech_s:.1f} s of speech, and {gates.min_speech_s:g} s are "
                "needed",
            )
        )
    if quality.snr_db is not None and quality.snr_db < gates.min_snr_db:
        found.append(
            Refusal(
                "too-noisy",
                f"speech is {quality.snr_db:.1f} dB above the background, and "
                f"{gates.min_snr_db:g} dB are needed",
            )
        )
    if quality.clipped > gates.max_clipped:
        found.append(
            Refusal(
                "clipped",
                f"{quality.clipped:.1%} of it is at the end of the scale, and at most "
                f"{gates.max_clipped:.1%} may be: record it at a lower level",
            )
        )
    lowest, measured = gates.min_same_voice, quality.same_voice
    if lowest is not None and measured is not None and measured < lowest:
        found.append(
            Refusal(
                "several-voices",
                f"two parts of it are alike by {measured:.2f} only, and one voice is by "
                f"{lowest:.2f} at least",
            )
        )
    return found


def spoken(waveform: Waveform, segments: Sequence[tuple[int, int]]) -> Waveform:
    """Return the speech alone, put together.

    Args:
        waveform: float32, shape (samples,), mono, 16 kHz.
        segments: first sample, and the one after the last, of each stretch of speech; in order.
    """
    import numpy as np

    if not segments:
        return waveform[:0]
    return np.concatenate([waveform[start:stop] for start, stop in segments])


def with_pauses(
    segments: Sequence[tuple[int, int]], samples: int, pause_s: float = 0.3
) -> list[tuple[int, int]]:
    """Return stretches of speech with what lies around and between them, up to ``pause_s`` each.

    Args:
        segments: as for `spoken`.
        samples: how many the recording has.
        pause_s: at each end of a stretch, in seconds.
    """
    wide: list[tuple[int, int]] = []
    around = int(pause_s * _RATE_HZ)
    for start, stop in segments:
        begin, end = max(start - around, 0), min(stop + around, samples)
        if wide and begin <= wide[-1][1]:
            wide[-1] = (wide[-1][0], end)
        else:
            wide.append((begin, end))
    return wide


def measure(waveform: Waveform, segments: Sequence[tuple[int, int]]) -> Quality:
    """Measure a recording; arguments as for `spoken`."""
    import numpy as np

    speech = spoken(waveform, segments)
    if not len(speech):
        return Quality(speech_s=0.0, snr_db=None, clipped=0.0)
    return Quality(
        speech_s=len(speech) / _RATE_HZ,
        snr_db=_snr_db(waveform, segments, speech),
        clipped=float((np.abs(speech) >= _FULL).mean()),
    )


def _snr_db(waveform: Waveform, segments: Sequence[tuple[int, int]], speech: Waveform) -> float:
    """Return how far speech is above the background, in dB, at most 60.

    The background is what lies outside of speech; where there is none, the quietest twentieth of
    the frames within it (between words).
    """
    import numpy as np

    silent = np.ones(len(waveform), bool)
    for start, stop in segments:
        silent[max(start - _MARGIN, 0) : stop + _MARGIN] = False
    outside = _powers(waveform[silent])
    within = _powers(speech)
    if not len(within):
        within = np.array([float(np.mean(np.square(speech, dtype=np.float64)))])
    noise = float(outside.mean()) if len(outside) >= _FEWEST_FRAMES else float(
        np.quantile(within, 0.05)
    )  # fmt: skip
    signal = float(within.mean()) - noise
    if noise <= 0:
        return _LARGEST_DB
    return float(np.clip(10 * np.log10(max(signal, 1e-12) / noise), -_LARGEST_DB, _LARGEST_DB))


def _powers(samples: Waveform) -> NDArray[np.float64]:
    """Return the mean power of each frame of 25 ms, shape (frames,)."""
    import numpy as np

    count = len(samples) // _FRAME
    frames = samples[: count * _FRAME].reshape(count, _FRAME).astype(np.float64)
    powers: NDArray[np.float64] = np.square(frames).mean(axis=1)
    return powers


def split_similarity(vectors: NDArray[np.float32]) -> float | None:
    """Return how alike the two most different parts of a recording are.

    The windows' embeddings are divided into two groups (2-means by cosine, begun with the pair that
    is furthest apart), of two windows at least each; the answer is the cosine between the groups'
    centroids. One voice gives a high one, two voices a low one.

    Args:
        vectors: shape (n, dimension), float32, of successive windows.

    Returns:
        -1 to 1; None where there are fewer than four windows, or one group has but one.
    """
    import numpy as np

    if len(vectors) < 4:
        return None
    rows = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    alike = rows @ rows.T
    first, second = np.unravel_index(int(np.argmin(alike)), alike.shape)
    centres = np.stack([rows[first], rows[second]])
    belongs = np.zeros(len(rows), int)
    for _ in range(20):
        before, belongs = belongs, np.argmax(rows @ centres.T, axis=1)
        if min(int(belongs.sum()), int(len(rows) - belongs.sum())) < 2:
            return None
        centres = np.stack([rows[belongs == group].mean(axis=0) for group in (0, 1)])
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
        if np.array_equal(before, belongs):
            break
    return float(centres[0] @ centres[1])
