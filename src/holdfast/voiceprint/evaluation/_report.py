"""What a rating says, for people and for programs.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from holdfast.voiceprint._decide import Scale, SpoofVerdict
from holdfast.voiceprint.evaluation._forms import Trial
from holdfast.voiceprint.evaluation._rate import Figure, Point, Rating

__all__ = ["Outcomes", "Report", "figure_text", "outcomes_of", "titled"]

# Of each figure: what it is called, and whether it is a share of trials.
_TITLES = {
    "eer": ("Equal error rate (EER)", True),
    "min_dcf": ("minDCF, ASVspoof 5 costs", False),
    "min_dcf_0.01": ("minDCF, prior 0.01", False),
    "min_dcf_0.05": ("minDCF, prior 0.05", False),
    "act_dcf_0.01": ("actDCF, prior 0.01", False),
    "act_dcf_0.05": ("actDCF, prior 0.05", False),
    "min_cllr": ("minCllr, bits", False),
    "cllr": ("Cllr, bits", False),
    "spf_eer": ("EER against attacks (SPF-EER)", True),
    "min_a_dcf": ("min a-DCF, ASVspoof 5 costs", False),
    "tandem_eer": ("EER behind the detector", True),
    "tandem_spf_eer": ("SPF-EER behind the detector", True),
    "tandem_min_a_dcf": ("min a-DCF behind the detector", False),
}


class Outcomes(NamedTuple):
    """What is decided of trials of one kind: shares, which add up to 1."""

    kind: str
    accepted: float
    inconclusive: float
    rejected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A rating, and what it is of.

    Attributes:
        name: of the list.
        form: of its lines.
        digest: of its content, sha256.
        model: fingerprint of the model that was rated.
        detector: what is mounted against attacks; "" for nothing.
        rating: the figures.
        counts: how many trials of each kind were scored.
        left_out: how many trials were not, because a recording of theirs cannot be used.
        unusable: how many recordings cannot, by the reason.
        scale: the thresholds in use; None where a detector is rated.
        outcomes: what is decided at the thresholds in use.
        version: of Holdfast.
        date: UTC, ISO 8601.
    """

    name: str
    form: str
    digest: str
    model: str
    detector: str = ""
    rating: Rating
    counts: Mapping[str, int]
    left_out: int = 0
    unusable: Mapping[str, int] = field(default_factory=dict)
    scale: Scale | None = None
    outcomes: Sequence[Outcomes] = ()
    version: str
    date: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "list": {"name": self.name, "form": self.form, "sha256": self.digest},
            "model": self.model,
            "detector": self.detector or None,
            "trials": sum(self.counts.values()),
            "counts": dict(self.counts),
            "left_out": self.left_out,
            "unusable": dict(self.unusable),
            "speakers": self.rating.speakers if self.rating.drawn == "speakers" else None,
            "figures": _plain(self.rating.figures),
            "attacks": _plain(self.rating.attacks),
            "points": {name: _point(point) for name, point in self.rating.points.items()},
            "scale": None if self.scale is None else asdict(self.scale),
            "outcomes": [each._asdict() for each in self.outcomes],
            "version": self.version,
            "date": self.date,
        }


def _point(point: Point) -> dict[str, float | None]:
    # Where accepting nobody is cheapest, the threshold is infinite, which JSON has no word for.
    return {
        name: value if math.isfinite(value) else None for name, value in point._asdict().items()
    }


def _plain(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {name: figure.to_dict() for name, figure in figures.items()}


def titled(name: str) -> tuple[str, bool]:
    """Return what a figure is called, and whether it is a share, to be shown in per cent."""
    return _TITLES.get(name, (name, False))


def figure_text(value: float, *, share: bool) -> str:
    """Return a figure as people read it."""
    return f"{100 * value:.2f} %" if share else f"{value:.4f}"


def outcomes_of(
    trials: Sequence[Trial],
    scores: Any,
    scale: Scale,
    spoof: Mapping[str, SpoofVerdict] | None = None,
) -> list[Outcomes]:
    """Return what `holdfast.voiceprint.decide` decides of each kind of trial, quality left aside.

    Args:
        trials: n of them.
        scores: shape (n,).
        scale: the thresholds in use.
        spoof: what a detector said of tested recordings: an attack is rejected, what could not be
            judged inconclusive, whatever the score.
    """
    said = {name: verdict.decision for name, verdict in (spoof or {}).items()}
    labels = np.array([trial.label for trial in trials])
    verdicts = np.array([said.get(trial.test, "bona_fide") for trial in trials])
    attack, unjudged = verdicts == "spoof", verdicts == "not_evaluated"
    accepted = (scores >= scale.accept_at) & ~attack & ~unjudged
    rejected = attack | ((scores < scale.reject_below) & ~unjudged)
    found = []
    for kind in ("target", "nontarget", "spoof"):
        chosen = labels == kind
        if chosen.any():
            taken, refused = float(accepted[chosen].mean()), float(rejected[chosen].mean())
            found.append(Outcomes(kind, taken, max(1 - taken - refused, 0.0), refused))
    return found
