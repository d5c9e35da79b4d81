"""Long recordings in windows, and their embeddings as one. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.media import Waveform

__all__ = ["WINDOW_SAMPLES", "merged", "windows"]

WINDOW_SAMPLES = 30 * 16_000


def windows(blocks: Iterable[Waveform], size: int = WINDOW_SAMPLES) -> Iterator[Waveform]:
    """Cut a recording into windows of ``size`` samples, the last two of them equally long.

    Yields:
        at least one window, which is the whole recording where that has at most ``size`` samples.
    """
    held = 0
    waiting: list[Waveform] = []
    for block in blocks:
        waiting.append(block)
        held += len(block)
        while held > 2 * size:
            joined = np.concatenate(waiting)
            yield joined[:size]
            waiting, held = [joined[size:]], held - size
    rest = np.concatenate(waiting) if waiting else np.zeros(0, np.float32)
    if held <= size:
        yield rest
    else:
        yield rest[: held // 2]
        yield rest[held // 2 :]


def merged(
    embeddings: Sequence[NDArray[np.float32]], samples: Sequence[int]
) -> NDArray[np.float32]:
    """Return one embedding for several windows of a recording.

    Args:
        embeddings: float32, shape (dimension,), one for each window.
        samples: the windows' lengths, by which they count.

    Returns:
        float32, shape (dimension,): the mean of the directions, with the mean magnitude.
    """
    if len(embeddings) == 1:
        return embeddings[0]
    rows = np.stack(embeddings).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    weights = np.asarray(samples, np.float64)[:, None] / sum(samples)
    mean = (weights * rows / np.maximum(lengths, 1e-12)).sum(axis=0)
    magnitude = (weights * lengths).sum() / max(float(np.linalg.norm(mean)), 1e-12)
    whole: NDArray[np.float32] = (mean * magnitude).astype(np.float32)
    return whole
