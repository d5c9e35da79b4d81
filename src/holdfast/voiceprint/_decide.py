"""From a score to a decision: the scale that scores are read on, and what is said.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from holdfast.errors import HoldfastError
from holdfast.voiceprint._quality import Refusal

__all__ = [
    "Decision",
    "Outcome",
    "Scale",
    "ScaleInvalid",
    "SpoofVerdict",
    "decide",
    "read_scale",
    "spoof_refusals",
]

Outcome = Literal["accept", "reject", "inconclusive", "not_enrolled"]
_FORM = "holdfast-voiceprint-scale-1"


class ScaleInvalid(HoldfastError):
    """A file of thresholds and calibration that cannot be used."""

    code = "scale-invalid"
    exit_code = 2
    http_status = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How one model's scores are read.

    Attributes:
        model: fingerprint of the model that it belongs to; no other's scores are read on it.
        data: what it was measured on; "" where it was not measured.
        accept_at: the threshold: scores at and above it are accepted.
        reject_below: scores below it are rejected; between the two nothing is said for sure.
        false_accept_rate: share of other speakers' trials accepted, on ``data``; None: not known.
        false_reject_rate: share of the speaker's own trials rejected, on ``data``.
        trials: how many trials were measured.
        slope: log-likelihood ratio = slope * score + offset; None where it is not calibrated.
        offset: see there.
        min_same_voice: see `Gates`; None: not known.
        cohort: digest of the cohort that scores are normalised with; "" where they are cosines.
        false_accept_at_most: what the rate is below with 95 % confidence, by how many trials there
            were.
        false_reject_at_most: see there.
        llr_least: no ratio below it is given: so many trials cannot show more.
        llr_most: no ratio above it.
    """

    model: str
    accept_at: float
    reject_below: float
    data: str = ""
    false_accept_rate: float | None = None
    false_reject_rate: float | None = None
    trials: int = 0
    slope: float | None = None
    offset: float | None = None
    min_same_voice: float | None = None
    cohort: str = ""
    false_accept_at_most: float | None = None
    false_reject_at_most: float | None = None
    llr_least: float | None = None
    llr_most: float | None = None

    def llr(self, score: float) -> float | None:
        """Return the log-likelihood ratio (natural) of a score; None without calibration."""
        if self.slope is None or self.offset is None:
            return None
        ratio = self.slope * score + self.offset
        if self.llr_least is not None:
            ratio = max(ratio, self.llr_least)
        return ratio if self.llr_most is None else min(ratio, self.llr_most)

    def operating_point(self) -> dict[str, Any]:
        """Return what is known of the threshold's error rates, as JSON-ready data."""
        return {
            "data": self.data or "not measured",
            "false_accept_rate": self.false_accept_rate,
            "false_reject_rate": self.false_reject_rate,
            "false_accept_at_most": self.false_accept_at_most,
            "false_reject_at_most": self.false_reject_at_most,
            "trials": self.trials,
            "normalised": bool(self.cohort),
        }

    def text(self) -> str:
        """Return it as a file's content, which `read_scale` reads."""
        return json.dumps({"form": _FORM, **asdict(self)}, indent=1) + "\n"

    def for_model(self, model: str) -> Scale:
        """Return it for another name of the same model."""
        return replace(self, model=model)


def read_scale(text: str, where: str) -> Scale:
    """Return the scale that a file holds.

    Args:
        text: the file's content.
        where: the file, for the error.

    Raises:
        ScaleInvalid: it holds none.
    """
    try:
        return _scale_of(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ScaleInvalid(
            f"{where} cannot be used", why=f"{type(error).__name__}: {error}",
            hint="holdfast voiceprint calibrate makes one",
        ) from error  # fmt: skip


def _scale_of(content: Mapping[str, Any]) -> Scale:
    values = dict(content)
    if values.pop("form") != _FORM:
        raise ValueError("it is no scale of scores")
    scale = Scale(**values)
    numbers = [
        value for name, value in asdict(scale).items()
        if name not in {"model", "data", "cohort"} and value is not None
    ]  # fmt: skip
    if not all(isinstance(each, (int, float)) and math.isfinite(each) for each in numbers):
        raise ValueError("every figure must be a finite number")
    if scale.reject_below > scale.accept_at:
        raise ValueError("reject_below must not be above accept_at")
    if scale.slope is not None and scale.slope <= 0:
        raise ValueError("a higher score must mean a higher ratio")
    return scale


@dataclass(frozen=True, slots=True)
class SpoofVerdict:
    """Whether speech is a person's own, and not synthetic, converted or replayed.

    Attributes:
        decision: ``not_evaluated`` where no detector is mounted, or it could not judge.
        score: natural log-odds that it is bona fide.
        threshold: scores below it are taken for attacks.
        model: fingerprint of the detector; None where none is mounted.
        reason: why it was not evaluated.
    """

    decision: Literal["bona_fide", "spoof", "not_evaluated"]
    score: float | None = None
    threshold: float | None = None
    model: str | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        score = None if self.score is None else round(self.score, 4)
        return asdict(self) | {"score": score}


def spoof_refusals(spoof: SpoofVerdict) -> list[Refusal]:
    """Return what speaks against a recording by its detector; nothing where none is mounted."""
    if spoof.decision == "spoof":
        return [
            Refusal(
                "spoof",
                "it is taken for synthetic, converted or replayed speech: it scores "
                f"{spoof.score:.2f}, and a person's own speech {spoof.threshold:.2f} or more",
            )
        ]
    if spoof.decision == "not_evaluated" and spoof.model is not None:
        return [
            Refusal("spoof-not-evaluated", f"whether it is a spoof is not known: {spoof.reason}")
        ]
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is said of a voice that claims to be somebody.

    Attributes:
        outcome: accepted, rejected, not said for sure, or nobody to compare with.
        score: cosine; None where nothing was compared.
        llr: log-likelihood ratio, natural; None without calibration.
        reasons: why, where it is not by the score alone.
    """

    outcome: Outcome
    score: float | None = None
    llr: float | None = None
    reasons: tuple[Refusal, ...] = ()


def decide(score: float, scale: Scale, wrong: Sequence[Refusal], spoof: SpoofVerdict) -> Decision:
    """Decide by score, quality and spoofing detection, in tandem.

    An attack is rejected whatever the score; a recording that is of no use, or that a mounted
    detector could not judge, is inconclusive whatever the score; else the score decides.
    """
    llr = scale.llr(score)
    wrong = [*spoof_refusals(spoof), *wrong]
    if spoof.decision == "spoof":
        return Decision(outcome="reject", score=score, llr=llr, reasons=tuple(wrong))
    if wrong:
        return Decision(outcome="inconclusive", score=score, llr=llr, reasons=tuple(wrong))
    if score >= scale.accept_at:
        return Decision(outcome="accept", score=score, llr=llr)
    if score < scale.reject_below:
        return Decision(outcome="reject", score=score, llr=llr)
    between = Refusal(
        "between-thresholds",
        f"{score:.3f} lies between {scale.reject_below:.3f} (rejected below) and "
        f"{scale.accept_at:.3f} (accepted from)",
    )
    return Decision(outcome="inconclusive", score=score, llr=llr, reasons=(between,))
