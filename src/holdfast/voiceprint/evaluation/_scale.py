"""The scale that a model's scores are read on, from trials.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.voiceprint._decide import Scale
from holdfast.voiceprint.evaluation._calibrate import fit_affine
from holdfast.voiceprint.evaluation._curves import detection_curve
from holdfast.voiceprint.evaluation._forms import Trial

__all__ = ["scale_of"]


def scale_of(
    model: str,
    scored: Sequence[tuple[Trial, float]],
    *,
    data: str,
    most_false_accepts: float = 0.01,
    most_false_rejects: float = 0.01,
    min_same_voice: float | None = None,
    cohort: str = "",
) -> Scale:
    """Return thresholds and calibration that these trials give.

    Args:
        model: fingerprint of the model that scored them.
        scored: trials and their scores; attacks among them are left out.
        data: what they are, for people.
        most_false_accepts: accepted is from the lowest threshold at which at most this share of
            the others' trials is.
        most_false_rejects: rejected is below the highest threshold at which at most this share of
            the speaker's own trials is, and never what is accepted.
        min_same_voice: see `Gates`.
        cohort: digest of what the scores were normalised with; "" for cosines.

    Raises:
        ValueError: the trials do not tell speakers apart, or are none.
    """
    targets, nontargets = (
        np.array([score for trial, score in scored if trial.label == label])
        for label in ("target", "nontarget")
    )
    curve = detection_curve(targets, nontargets)
    accepting = curve.thresholds[curve.false_accept <= most_false_accepts]
    # The last is infinity; the highest score that was seen stands for it.
    accept_at = min(float(accepting[0]), float(curve.thresholds[-2]))
    rejecting = curve.thresholds[curve.miss <= most_false_rejects]
    reject_below = min(float(rejecting[-1]) if len(rejecting) else accept_at, accept_at)
    miss, false_accept = curve.at(accept_at)
    calibration = fit_affine(targets, nontargets)
    return Scale(
        model=model,
        accept_at=accept_at,
        reject_below=reject_below,
        data=data,
        false_accept_rate=false_accept,
        false_reject_rate=miss,
        trials=len(targets) + len(nontargets),
        slope=calibration.slope,
        offset=calibration.offset,
        min_same_voice=min_same_voice,
        cohort=cohort,
    )
