"""Speech: where in a recording somebody speaks, what is said, and saying it."""

from holdfast.speech._clips import LONGEST_CLIP_S, RECORDING, Clip, ClipCutter, TurnDetection
from holdfast.speech._engine import (
    EngineUnusable,
    VoiceActivityEngine,
    VoiceActivityStream,
    detect_speech,
)
from holdfast.speech._formats import (
    FORMATS,
    Format,
    Transcript,
    subtitles,
    transcript_json,
    with_speakers,
)
from holdfast.speech._languages import LANGUAGES, language_code
from holdfast.speech._live import Agreement, Listener, Started, Stopped
from holdfast.speech._reading import Reading, ReadingRequest
from holdfast.speech._sample import sample_recording
from holdfast.speech._segments import (
    OptionInvalid,
    Segment,
    SegmentFinder,
    VadOptions,
    find_segments,
)
from holdfast.speech._sentences import sentences
from holdfast.speech._speaking import MOST_CHARACTERS, Speaking, SpeakingRequest, Spoken
from holdfast.speech._synthesis import SpokenVoice, SynthesisEngine, TextUnpronounceable
from holdfast.speech._transcript import Passage, ReadOptions, Task, TranscriptionEngine, Word
from holdfast.speech._turns import UNKNOWN_SPEAKER, VoiceNaming

__all__ = [
    "FORMATS",
    "LANGUAGES",
    "LONGEST_CLIP_S",
    "MOST_CHARACTERS",
    "RECORDING",
    "UNKNOWN_SPEAKER",
    "Agreement",
    "Clip",
    "ClipCutter",
    "EngineUnusable",
    "Format",
    "Listener",
    "OptionInvalid",
    "Passage",
    "ReadOptions",
    "Reading",
    "ReadingRequest",
    "Segment",
    "SegmentFinder",
    "Speaking",
    "SpeakingRequest",
    "Spoken",
    "SpokenVoice",
    "Started",
    "Stopped",
    "SynthesisEngine",
    "Task",
    "TextUnpronounceable",
    "Transcript",
    "TranscriptionEngine",
    "TurnDetection",
    "VadOptions",
    "VoiceActivityEngine",
    "VoiceActivityStream",
    "VoiceNaming",
    "Word",
    "detect_speech",
    "find_segments",
    "language_code",
    "sample_recording",
    "sentences",
    "subtitles",
    "transcript_json",
    "with_speakers",
]
