"""A loaded speaker model together with what its scores mean, and the work that it does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.voiceprint._decide import Scale, read_scale

if TYPE_CHECKING:
    from holdfast.media import Waveform
    from holdfast.voiceprint._engine import EmbeddingEngine

__all__ = [
    "FINGERPRINT_FILE",
    "SCALE_FILE",
    "Embedded",
    "Voice",
    "embed_speech",
    "fingerprint",
    "load_voice",
]

FINGERPRINT_FILE = "fingerprint"
SCALE_FILE = "scale.json"
_WINDOW = 2 * 16_000
_HOP = 16_000
_FEWEST = 8_000
# SpeechBrain's own threshold for its model; what it means on other data nobody has measured here.
_USUAL_THRESHOLD = 0.25


@dataclass(frozen=True, slots=True)
class Embedded:
    """Speech as vectors.

    Attributes:
        vector: shape (dimension,), of all of it; None where there is too little.
        windows: shape (n, dimension), of each two seconds; None where there are not two.
        scale: how the model's scores are read.
    """

    vector: Any
    windows: Any
    scale: Scale


class Voice:
    """An engine, and the scale of its scores.

    Args:
        engine: the loaded model.
        scale: belongs to it.
    """

    def __init__(self, engine: EmbeddingEngine, scale: Scale) -> None:
        self.engine = engine
        self.scale = scale

    def close(self) -> None:
        """Give the model's memory back."""
        self.engine.close()


def load_voice(folder: Path, device: str) -> Voice:
    """Load the ECAPA-TDNN of a folder, and its scale where the folder has one.

    Raises:
        EngineUnusable, MissingExtra: as `load_ecapa`.
        ScaleInvalid: the folder's scale cannot be used.
    """
    from holdfast.voiceprint.engines.ecapa import CHECKPOINT, GRAPH, load_ecapa

    engine = load_ecapa(folder, device)
    given = folder / FINGERPRINT_FILE
    weights = folder / CHECKPOINT
    if given.is_file():
        model = given.read_text("ascii").strip()
    else:
        model = fingerprint(weights if weights.is_file() else folder / GRAPH)
    path = folder / SCALE_FILE
    if path.is_file():
        scale = read_scale(path.read_text("utf-8"), str(path)).for_model(model)
    else:
        scale = Scale(model=model, accept_at=_USUAL_THRESHOLD, reject_below=_USUAL_THRESHOLD)
    return Voice(engine, scale)


def fingerprint(path: Path) -> str:
    """Return what tells a model's weights from all others: 16 hexadecimal digits of its sha256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def embed_speech(voice: Voice, speeches: list[Waveform]) -> Sequence[Embedded]:
    """Embed several recordings at once, each as a whole and in windows of two seconds.

    Args:
        voice: the loaded model.
        speeches: float32, shape (samples,), mono, 16 kHz: speech without the silence around it.
    """
    pieces: list[Waveform] = []
    parts: list[tuple[int, int]] = []  # of each: where its pieces begin, and how many windows
    for speech in speeches:
        windows = [speech[at : at + _WINDOW] for at in range(0, len(speech) - _WINDOW + 1, _HOP)]
        windows = windows if len(windows) > 1 else []
        parts.append((len(pieces), len(windows)))
        if len(speech) >= _FEWEST:
            pieces += [speech, *windows]
    vectors = voice.engine.embed(pieces) if pieces else None
    found = []
    for speech, (at, count) in zip(speeches, parts, strict=True):
        if vectors is None or len(speech) < _FEWEST:
            found.append(Embedded(None, None, voice.scale))
            continue
        windows_of = vectors[at + 1 : at + 1 + count] if count else None
        found.append(Embedded(vectors[at], windows_of, voice.scale))
    return found
