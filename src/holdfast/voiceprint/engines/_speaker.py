"""What every speaker engine does around its network: check, cut, make features, batch, merge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from holdfast.runtime import EngineAnswerInvalid, EngineUnusable, check_wanted
from holdfast.voiceprint._engine import ClipTooShort
from holdfast.voiceprint._windows import merged, windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.media import Waveform

    Floats: TypeAlias = NDArray[np.float32]

__all__ = ["RATE_HZ", "Network", "SpeakerEngine"]

RATE_HZ = 16_000
# A batch is for many short clips. A clip of some seconds keeps every core busy by itself, and more
# than about ten seconds at once only push each other out of the processor's caches.
_SAMPLES_AT_ONCE = 10 * RATE_HZ
_TRIAL_SAMPLES = RATE_HZ // 2


class Network(NamedTuple):
    """The model between features and embeddings.

    Attributes:
        run: float32, (clips, frames, n_mels), to float32, (clips, dimension).
        features: float32, (samples,), to float32, (frames, n_mels).
        least_samples: the shortest clip that it can take.
    """

    run: Callable[[Floats], Floats]
    features: Callable[[Waveform], Floats]
    least_samples: int


class SpeakerEngine:
    """A loaded model; see `holdfast.voiceprint.EmbeddingEngine`."""

    def __init__(self, network: Network, name: str) -> None:
        """Try the network once.

        Args:
            network: the model.
            name: of its file, for what is said about it.

        Raises:
            EngineUnusable: what it answers is no embedding.
        """
        self._network: Network | None = network
        noise = np.random.default_rng(0).standard_normal(_TRIAL_SAMPLES, dtype=np.float32)
        answer = network.run(network.features(noise / np.float32(10))[None])
        if answer.ndim != 2 or len(answer) != 1 or not np.isfinite(answer).all():
            raise EngineUnusable(
                f"{name} gives no embeddings",
                why=f"it answered noise with {answer.shape}"
                + ("" if np.isfinite(answer).all() else ", not all of it numbers"),
                hint="holdfast verify, then holdfast repair; or another model",
            )
        self._dimension: int = answer.shape[1]

    @property
    def dimension(self) -> int:
        """Numbers in an embedding."""
        return self._dimension

    @property
    def sample_rate(self) -> int:
        """What recordings must have, in Hz."""
        return RATE_HZ

    def embed(self, waveforms: Sequence[Waveform]) -> Floats:
        """Return an embedding of each recording; see `holdfast.voiceprint.EmbeddingEngine`."""
        network = self._network
        if network is None:
            raise ValueError("the engine is closed")
        for waveform in waveforms:
            _check(waveform, network.least_samples)
        cut = [list(windows([waveform])) for waveform in waveforms]
        clips = [clip for part in cut for clip in part]
        found = np.zeros((len(clips), self._dimension), np.float32)
        for batch in _batches(clips):
            check_wanted()
            found[batch] = network.run(np.stack([network.features(clips[at]) for at in batch]))
        if not np.isfinite(found).all():
            raise EngineAnswerInvalid(
                "an embedding is not made of numbers",
                why="the recording holds samples that are no numbers, or the model's weights do",
                hint="holdfast verify",
            )
        rows = iter(found)
        together = [
            merged([next(rows) for _ in part], [len(clip) for clip in part]) for part in cut
        ]
        return np.stack(together) if together else found

    def close(self) -> None:
        """Give the model's memory back."""
        self._network = None


def _check(waveform: Waveform, least: int) -> None:
    if waveform.ndim != 1 or waveform.dtype != np.float32:
        raise ValueError(
            f"a waveform is float32, (samples,), not {waveform.dtype} {waveform.shape}"
        )
    if len(waveform) < least:
        raise ClipTooShort(
            "the recording is too short for a voiceprint",
            why=f"it has {len(waveform)} samples, and the model needs {least} "
            f"({1000 * least / RATE_HZ:.0f} ms)",
            hint="send some seconds of speech",
        )


def _batches(clips: Sequence[Waveform]) -> Iterator[list[int]]:
    """Yield indices of clips that go through the network together: of one length, none padded.

    Padding would change the embedding of whatever is padded.
    """
    lengths: dict[int, list[int]] = {}
    for index, clip in enumerate(clips):
        lengths.setdefault(len(clip), []).append(index)
    for length, indices in lengths.items():
        count = max(1, _SAMPLES_AT_ONCE // length)
        for start in range(0, len(indices), count):
            yield indices[start : start + count]
