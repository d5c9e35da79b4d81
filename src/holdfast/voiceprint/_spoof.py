"""Whether speech is a person's own: what a detector is, and how its scores are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from holdfast.voiceprint._decide import SpoofVerdict

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["Detector", "Judged", "SpoofEngine", "detector_loader", "judge_speech", "verdict"]

_FEWEST = 8_000


class SpoofEngine(Protocol):
    """A loaded detector of synthetic, converted or replayed speech."""

    def scores(self, waveforms: Sequence[Waveform]) -> Sequence[float]:
        """Return, for each recording, the natural log-odds that it is bona fide.

        Args:
            waveforms: float32, shape (samples,), mono, 16 kHz, of any lengths.

        Raises:
            EngineAnswerInvalid: a score is no number.
        """

    def close(self) -> None:
        """Give the model's memory back. Nothing may be asked afterwards."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What a detector makes of speech. ``score`` is None where there is too little of it."""

    score: float | None
    model: str


class Detector:
    """An engine, and what tells its model from others.

    Args:
        engine: the loaded model.
        model: fingerprint of its weights.
    """

    def __init__(self, engine: SpoofEngine, model: str) -> None:
        self.engine = engine
        self.model = model

    def close(self) -> None:
        """Give the model's memory back."""
        self.engine.close()


def detector_loader(bona_fide: str) -> partial[Detector]:
    """Return what loads a detector, in this process or in another one.

    Args:
        bona_fide: the output that stands for a person's own speech: a label of the model's, or the
            number of an output. All others stand for attacks.
    """
    return partial(_load, bona_fide=bona_fide)


def _load(folder: Path, device: str, *, bona_fide: str) -> Detector:
    from holdfast.voiceprint._voice import fingerprint
    from holdfast.voiceprint.engines.spoof_graph import graph_of, load_spoof_graph
    from holdfast.voiceprint.engines.spoof_transformers import (
        load_spoof_transformers,
        weights_of,
    )

    graph = graph_of(folder)
    if graph is not None and device == "cpu":
        return Detector(load_spoof_graph(graph, device, bona_fide), fingerprint(graph))
    weights = weights_of(folder)
    return Detector(load_spoof_transformers(folder, device, bona_fide), fingerprint(weights))


def judge_speech(detector: Detector, speeches: list[Waveform]) -> list[Judged]:
    """Score several recordings at once.

    Args:
        detector: the loaded model.
        speeches: float32, shape (samples,), mono, 16 kHz: speech with its pauses.
    """
    long = [speech for speech in speeches if len(speech) >= _FEWEST]
    scores = iter(detector.engine.scores(long) if long else ())
    return [
        Judged(float(next(scores)) if len(speech) >= _FEWEST else None, detector.model)
        for speech in speeches
    ]


def verdict(judged: Judged, threshold: float) -> SpoofVerdict:
    """Return what is said of speech: a spoof where its log-odds are below the threshold."""
    if judged.score is None:
        return SpoofVerdict(
            "not_evaluated", model=judged.model, reason="there is too little speech"
        )
    attack = judged.score < threshold
    return SpoofVerdict("spoof" if attack else "bona_fide", judged.score, threshold, judged.model)
