"""Speech: where in a recording somebody speaks, what is said, and saying it."""

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
from holdfast.speech._synthesis import SpokenVoice, SynthesisEngine
from holdfast.speech._transcript import Passage, ReadOptions, Task, TranscriptionEngine, Word

__all__ = [
    "EngineUnusable",
    "OptionInvalid",
    "Passage",
    "ReadOptions",
    "Segment",
    "SegmentFinder",
    "SpokenVoice",
    "SynthesisEngine",
    "Task",
    "TranscriptionEngine",
    "VadOptions",
    "VoiceActivityEngine",
    "VoiceActivityStream",
    "Word",
    "detect_speech",
    "find_segments",
    "sample_recording",
]
