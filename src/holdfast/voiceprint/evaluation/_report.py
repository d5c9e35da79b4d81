"""Everything that is reported of a system on a list of trials, with its uncertainty.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from holdfast.voiceprint.evaluation._curves import (
    DetectionCosts,
    Floats,
    act_dcf,
    cllr,
    detection_curve,
    eer,
    min_a_dcf,
    min_cllr,
    min_dcf,
)
from holdfast.voiceprint.evaluation._trials import Trial

__all__ = ["Figure", "evaluate"]

_PRIORS = (0.01, 0.05)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure, and the interval that holds 95 % of what other speakers would have given."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"value": self.value, "low": self.low, "high": self.high}


def evaluate(
    scored: Sequence[tuple[Trial, float]],
    calibration: Callable[[float], float | None],
    *,
    samples: int = 200,
    seed: int = 1,
) -> Mapping[str, Figure]:
    """Return the measures of verification on trials.

    Args:
        scored: every trial and its score.
        calibration: log-likelihood ratio of a score, or None; without it Cllr and actDCF are left
            out, which mean nothing of plain scores.
        samples: how often the speakers are drawn anew for the intervals; 0 for none.
        seed: of the draws.

    Returns:
        by name: ``eer``, ``min_dcf_0.01`` and so on. Costs are normalised; a-DCF is there where
        there are attacks, with ASVspoof 5's priors and costs.

    Raises:
        ValueError: there are no trials of a kind.
    """
    trials = [trial for trial, _ in scored]
    scores = np.array([score for _, score in scored])
    labels = np.array([trial.label for trial in trials])
    calibrated = all(calibration(float(score)) is not None for score in scores[:1])
    ratios = np.array([calibration(float(score)) for score in scores]) if calibrated else None

    def measures(weights: Floats) -> dict[str, float]:
        return _measures(scores, ratios, labels, weights)

    found = measures(np.ones(len(scores)))
    drawn: dict[str, list[float]] = {name: [] for name in found}
    random = np.random.default_rng(seed)
    groups = _speakers(trials)
    for _ in range(samples):
        weights = _drawn(random, groups)
        try:
            for name, value in measures(weights).items():
                drawn[name].append(value)
        except ValueError:
            continue  # a draw without trials of a kind says nothing
    figures = {}
    for name, value in found.items():
        low = high = None
        if drawn[name]:
            low, high = (float(edge) for edge in np.quantile(drawn[name], [0.025, 0.975]))
        figures[name] = Figure(value, low, high)
    if "spoof" in labels:
        of = {label: scores[labels == label] for label in ("target", "nontarget", "spoof")}
        figures["min_a_dcf"] = Figure(min_a_dcf(of["target"], of["nontarget"], of["spoof"])[0])
    return figures


def _measures(
    scores: Floats, ratios: Floats | None, labels: Any, weights: Floats
) -> dict[str, float]:
    chosen = weights > 0
    is_target, is_other = (chosen & (labels == label) for label in ("target", "nontarget"))
    of_targets, of_others = weights[is_target], weights[is_other]
    curve = detection_curve(scores[is_target], scores[is_other], of_targets, of_others)
    found = {"eer": eer(curve)[0]}
    for prior in _PRIORS:
        found[f"min_dcf_{prior:g}"] = min_dcf(curve, DetectionCosts(prior))[0]
    found["min_cllr"] = min_cllr(scores[is_target], scores[is_other], of_targets, of_others)
    if ratios is not None:
        calibrated = detection_curve(ratios[is_target], ratios[is_other], of_targets, of_others)
        found["cllr"] = cllr(ratios[is_target], ratios[is_other], of_targets, of_others)
        for prior in _PRIORS:
            found[f"act_dcf_{prior:g}"] = act_dcf(calibrated, DetectionCosts(prior))
    return found


def _speakers(trials: Sequence[Trial]) -> Any:
    """Return the two speakers of each trial, numbered, shape (n, 2).

    A recording's speaker is its first folder, as in VoxCeleb; without folders each recording counts
    for itself. Trials of one speaker depend on each other, so that whole speakers are drawn.
    """
    names: dict[str, int] = {}
    return np.array(
        [
            [names.setdefault(file.split("/", 1)[0], len(names)) for file in trial[1:]]
            for trial in trials
        ]
    )


def _drawn(random: np.random.Generator, groups: Any) -> Floats:
    """Draw as many speakers as there are, with replacement; return the trials' weights."""
    count = int(groups.max()) + 1
    times = np.bincount(random.integers(0, count, count), minlength=count)
    weights: Floats = (times[groups[:, 0]] * times[groups[:, 1]]).astype(np.float64)
    return weights
