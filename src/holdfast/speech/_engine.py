"""What a voice activity engine is: samples in, probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from holdfast.runtime import EngineUnusable
from holdfast.speech._segments import Segment, SegmentFinder, VadOptions

if TYPE_CHECKING:
    from holdfast.media import Waveform

__all__ = ["EngineUnusable", "VoiceActivityEngine", "VoiceActivityStream", "detect_speech"]


class VoiceActivityStream(Protocol):
    """One recording on its way through an engine."""

    def feed(self, waveform: Waveform) -> Sequence[float]:
        """Take samples (float32, shape (samples,), mono, 16 kHz); return those frames' speech
        probabilities that are complete."""

    def finish(self) -> Sequence[float]:
        """Return the probability of the last frame, filled up with silence, if one is open."""

    @property
    def held(self) -> object:
        """All that is remembered, as data that may go to another process; see ``start``."""


class VoiceActivityEngine(Protocol):
    """A loaded model. May serve several recordings at once, from several threads."""

    @property
    def frame_samples(self) -> int:
        """Samples per probability, at 16 kHz."""

    def start(self, held: object = None) -> VoiceActivityStream:
        """Begin a recording, or go on with one whose stream held this."""

    def close(self) -> None:
        """Give the model's memory back. Nothing may be started afterwards."""


def detect_speech(
    engine: VoiceActivityEngine, blocks: Iterable[Waveform], options: VadOptions | None = None
) -> list[Segment]:
    """Return the segments of speech in a recording.

    Args:
        engine: a loaded model.
        blocks: the recording in order, float32, shape (samples,), mono, 16 kHz, as
            `holdfast.media.audio_blocks` yields it.
        options: Silero's defaults where None.
    """
    stream = engine.start()
    finder = SegmentFinder(options or VadOptions())
    total = 0
    for block in blocks:
        finder.feed(stream.feed(block))
        total += len(block)
    finder.feed(stream.finish())
    return finder.finish(total)
