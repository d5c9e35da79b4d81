"""How good a system is on trials: error rates, costs, calibration. Needs numpy; PAV needs SciPy."""

from holdfast.voiceprint.evaluation._calibrate import Affine, fit_affine
from holdfast.voiceprint.evaluation._compare import pair_scores, tandem_scores
from holdfast.voiceprint.evaluation._curves import (
    ASVSPOOF5_COSTS,
    ASVSPOOF5_DETECTOR_COSTS,
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
from holdfast.voiceprint.evaluation._folder import require_folder, write_report
from holdfast.voiceprint.evaluation._forms import (
    FORMS,
    Form,
    LinesInvalid,
    Trial,
    enrolment_of,
    parse,
)
from holdfast.voiceprint.evaluation._kept import Measured, ScoreFile, Scores, WorkFile
from holdfast.voiceprint.evaluation._page import Picture, page
from holdfast.voiceprint.evaluation._plots import Mark, det_plot, require_plots, score_plot
from holdfast.voiceprint.evaluation._rate import (
    Figure,
    Point,
    Rating,
    evaluate,
    evaluate_detector,
)
from holdfast.voiceprint.evaluation._report import Outcomes, Report, outcomes_of
from holdfast.voiceprint.evaluation._scale import scale_of
from holdfast.voiceprint.evaluation._trials import (
    DetectorMissing,
    RecordingsUnusable,
    TrialList,
    TrialsInvalid,
    read_trials,
)

__all__ = [
    "ASVSPOOF5_COSTS",
    "ASVSPOOF5_DETECTOR_COSTS",
    "FORMS",
    "Affine",
    "Curve",
    "DetectionCosts",
    "DetectorMissing",
    "Figure",
    "Form",
    "LinesInvalid",
    "Mark",
    "Measured",
    "Outcomes",
    "Picture",
    "Point",
    "Rating",
    "RecordingsUnusable",
    "Report",
    "ScoreFile",
    "Scores",
    "SpoofCosts",
    "Trial",
    "TrialList",
    "TrialsInvalid",
    "WorkFile",
    "act_dcf",
    "cllr",
    "det_plot",
    "detection_curve",
    "eer",
    "enrolment_of",
    "evaluate",
    "evaluate_detector",
    "fit_affine",
    "min_a_dcf",
    "min_cllr",
    "min_dcf",
    "outcomes_of",
    "page",
    "pair_scores",
    "parse",
    "read_trials",
    "require_folder",
    "require_plots",
    "scale_of",
    "score_plot",
    "tandem_scores",
    "write_report",
]
