"""Voiceprint: who speaks, as a point in a space where the same voice comes out close by."""

from holdfast.voiceprint._answers import Candidate, Enrolment, Identification, Verification
from holdfast.voiceprint._app import Limits, Voiceprint
from holdfast.voiceprint._cohort import FEWEST_IN_COHORT, Cohort, CohortInvalid, mean_voice
from holdfast.voiceprint._decide import (
    Decision,
    Scale,
    ScaleInvalid,
    SpoofVerdict,
    decide,
    read_scale,
)
from holdfast.voiceprint._engine import (
    ClipTooShort,
    EmbeddingEngine,
    RecordingTooLong,
    embed_recording,
)
from holdfast.voiceprint._examine import NOT_EVALUATED, Detection, Examined, Heard
from holdfast.voiceprint._naming import Naming
from holdfast.voiceprint._quality import (
    Gates,
    Quality,
    Refusal,
    measure,
    refusals,
    spoken,
    with_pauses,
)
from holdfast.voiceprint._sample import SampleVoices, sample_voices
from holdfast.voiceprint._scores import alike
from holdfast.voiceprint._spoof import Detector, SpoofEngine, detector_loader
from holdfast.voiceprint._starter import starter_model
from holdfast.voiceprint._voice import (
    FINGERPRINT_FILE,
    SCALE_FILE,
    Voice,
    fingerprint,
    load_voice,
)

__all__ = [
    "FEWEST_IN_COHORT",
    "FINGERPRINT_FILE",
    "NOT_EVALUATED",
    "SCALE_FILE",
    "Candidate",
    "ClipTooShort",
    "Cohort",
    "CohortInvalid",
    "Decision",
    "Detection",
    "Detector",
    "EmbeddingEngine",
    "Enrolment",
    "Examined",
    "Gates",
    "Heard",
    "Identification",
    "Limits",
    "Naming",
    "Quality",
    "RecordingTooLong",
    "Refusal",
    "SampleVoices",
    "Scale",
    "ScaleInvalid",
    "SpoofEngine",
    "SpoofVerdict",
    "Verification",
    "Voice",
    "Voiceprint",
    "alike",
    "decide",
    "detector_loader",
    "embed_recording",
    "fingerprint",
    "load_voice",
    "mean_voice",
    "measure",
    "read_scale",
    "refusals",
    "sample_voices",
    "spoken",
    "starter_model",
    "with_pauses",
]
