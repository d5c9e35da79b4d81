"""What a speaker model is: recordings in, embeddings out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from holdfast.media import MediaError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from holdfast.media import Waveform

__all__ = ["ClipTooShort", "EmbeddingEngine", "RecordingTooLong", "embed_recording"]


class ClipTooShort(MediaError):
    """A recording with too few samples for a speaker model."""

    code = "clip-too-short"


class RecordingTooLong(MediaError):
    """A recording that is longer than any voiceprint needs."""

    code = "recording-too-long"
    http_status = 413


class EmbeddingEngine(Protocol):
    """A loaded model. May be asked from several threads at once."""

    @property
    def dimension(self) -> int:
        """Numbers in an embedding."""

    @property
    def sample_rate(self) -> int:
        """What recordings must have, in Hz."""

    def embed(self, waveforms: Sequence[Waveform]) -> NDArray[np.float32]:
        """Return an embedding of each recording.

        A recording of more than 30 seconds is cut into windows; see `embed_recording`.

        Args:
            waveforms: float32, shape (samples,), mono, 16 kHz, of any lengths.

        Returns:
            float32, shape (recordings, dimension), of the length that the model gives them.

        Raises:
            ClipTooShort: a recording has too few samples.
            EngineAnswerInvalid: an embedding is not made of numbers.
        """

    def close(self) -> None:
        """Give the model's memory back. Nothing may be asked afterwards."""


def embed_recording(engine: EmbeddingEngine, blocks: Iterable[Waveform]) -> NDArray[np.float32]:
    """Return the embedding of a recording of any length, read block by block.

    It is cut into windows of 30 seconds, the last two of equal length, so that none is short.
    Their embeddings are averaged by direction, each counting as its length in seconds, and the
    average gets their mean magnitude: no loud or odd window outweighs another. Memory holds two
    windows, however long the recording. A recording of one window has the model's own embedding.

    Args:
        engine: a loaded model.
        blocks: the recording in order, float32, shape (samples,), mono, 16 kHz, as
            `holdfast.media.audio_blocks` yields it.

    Returns:
        float32, shape (dimension,).

    Raises:
        The errors of `EmbeddingEngine.embed`.
    """
    from holdfast.voiceprint._windows import merged, windows

    embeddings, samples = [], []
    for window in windows(blocks):
        embeddings.append(engine.embed([window])[0])
        samples.append(len(window))
    return merged(embeddings, samples)
