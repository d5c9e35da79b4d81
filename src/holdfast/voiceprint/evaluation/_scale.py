"""The scale that a model's scores are read on, from trials.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.voiceprint._decide import Scale
from holdfast.voiceprint.evaluation._calibrate import fit_affine
from holdfast.voiceprint.evaluation._curves import Curve, detection_curve
from holdfast.voiceprint.evaluation._forms import Trial

__all__ = ["scale_of"]

# A threshold that refuses more of the speaker's own trials helps nobody.
_MOST_MISSED = 0.5


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

    The rates are those of the same trials; how far they may be off is given with them. A ratio is
    given up to what so many trials of a kind can show (one more than there are, to one).

    Raises:
        ValueError: the trials do not tell speakers apart, or are too few for what is asked.
    """
    for share, what in ((most_false_accepts, "accepts"), (most_false_rejects, "rejects")):
        if not 0 < share < 1:
            raise ValueError(f"the share of false {what} must be between 0 and 1, not {share:g}")
    targets, nontargets = (
        np.array([score for trial, score in scored if trial.label == label])
        for label in ("target", "nontarget")
    )
    curve = detection_curve(targets, nontargets)
    _enough(len(nontargets), most_false_accepts, "of different speakers", "--false-accepts")
    accept_at = _accepting(curve, most_false_accepts)
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
        false_accept_at_most=_at_most(false_accept, len(nontargets)),
        false_reject_at_most=_at_most(miss, len(targets)),
        trials=len(targets) + len(nontargets),
        slope=calibration.slope,
        offset=calibration.offset,
        llr_least=-float(np.log(len(targets) + 1)),
        llr_most=float(np.log(len(nontargets) + 1)),
        min_same_voice=min_same_voice,
        cohort=cohort,
    )


def _accepting(curve: Curve, most: float) -> float:
    """Return the lowest threshold at which at most this share of the others is accepted."""
    # The last threshold is infinity, which is none.
    held = curve.thresholds[:-1][curve.false_accept[:-1] <= most]
    if not len(held):
        raise ValueError(
            f"no threshold keeps false accepts at {most:.2%} or less: some trials of different "
            "speakers score as high as any of the same"
        )
    accept_at = float(held[0])
    miss, _ = curve.at(accept_at)
    if miss > _MOST_MISSED:
        raise ValueError(
            f"{miss:.0%} of the trials of the same speaker would not be accepted: the lowest "
            f"threshold with {most:.2%} of false accepts is {accept_at:.3f}; are the labels right?"
        )
    return accept_at


def _enough(count: int, share: float, what: str, option: str) -> None:
    if count * share < 1:
        raise ValueError(
            f"there are {count} trials {what}, and fewer than {int(np.ceil(1 / share))} cannot "
            f"show a share of {share:g}; {option} {min(1 / max(count, 1), 0.5):.2g} would be shown"
        )


def _at_most(rate: float, count: int) -> float:
    """Return the upper end of an exact one-sided interval of 95 % (Clopper and Pearson, 1934)."""
    from scipy.stats import beta

    errors = round(rate * count)
    return 1.0 if errors >= count else float(beta.ppf(0.95, errors + 1, count - errors))
