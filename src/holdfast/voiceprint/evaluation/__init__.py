"""How good a system is on trials: error rates, costs, calibration. Needs numpy; PAV needs SciPy."""

from holdfast.voiceprint.evaluation._calibrate import Affine, fit_affine
from holdfast.voiceprint.evaluation._curves import (
    ASVSPOOF5_COSTS,
    Curve,
    DetectionCosts,
    SpoofCosts,
    act_dcf,
    cllr,
    detection_curve,
    eer,
    min_a_dcf,
    min_cllr,
    min_dcf,
)
from holdfast.voiceprint.evaluation._report import Figure, evaluate
from holdfast.voiceprint.evaluation._scale import scale_of
from holdfast.voiceprint.evaluation._trials import ScoreFile, Trial, TrialsInvalid, read_trials

__all__ = [
    "ASVSPOOF5_COSTS",
    "Affine",
    "Curve",
    "DetectionCosts",
    "Figure",
    "ScoreFile",
    "SpoofCosts",
    "Trial",
    "TrialsInvalid",
    "act_dcf",
    "cllr",
    "detection_curve",
    "eer",
    "evaluate",
    "fit_affine",
    "min_a_dcf",
    "min_cllr",
    "min_dcf",
    "read_trials",
    "scale_of",
]
