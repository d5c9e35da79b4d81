"""Speech: where in a recording somebody speaks."""

from holdfast.speech._engine import (
    EngineUnusable,
    VoiceActivityEngine,
    VoiceActivityStream,
    detect_speech,
)
from holdfast.speech._sample import sample_recording
from holdfast.speech._segments import (
    OptionInvalid,
    Segment,
    SegmentFinder,
    VadOptions,
    find_segments,
)

__all__ = [
    "EngineUnusable",
    "OptionInvalid",
    "Segment",
    "SegmentFinder",
    "VadOptions",
    "VoiceActivityEngine",
    "VoiceActivityStream",
    "detect_speech",
    "find_segments",
    "sample_recording",
]
