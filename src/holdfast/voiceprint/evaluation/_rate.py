"""Everything that is reported of a system on a list of trials, with its uncertainty.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from holdfast.voiceprint.evaluation._calibrate import Affine
from holdfast.voiceprint.evaluation._curves import (
    ASVSPOOF5_COSTS,
    ASVSPOOF5_DETECTOR_COSTS,
    Curve,
    DetectionCosts,
    Floats,
    a_dcf_of,
    eer,
    min_cllr_of,
    min_dcf,
)
from holdfast.voiceprint.evaluation._forms import Trial
from holdfast.voiceprint.evaluation._ranked import Ranked

__all__ = ["Figure", "Point", "Rating", "evaluate", "evaluate_detector"]

_PRIORS = (0.01, 0.05)
_ATTACK = "attack:"
Measures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure, and the interval that holds 95 % of what other speakers would have given."""

    value: float
    low: float | None = None
    high: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {"value": self.value, "low": self.low, "high": self.high}


class Point(NamedTuple):
    """A threshold, the share of targets below it, and of the others at or above it."""

    threshold: float
    miss: float
    false_accept: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a list of trials says of a system.

    Attributes:
        figures: by name: ``eer``, ``min_dcf_0.01`` and so on; costs are normalised.
        attacks: the equal error rate against each attack that the list names.
        points: by a figure's name, where on the curve it is.
        curve: targets against non-targets; bona fide against spoofed speech for a detector.
        spoof_curve: targets against attacks; None where there are none.
        speakers: how many are drawn from, for the intervals.
        drawn: what these are: ``recordings`` where nothing names their speakers.
    """

    figures: Mapping[str, Figure]
    attacks: Mapping[str, Figure] = field(default_factory=dict)
    points: Mapping[str, Point] = field(default_factory=dict)
    curve: Curve
    spoof_curve: Curve | None = None
    speakers: int = 0
    drawn: str = "speakers"


def evaluate(
    trials: Sequence[Trial],
    scores: Floats,
    calibration: Affine | None = None,
    *,
    tandem: Floats | None = None,
    models: bool = False,
    samples: int = 200,
    seed: int = 1,
) -> Rating:
    """Rate verification on trials.

    Args:
        trials: n of them, labelled target, nontarget or spoof.
        scores: shape (n,).
        calibration: makes log-likelihood ratios of scores; without it Cllr and actDCF are left
            out, which mean nothing of plain scores.
        tandem: shape (n,), the scores after a detector of attacks has had its say.
        models: whether the trials name models, which are then drawn; nothing says who else speaks.
        samples: how often the speakers are drawn anew for the intervals; 0 for none.
        seed: of the draws.

    Returns:
        With attacks among the trials also ``spf_eer`` (targets against attacks) and ``min_a_dcf``,
        with ASVspoof 5's priors and costs; with ``tandem`` the same of that, as ``tandem_...``.

    Raises:
        ValueError: there are no trials of a kind, or a score is not finite.
    """
    labels = np.array([trial.label for trial in trials])
    of = {name: np.flatnonzero(labels == name) for name in ("target", "nontarget", "spoof")}
    plain = Ranked(scores, [of["target"], of["nontarget"]])
    measures: list[Callable[[Floats], Measures]] = [_Plain(plain).measures]
    if calibration is not None:
        ratios = calibration.slope * scores + calibration.offset
        measures.append(_Ratios(ratios, of["target"], of["nontarget"], act=True).measures)
    if len(of["spoof"]):
        measures.append(_Attacked(scores, of).measures)
        measures += _each_attack(scores, of["target"], of["spoof"], trials)
        if tandem is not None:
            measures.append(_Attacked(tandem, of, "tandem_").measures)
    groups = _models(trials) if models else _speakers(trials)
    figures, attacks = _drawn(measures, groups, samples, seed)
    curve, points = _points(plain, {f"min_dcf_{p:g}": DetectionCosts(p) for p in _PRIORS})
    spoofed = None
    if len(of["spoof"]):
        attacked = Ranked(scores, [of["target"], of["spoof"]])
        spoofed = attacked.curve(*attacked.shares(np.ones(len(scores))))
    return Rating(
        figures=figures, attacks=attacks, points=points, curve=curve, spoof_curve=spoofed,
        speakers=int(groups.max()) + 1,
        drawn="speakers" if models or _named(trials) else "recordings",
    )  # fmt: skip


def evaluate_detector(
    trials: Sequence[Trial], scores: Floats, *, samples: int = 200, seed: int = 1
) -> Rating:
    """Rate a detector of attacks on recordings.

    Args:
        trials: n of them, labelled bonafide or spoof.
        scores: shape (n,), higher for bona fide speech.
        samples: as in `evaluate`; the speakers are those that the list names.
        seed: of the draws.

    Returns:
        ``min_dcf`` has the costs of ASVspoof 5's first track (an attack in twenty, ten times as
        dear as a bona fide recording that is refused); ``cllr`` reads the scores as log-likelihood
        ratios, as is done there.

    Raises:
        ValueError: there are no recordings of a kind, or a score is not finite.
    """
    labels = np.array([trial.label for trial in trials])
    genuine, spoofed = (np.flatnonzero(labels == name) for name in ("bonafide", "spoof"))
    ranked = Ranked(scores, [genuine, spoofed])
    costs = {"min_dcf": ASVSPOOF5_DETECTOR_COSTS}
    measures = [
        _Plain(ranked, costs).measures,
        _Ratios(scores, genuine, spoofed).measures,
        *_each_attack(scores, genuine, spoofed, trials),
    ]
    groups = _models(trials)
    figures, attacks = _drawn(measures, groups, samples, seed)
    curve, points = _points(ranked, costs)
    return Rating(
        figures=figures, attacks=attacks, points=points, curve=curve,
        speakers=int(groups.max()) + 1,
    )  # fmt: skip


class _Plain:
    """What needs no calibration."""

    def __init__(self, ranked: Ranked, costs: Mapping[str, DetectionCosts] | None = None) -> None:
        self._ranked = ranked
        self._costs = costs or {f"min_dcf_{prior:g}": DetectionCosts(prior) for prior in _PRIORS}

    def measures(self, weights: Floats) -> Measures:
        targets, others = self._ranked.shares(weights)
        curve = self._ranked.curve(targets, others)
        found = {"eer": eer(curve)[0]}
        found |= {name: min_dcf(curve, costs)[0] for name, costs in self._costs.items()}
        return found | {"min_cllr": min_cllr_of(targets, others)}


class _Ratios:
    """What log-likelihood ratios cost: means over trials, each worked out once."""

    def __init__(self, ratios: Floats, targets: Any, others: Any, *, act: bool = False) -> None:
        self._targets, self._others = targets, others
        missed, accepted = ratios[targets], ratios[others]
        self._means = {"cllr": (
            np.logaddexp(0, -missed) / (2 * np.log(2)), np.logaddexp(0, accepted) / (2 * np.log(2))
        )}  # fmt: skip
        for prior in _PRIORS if act else ():
            costs = DetectionCosts(prior)
            least = min(prior, 1 - prior)
            self._means[f"act_dcf_{prior:g}"] = (
                (missed < costs.bayes_threshold) * (prior / least),
                (accepted >= costs.bayes_threshold) * ((1 - prior) / least),
            )

    def measures(self, weights: Floats) -> Measures:
        of_targets, of_others = weights[self._targets], weights[self._others]
        on_targets, on_others = of_targets.sum(), of_others.sum()
        if not on_targets or not on_others:
            raise ValueError("trials of both kinds are needed")
        return {
            name: float(of_targets @ missed / on_targets + of_others @ accepted / on_others)
            for name, (missed, accepted) in self._means.items()
        }


class _Attacked:
    """What attacks do, and what all errors together cost."""

    def __init__(self, scores: Floats, of: Mapping[str, Any], prefix: str = "") -> None:
        self._ranked = Ranked(scores, [of["target"], of["nontarget"], of["spoof"]])
        self._prefix = prefix

    def measures(self, weights: Floats) -> Measures:
        targets, others, spoofs = self._ranked.shares(weights)
        zero_effort = self._ranked.curve(targets, others)
        attacked = self._ranked.curve(targets, spoofs)
        spent = a_dcf_of(
            attacked.miss, zero_effort.false_accept, attacked.false_accept, ASVSPOOF5_COSTS
        )
        found = {"spf_eer": eer(attacked)[0], "min_a_dcf": float(spent.min())}
        if self._prefix:
            found["eer"] = eer(zero_effort)[0]
        return {self._prefix + name: value for name, value in found.items()}


class _Attack:
    """The equal error rate against one attack by itself."""

    def __init__(self, name: str, ranked: Ranked) -> None:
        self._name, self._ranked = _ATTACK + name, ranked

    def measures(self, weights: Floats) -> Measures:
        return {self._name: eer(self._ranked.curve(*self._ranked.shares(weights)))[0]}


def _each_attack(
    scores: Floats, targets: Any, spoofs: Any, trials: Sequence[Trial]
) -> list[Callable[[Floats], Measures]]:
    names = np.array([trials[at].attack for at in spoofs])
    return [
        _Attack(name, Ranked(scores, [targets, spoofs[names == name]])).measures
        for name in sorted({str(name) for name in names} - {""})
    ]


def _points(ranked: Ranked, costs: Mapping[str, DetectionCosts]) -> tuple[Curve, dict[str, Point]]:
    curve = ranked.curve(*ranked.shares(np.ones(int(ranked.trials.max()) + 1)))
    rate, at = eer(curve)
    points = {"eer": Point(at, rate, rate)}
    for name, each in costs.items():
        threshold = min_dcf(curve, each)[1]
        points[name] = Point(threshold, *curve.at(threshold))
    return curve, points


def _drawn(
    measures: Sequence[Callable[[Floats], Measures]],
    groups: Any,
    samples: int,
    seed: int,
) -> tuple[dict[str, Figure], dict[str, Figure]]:
    """Return the figures, and those against each attack, with their intervals."""

    whole = np.ones(len(groups))
    found = {name: value for each in measures for name, value in each(whole).items()}
    drawn: dict[str, list[float]] = {name: [] for name in found}
    random = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    for _ in range(samples):
        times = np.bincount(random.integers(0, count, count), minlength=count).astype(np.float64)
        weights = times[groups].prod(axis=1)
        for each in measures:
            try:
                for name, value in each(weights).items():
                    drawn[name].append(value)
            except ValueError:
                continue  # a draw without trials of a kind says nothing of it
    figures: dict[str, Figure] = {}
    attacks: dict[str, Figure] = {}
    for name, value in found.items():
        low = high = None
        if drawn[name]:
            low, high = (float(edge) for edge in np.quantile(drawn[name], [0.025, 0.975]))
        kept = attacks if name.startswith(_ATTACK) else figures
        kept[name.removeprefix(_ATTACK)] = Figure(value, low, high)
    return figures, attacks


def _speakers(trials: Sequence[Trial]) -> Any:
    """Return the two speakers of each trial, numbered, shape (n, 2).

    A recording's speaker is its first folder, as in VoxCeleb; without folders each recording counts
    for itself. Trials of one speaker depend on each other, so that whole speakers are drawn.
    """
    names: dict[str, int] = {}
    return np.array(
        [
            [names.setdefault(file.split("/", 1)[0], len(names)) for file in trial[1:3]]
            for trial in trials
        ],
        np.int32,
    )


def _named(trials: Sequence[Trial]) -> bool:
    """Return whether folders name the speakers."""
    return all("/" in file for trial in trials for file in trial[1:3])


def _models(trials: Sequence[Trial]) -> Any:
    """Return the speaker that each trial names, numbered, shape (n, 1)."""
    names: dict[str, int] = {}
    return np.array([[names.setdefault(trial.enrol, len(names))] for trial in trials], np.int32)
