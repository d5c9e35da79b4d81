"""Error rates as a function of the threshold, and the measures taken from them.

Rules only; nothing here does I/O. A trial is accepted when its score is at or above the threshold.
Scores are higher for the same speaker. Weights let one trial stand for several (bootstrap).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ASVSPOOF5_COSTS",
    "ASVSPOOF5_DETECTOR_COSTS",
    "Curve",
    "DetectionCosts",
    "Floats",
    "SpoofCosts",
    "a_dcf_of",
    "act_dcf",
    "cllr",
    "detection_curve",
    "eer",
    "min_a_dcf",
    "min_cllr",
    "min_cllr_of",
    "min_dcf",
]

Floats = NDArray[np.float64]
# What stands for certainty where a logarithm would be infinite.
_LARGEST_LLR = 1e6


@dataclass(frozen=True, slots=True)
class Curve:
    """Error rates at every threshold that makes a difference.

    Attributes:
        thresholds: shape (n,), ascending; the last is infinity: nothing is accepted.
        miss: shape (n,), share of targets below the threshold; ascending from 0 to 1.
        false_accept: shape (n,), share of non-targets at or above it; descending from 1 to 0.
    """

    thresholds: Floats
    miss: Floats
    false_accept: Floats

    def at(self, threshold: float) -> tuple[float, float]:
        """Return the miss and the false-accept rate when ``threshold`` is applied."""
        place = int(np.searchsorted(self.thresholds, threshold, side="left"))
        place = min(place, len(self.thresholds) - 1)
        return float(self.miss[place]), float(self.false_accept[place])


class DetectionCosts(NamedTuple):
    """An application: how probable a target is, and what each kind of error costs."""

    p_target: float
    c_miss: float = 1.0
    c_false_accept: float = 1.0

    @property
    def bayes_threshold(self) -> float:
        """The log-likelihood ratio at and above which accepting is cheaper."""
        reject = self.c_miss * self.p_target
        accept = self.c_false_accept * (1 - self.p_target)
        return float(np.log(accept / reject))


class SpoofCosts(NamedTuple):
    """An application with spoofing attacks: priors of the kinds of trials, costs of errors."""

    p_target: float
    p_nontarget: float
    p_spoof: float
    c_miss: float
    c_nontarget: float
    c_spoof: float


# ASVspoof 5 (Wang et al., "ASVspoof 5: crowdsourced speech data, deepfakes, and adversarial attacks
# at scale", 2024; calculate_metrics.py in github.com/asvspoof-challenge/asvspoof5): an attack in
# twenty trials, of the rest one in a hundred by somebody else. The defaults of a_DCF itself differ.
ASVSPOOF5_COSTS = SpoofCosts(0.95 * 0.99, 0.95 * 0.01, 0.05, 1.0, 10.0, 10.0)
# The same for a detector by itself (track 1): bona fide speech is the target.
ASVSPOOF5_DETECTOR_COSTS = DetectionCosts(0.95, 1.0, 10.0)


def detection_curve(
    targets: Floats,
    nontargets: Floats,
    target_weights: Floats | None = None,
    nontarget_weights: Floats | None = None,
) -> Curve:
    """Return the error rates of a set of trials.

    Args:
        targets: shape (n,), scores of the same speaker.
        nontargets: shape (m,), scores of different speakers.
        target_weights: shape (n,), at least 0; one each when None.
        nontarget_weights: shape (m,).

    Raises:
        ValueError: there are no trials of a kind, or a score is not finite.
    """
    _check(targets, nontargets)
    thresholds = np.unique(np.concatenate([targets, nontargets]))
    below = _share_below(targets, target_weights, thresholds)
    beneath = _share_below(nontargets, nontarget_weights, thresholds)
    return Curve(
        np.append(thresholds, np.inf), np.append(below, 1.0), np.append(1.0 - beneath, 0.0)
    )


def eer(curve: Curve) -> tuple[float, float]:
    """Return the equal error rate and the threshold that comes nearest to it.

    Between two thresholds with the miss rate below and above the false-accept rate, the rates are
    interpolated linearly, as along the sides of the ROC.
    """
    gap = curve.miss - curve.false_accept
    after = int(np.argmax(gap >= 0))  # the last is 1 - 0
    if after == 0 or gap[after] == 0:
        return float(curve.miss[after]), float(curve.thresholds[after])
    before = after - 1
    part = -gap[before] / (gap[after] - gap[before])
    rate = curve.miss[before] + part * (curve.miss[after] - curve.miss[before])
    nearest = before if -gap[before] <= gap[after] else after
    return float(rate), float(curve.thresholds[nearest])


def min_dcf(curve: Curve, costs: DetectionCosts) -> tuple[float, float]:
    """Return the least normalised detection cost over all thresholds, and where it is.

    Normalised by the cheaper of accepting all and rejecting all (NIST SRE): 1 is of no use.
    """
    spent = _costs(curve.miss, curve.false_accept, costs)
    least = int(np.argmin(spent))
    return float(spent[least]), float(curve.thresholds[least])


def act_dcf(curve: Curve, costs: DetectionCosts) -> float:
    """Return the normalised detection cost at the Bayes threshold; the scores must be LLRs."""
    miss, false_accept = curve.at(costs.bayes_threshold)
    return float(_costs(np.array([miss]), np.array([false_accept]), costs)[0])


def cllr(
    targets: Floats,
    nontargets: Floats,
    target_weights: Floats | None = None,
    nontarget_weights: Floats | None = None,
) -> float:
    """Return the cost of log-likelihood ratios in bits (Brümmer and du Preez, 2006).

    0 is perfect, 1 is what a system costs that says nothing.
    """
    missed = np.average(np.logaddexp(0, -targets), weights=target_weights)
    accepted = np.average(np.logaddexp(0, nontargets), weights=nontarget_weights)
    return float((missed + accepted) / (2 * np.log(2)))


def min_cllr(
    targets: Floats,
    nontargets: Floats,
    target_weights: Floats | None = None,
    nontarget_weights: Floats | None = None,
) -> float:
    """Return `cllr` after the best monotonous calibration (pool adjacent violators)."""
    _check(targets, nontargets)
    scores = np.concatenate([targets, nontargets])
    # Equal scores must get equal ratios: they are pooled before.
    thresholds, place = np.unique(scores, return_inverse=True)
    count = len(thresholds)
    return min_cllr_of(
        _counted(place[: len(targets)], _even(targets, target_weights), count),
        _counted(place[len(targets) :], _even(nontargets, nontarget_weights), count),
    )


def min_cllr_of(targets: Floats, nontargets: Floats) -> float:
    """Return `min_cllr` of trials that are counted already.

    Args:
        targets: shape (n,), the share of the targets at each score, the scores ascending.
        nontargets: shape (n,), the share of the non-targets.
    """
    from scipy.optimize import isotonic_regression

    total = targets + nontargets
    seen = total > 0
    targets, nontargets, total = targets[seen], nontargets[seen], total[seen]
    fitted = isotonic_regression(targets / total, weights=total).x
    with np.errstate(divide="ignore"):
        ratios = np.log(fitted) - np.log1p(-fitted)  # each kind weighs 1 in all: prior odds of 1
    ratios = np.clip(ratios, -_LARGEST_LLR, _LARGEST_LLR)
    missed, accepted = targets @ np.logaddexp(0, -ratios), nontargets @ np.logaddexp(0, ratios)
    return float((missed + accepted) / (2 * np.log(2)))


def min_a_dcf(
    targets: Floats,
    nontargets: Floats,
    spoofs: Floats,
    costs: SpoofCosts = ASVSPOOF5_COSTS,
) -> tuple[float, float]:
    """Return the least normalised a-DCF over all thresholds, and where it is.

    The architecture-agnostic detection cost of a system that must accept the target speaker's own
    speech and nothing else (Shim et al., "a-DCF", 2024).

    Args:
        targets: shape (n,), tandem scores of the same speaker's bona fide speech.
        nontargets: shape (m,), of other speakers' bona fide speech.
        spoofs: shape (k,), of attacks.
        costs: priors and costs.
    """
    _check(targets, nontargets)
    _check(targets, spoofs)
    thresholds = np.append(np.unique(np.concatenate([targets, nontargets, spoofs])), np.inf)
    miss = 1.0 - _accepted(targets, thresholds)
    spent = a_dcf_of(miss, _accepted(nontargets, thresholds), _accepted(spoofs, thresholds), costs)
    least = int(np.argmin(spent))
    return float(spent[least]), float(thresholds[least])


def a_dcf_of(miss: Floats, nontarget: Floats, spoof: Floats, costs: SpoofCosts) -> Floats:
    """Return the normalised a-DCF of error rates, shape (n,) each.

    Normalised by the cheaper of accepting all and rejecting all, as in the authors' own program
    (github.com/shimhz/a_DCF) and in ASVspoof 5's evaluation package.

    Args:
        miss: share of the targets that are rejected.
        nontarget: share of the non-targets that are accepted.
        spoof: share of the attacks that are accepted.
        costs: priors and costs.
    """
    rejecting = costs.c_miss * costs.p_target
    of_nontarget, of_spoof = costs.c_nontarget * costs.p_nontarget, costs.c_spoof * costs.p_spoof
    spent: Floats = rejecting * miss + of_nontarget * nontarget + of_spoof * spoof
    return spent / min(rejecting, of_nontarget + of_spoof)


def _costs(miss: Floats, false_accept: Floats, costs: DetectionCosts) -> Floats:
    reject = costs.c_miss * costs.p_target
    accept = costs.c_false_accept * (1 - costs.p_target)
    return (reject * miss + accept * false_accept) / min(reject, accept)


def _accepted(scores: Floats, thresholds: Floats) -> Floats:
    return 1.0 - np.searchsorted(np.sort(scores), thresholds, side="left") / len(scores)


def _share_below(scores: Floats, weights: Floats | None, thresholds: Floats) -> Floats:
    order = np.argsort(scores, kind="stable")
    cumulated = np.concatenate([[0.0], np.cumsum(_even(scores, weights)[order])])
    places = np.searchsorted(scores[order], thresholds, side="left")
    shares: Floats = cumulated[places] / cumulated[-1]
    return shares


def _even(scores: Floats, weights: Floats | None) -> Floats:
    """Return weights that add up to 1."""
    given = np.ones(len(scores)) if weights is None else weights
    even: Floats = given / given.sum()
    return even


def _counted(places: NDArray[np.intp], weights: Floats, count: int) -> Floats:
    counted: Floats = np.bincount(places, weights, count).astype(np.float64)
    return counted


def _check(targets: Floats, nontargets: Floats) -> None:
    if not len(targets) or not len(nontargets):
        raise ValueError("trials of both kinds are needed")
    if not (np.isfinite(targets).all() and np.isfinite(nontargets).all()):
        raise ValueError("every score must be a finite number")
