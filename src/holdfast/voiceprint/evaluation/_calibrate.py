"""From scores to log-likelihood ratios, by logistic regression.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from holdfast.voiceprint.evaluation._curves import Floats

__all__ = ["Affine", "fit_affine"]

_MOST_STEPS = 100
_STILL = 1e-10
# Of the slope: trials that do not overlap at all would ask for an infinite one.
_RIDGE = 1e-6


class Affine(NamedTuple):
    """A calibration: log-likelihood ratio = ``slope`` * score + ``offset`` (natural logarithm)."""

    slope: float
    offset: float

    def __call__(self, score: float) -> float:
        """Return the log-likelihood ratio of a score."""
        return self.slope * score + self.offset


def fit_affine(targets: Floats, nontargets: Floats, p_target: float = 0.5) -> Affine:
    """Fit a calibration by prior-weighted logistic regression (Brümmer, 2010).

    Newton's method on the two parameters; both kinds of trials weigh as ``p_target`` says, however
    many there are.

    Args:
        targets: shape (n,), scores of the same speaker.
        nontargets: shape (m,), scores of different speakers.
        p_target: where calibration is to be best: the prior of a target trial there.

    Raises:
        ValueError: there are no trials of a kind, a score is not finite, or the targets' scores are
            not higher than the others'.
    """
    if not len(targets) or not len(nontargets):
        raise ValueError("trials of both kinds are needed")
    scores = np.concatenate([targets, nontargets]).astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("every score must be a finite number")
    centre, width = float(scores.mean()), float(scores.std()) or 1.0
    inputs = np.stack([(scores - centre) / width, np.ones(len(scores))])
    signs = np.concatenate([np.ones(len(targets)), -np.ones(len(nontargets))])
    weights = np.concatenate(
        [
            np.full(len(targets), p_target / len(targets)),
            np.full(len(nontargets), (1 - p_target) / len(nontargets)),
        ]
    )
    prior = np.log(p_target / (1 - p_target))
    found = np.array([1.0, 0.0])
    ridge = np.array([_RIDGE, 0.0])
    for _ in range(_MOST_STEPS):
        wrong = _wrongness(signs * (found @ inputs + prior))
        slope = inputs @ (weights * signs * wrong) - ridge * found
        bend = (inputs * (weights * wrong * (1 - wrong))) @ inputs.T + np.diag(ridge + 1e-15)
        step = np.linalg.solve(bend, slope)
        # Far from the end a whole step can overshoot; half of its length at most four units.
        step *= min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-12))
        found = found + step
        if float(np.abs(step).max()) < _STILL:
            break
    if found[0] <= 0:
        raise ValueError("the scores of the same speaker are not higher than those of others")
    slope_of_score = found[0] / width
    return Affine(float(slope_of_score), float(found[1] - slope_of_score * centre))


def _wrongness(margins: Floats) -> Floats:
    """Return the logistic function of the negative margins, without overflow."""
    small = np.exp(-np.abs(margins))
    chances: Floats = np.where(margins >= 0, small, 1.0) / (1.0 + small)
    return chances
