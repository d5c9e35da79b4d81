"""The measures of verification, against cases worked out by hand, definitions and libraries."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.voiceprint import Scale, SpoofVerdict, decide
from holdfast.voiceprint.evaluation import (
    ASVSPOOF5_COSTS,
    Affine,
    DetectionCosts,
    SpoofCosts,
    Trial,
    act_dcf,
    cllr,
    detection_curve,
    eer,
    evaluate,
    evaluate_detector,
    fit_affine,
    min_a_dcf,
    min_cllr,
    min_dcf,
    outcomes_of,
    tandem_scores,
)

TARGETS = np.array([1.0, 3.0, 4.0, 5.0])
NONTARGETS = np.array([-2.0, -1.0, 0.0, 2.0])
SCORES = st.lists(st.integers(-20, 20), min_size=1, max_size=30).map(
    lambda found: np.array(found, float)
)


def brute(targets: Any, nontargets: Any, threshold: float) -> tuple[float, float]:
    return float((targets < threshold).mean()), float((nontargets >= threshold).mean())


def test_rates_by_hand() -> None:
    curve = detection_curve(TARGETS, NONTARGETS)
    assert curve.at(-9) == (0, 1)
    assert curve.at(1.5) == (0.25, 0.25)
    assert curve.at(2) == (0.25, 0.25)  # a score at the threshold is accepted
    assert curve.at(2.5) == (0.25, 0)
    assert curve.at(99) == (1, 0)
    assert eer(curve) == (0.25, 2.0)
    # At a prior of .01 nobody else may pass: that misses one target of four.
    assert min_dcf(curve, DetectionCosts(0.01)) == (0.25, 3.0)


def test_an_equal_error_rate_between_two_thresholds_is_interpolated() -> None:
    # The miss rate jumps from 0 to 1/2 where the false-accept rate stays at 1/3.
    rate, threshold = eer(detection_curve(np.array([1.0, 2.0]), np.array([-1.0, 0.0, 1.5])))
    assert rate == pytest.approx(1 / 3)
    assert threshold == 1.5


def test_perfect_and_useless_systems() -> None:
    perfect = detection_curve(np.array([5.0, 6]), np.array([1.0, 2]))
    assert eer(perfect)[0] == 0
    assert min_dcf(perfect, DetectionCosts(0.01))[0] == 0
    assert min_cllr(np.array([5.0, 6]), np.array([1.0, 2])) == pytest.approx(0, abs=1e-9)
    same = np.array([1.0])
    assert eer(detection_curve(same, same))[0] == 0.5
    assert min_dcf(detection_curve(same, same), DetectionCosts(0.01))[0] == 1
    assert cllr(np.zeros(3), np.zeros(9)) == 1


@given(SCORES, SCORES)
@settings(deadline=None)
def test_curves_agree_with_counting(targets: Any, nontargets: Any) -> None:
    curve = detection_curve(targets, nontargets)
    for threshold in np.arange(-21, 22, 0.5):
        assert curve.at(threshold) == pytest.approx(brute(targets, nontargets, threshold))
    costs = DetectionCosts(0.05, 1, 1)
    thresholds = [*np.concatenate([targets, nontargets]), math.inf]
    least = min(
        (0.05 * miss + 0.95 * accepted) / 0.05
        for miss, accepted in (brute(targets, nontargets, each) for each in thresholds)
    )
    assert min_dcf(curve, costs)[0] == pytest.approx(least)
    assert 0 <= eer(curve)[0] <= 1


@given(SCORES, SCORES, st.floats(0.1, 5), st.floats(-5, 5))
@settings(deadline=None)
def test_a_monotonous_map_of_the_scores_changes_no_error_rate(
    targets: Any, nontargets: Any, a: float, b: float
) -> None:
    before, after = (
        detection_curve(*pair)
        for pair in ((targets, nontargets), (a * targets + b, a * nontargets + b))
    )
    assert eer(before)[0] == pytest.approx(eer(after)[0])
    assert min_cllr(targets, nontargets) == pytest.approx(
        min_cllr(np.exp(targets / 9), np.exp(nontargets / 9)), abs=1e-9
    )


@given(SCORES, SCORES)
@settings(deadline=None)
def test_no_calibration_beats_pool_adjacent_violators(targets: Any, nontargets: Any) -> None:
    least = min_cllr(targets, nontargets)
    assert least <= cllr(targets, nontargets) + 1e-9
    assert least <= 1 + 1e-9
    for slope, offset in product((0.1, 0.5, 2), (-1, 0, 1)):
        assert least <= cllr(slope * targets + offset, slope * nontargets + offset) + 1e-9


def test_weights_are_repetitions() -> None:
    weights = np.array([3.0, 1, 0, 2])
    repeated = np.repeat(TARGETS, weights.astype(int))
    weighted = detection_curve(TARGETS, NONTARGETS, target_weights=weights)
    plain = detection_curve(repeated, NONTARGETS)
    for threshold in np.arange(-3, 6, 0.25):
        assert weighted.at(threshold) == pytest.approx(plain.at(threshold))
    assert eer(weighted)[0] == pytest.approx(eer(plain)[0])
    assert min_cllr(TARGETS, NONTARGETS, weights) == pytest.approx(min_cllr(repeated, NONTARGETS))


def test_rates_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed here")
    random = np.random.default_rng(5)
    targets, nontargets = random.normal(1.5, 1, 400), random.normal(0, 1, 3000)
    labels = np.r_[np.ones(400), np.zeros(3000)]
    accepted, found, _ = metrics.roc_curve(
        labels, np.r_[targets, nontargets], drop_intermediate=False
    )
    gap = np.abs((1 - found) - accepted)
    assert eer(detection_curve(targets, nontargets))[0] == pytest.approx(
        accepted[np.argmin(gap)], abs=2e-3
    )


def test_equal_error_rate_of_two_normal_distributions() -> None:
    # Unit variances, means d apart: the EER is Phi(-d / 2), here Phi(-1) = 0.15866.
    random = np.random.default_rng(1)
    curve = detection_curve(random.normal(2, 1, 200_000), random.normal(0, 1, 200_000))
    assert eer(curve)[0] == pytest.approx(0.15866, abs=2e-3)


def test_calibration_finds_the_ratios_that_were_there() -> None:
    # Means +-m and variance 2m: such scores are their own log-likelihood ratios.
    random = np.random.default_rng(2)
    true_targets = random.normal(4, math.sqrt(8), 50_000)
    true_nontargets = random.normal(-4, math.sqrt(8), 50_000)
    found = fit_affine((true_targets - 3) / 2, (true_nontargets - 3) / 2)
    assert found.slope == pytest.approx(2, rel=0.03)
    assert found.offset == pytest.approx(3, abs=0.1)
    calibrated = [found((scores - 3) / 2) for scores in (true_targets, true_nontargets)]
    assert cllr(*calibrated) == pytest.approx(cllr(true_targets, true_nontargets), abs=1e-4)
    curve = detection_curve(*calibrated)
    for p_target in (0.01, 0.05, 0.5):
        costs = DetectionCosts(p_target)
        assert act_dcf(curve, costs) == pytest.approx(min_dcf(curve, costs)[0], abs=0.02)


def test_logistic_regression_agrees_with_scikit_learn() -> None:
    linear = pytest.importorskip(
        "sklearn.linear_model", reason="scikit-learn is not installed here"
    )
    random = np.random.default_rng(3)
    targets, nontargets = random.normal(0.6, 0.2, 300), random.normal(0.1, 0.15, 900)
    inputs = np.r_[targets, nontargets][:, None]
    labels = np.r_[np.ones(300), np.zeros(900)]
    weights = np.r_[np.full(300, 0.5 / 300), np.full(900, 0.5 / 900)] * 1200
    theirs = linear.LogisticRegression(C=1e9, tol=1e-10, max_iter=10_000).fit(
        inputs, labels, weights
    )
    ours = fit_affine(targets, nontargets)
    assert ours.slope == pytest.approx(float(theirs.coef_[0, 0]), rel=1e-3)
    assert ours.offset == pytest.approx(float(theirs.intercept_[0]), rel=1e-3)


def test_calibration_of_trials_that_do_not_overlap_stays_finite() -> None:
    found = fit_affine(np.array([0.8, 0.9]), np.array([0.1, 0.2, 0.3]))
    assert 0 < found.slope < 1e5
    assert found(0.8) > 3
    assert found(0.3) < -3


@pytest.mark.parametrize(
    ("targets", "nontargets", "why"),
    [
        ([], [1.0], "both kinds"),
        ([1.0], [], "both kinds"),
        ([math.nan], [1.0], "finite"),
        ([0.0, 0.1], [0.8, 0.9], "not higher"),
    ],
)
def test_trials_that_cannot_be_calibrated_on_are_refused(
    targets: Any, nontargets: Any, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        fit_affine(np.array(targets, float), np.array(nontargets, float))


def test_tandem_cost_by_hand() -> None:
    targets, nontargets = np.array([2.0, 3, 4, 5]), np.array([0.0, 1])
    spoofs = np.array([1.0, 2.5, 3.5, 6])
    even = SpoofCosts(1 / 3, 1 / 3, 1 / 3, 1, 1, 1)
    # At 2: nothing missed, no other speaker accepted, three of four attacks: 3/4 of a third.
    assert min_a_dcf(targets, nontargets, spoofs, even) == (pytest.approx(0.75), 2.0)


@given(SCORES, SCORES, SCORES)
@settings(deadline=None)
def test_tandem_cost_agrees_with_counting(targets: Any, nontargets: Any, spoofs: Any) -> None:
    costs = ASVSPOOF5_COSTS
    thresholds = [*np.concatenate([targets, nontargets, spoofs]), math.inf]
    least = min(
        costs.p_target * (targets < each).mean()
        + 10 * costs.p_nontarget * (nontargets >= each).mean()
        + 10 * costs.p_spoof * (spoofs >= each).mean()
        for each in thresholds
    )
    found = min_a_dcf(targets, nontargets, spoofs)[0]
    assert found == pytest.approx(least / min(0.9405, 0.095 + 0.5))
    assert found <= 1 + 1e-9


def walked(targets: Any, nontargets: Any, spoofs: Any, costs: SpoofCosts) -> float:
    """The least a-DCF as github.com/shimhz/a_DCF finds it: trial by trial, the lowest first."""
    of = [(score, kind) for kind, found in enumerate((targets, nontargets, spoofs))
          for score in found]  # fmt: skip
    missed, accepted, attacks = 0, len(nontargets), len(spoofs)
    accept_all = costs.c_nontarget * costs.p_nontarget + costs.c_spoof * costs.p_spoof
    least = accept_all
    for _, kind in sorted(of):
        missed, accepted, attacks = (
            missed + (kind == 0), accepted - (kind == 1), attacks - (kind == 2)
        )  # fmt: skip
        least = min(
            least,
            costs.c_miss * costs.p_target * missed / len(targets)
            + costs.c_nontarget * costs.p_nontarget * accepted / len(nontargets)
            + costs.c_spoof * costs.p_spoof * attacks / len(spoofs),
        )
    return least / min(accept_all, costs.c_miss * costs.p_target)


@pytest.mark.parametrize("costs", [ASVSPOOF5_COSTS, SpoofCosts(0.9, 0.05, 0.05, 1, 10, 20)])
def test_tandem_cost_agrees_with_its_authors_program(costs: SpoofCosts) -> None:
    random = np.random.default_rng(11)
    for _ in range(20):
        kinds = (random.normal(1.5, 1, 40), random.normal(0, 1, 90), random.normal(0.8, 1, 60))
        assert min_a_dcf(*kinds, costs)[0] == pytest.approx(walked(*kinds, costs))
    assert (ASVSPOOF5_COSTS.p_target, ASVSPOOF5_COSTS.p_nontarget) == pytest.approx(
        (0.9405, 0.0095)
    )


def rated(targets: Any, nontargets: Any, spoofs: Any = (), **options: Any) -> Any:
    kinds = (("target", targets), ("nontarget", nontargets), ("spoof", spoofs))
    trials = [
        Trial(label, f"s{number % 5}/a", f"s{number % 3}/b", "A1" if label == "spoof" else "")
        for label, found in kinds
        for number in range(len(found))
    ]
    return evaluate(trials, np.concatenate([found for _, found in kinds]), **options)


@given(SCORES, SCORES, SCORES)
@settings(deadline=None)
def test_ratings_are_the_measures_worked_out_one_by_one(
    targets: Any, nontargets: Any, spoofs: Any
) -> None:
    found = rated(targets, nontargets, spoofs, calibration=Affine(0.5, -1.0), samples=0)
    curve = detection_curve(targets, nontargets)
    ratios = [0.5 * scores - 1.0 for scores in (targets, nontargets)]
    expected = {
        "eer": eer(curve)[0],
        "min_cllr": min_cllr(targets, nontargets),
        "cllr": cllr(*ratios),
        "spf_eer": eer(detection_curve(targets, spoofs))[0],
        "min_a_dcf": min_a_dcf(targets, nontargets, spoofs)[0],
    }
    for prior in (0.01, 0.05):
        costs = DetectionCosts(prior)
        expected[f"min_dcf_{prior:g}"] = min_dcf(curve, costs)[0]
        expected[f"act_dcf_{prior:g}"] = act_dcf(detection_curve(*ratios), costs)
    values = {name: figure.value for name, figure in found.figures.items()}
    assert values == pytest.approx(expected)
    assert found.attacks["A1"].value == pytest.approx(expected["spf_eer"])


def test_draws_weigh_whole_speakers() -> None:
    # One draw of speakers, repeated by hand: a trial stands as often as both of its speakers do.
    random = np.random.default_rng(3)
    targets, nontargets = random.normal(1, 1, 40), random.normal(0, 1, 70)
    found = rated(targets, nontargets, samples=1, seed=9)
    times = np.bincount(np.random.default_rng(9).integers(0, 5, 5), minlength=5)
    first = [times[number % 5] * times[number % 3] for number in range(40)]
    second = [times[number % 5] * times[number % 3] for number in range(70)]
    drawn = detection_curve(targets.repeat(first), nontargets.repeat(second))
    assert found.figures["eer"].low == pytest.approx(eer(drawn)[0])
    assert found.speakers == 5


def test_a_detector_is_rated_with_the_costs_of_asvspoof() -> None:
    genuine, spoofed = np.array([2.0, 3, 4, 5]), np.array([0.0, 1, 2.5, -1])
    trials = [Trial("bonafide", f"s{at}", f"g{at}") for at in range(4)]
    trials += [Trial("spoof", f"s{at}", f"f{at}", f"A{at % 2}") for at in range(4)]
    found = evaluate_detector(trials, np.concatenate([genuine, spoofed]), samples=10)
    # At 3 one of four bona fide recordings is refused, .95 / 4, normalised by .05 * 10; at 2 one of
    # four attacks is accepted, .5 / 4, which costs less.
    assert found.figures["min_dcf"].value == pytest.approx(0.25)
    assert found.figures["eer"].value == 0.25
    assert found.figures["cllr"].value == pytest.approx(cllr(genuine, spoofed))
    assert (found.attacks["A0"].value, found.attacks["A1"].value) == (0.25, 0)
    assert found.speakers == 4


def test_what_a_detector_does_not_take_for_genuine_is_accepted_at_no_score() -> None:
    trials = [Trial("target", "a", "x"), Trial("spoof", "a", "y"), Trial("nontarget", "a", "z")]
    said = {
        "x": SpoofVerdict("bona_fide", 2.0),
        "y": SpoofVerdict("spoof", -3.0),
        "z": SpoofVerdict("not_evaluated", model="m"),
    }
    found = tandem_scores(trials, np.array([0.4, 0.9, 0.1]), said)
    assert found.tolist() == [0.4, -0.9, -0.9]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["target", "nontarget", "spoof"]),
            st.sampled_from([0.1, 0.3, 0.4, 0.5, 0.9]),
            st.sampled_from(["bona_fide", "spoof", "not_evaluated"]),
        ),
        min_size=1,
    )
)
def test_outcomes_are_what_is_decided_trial_by_trial(drawn: list[tuple[str, float, Any]]) -> None:
    scale = Scale(model="m", accept_at=0.5, reject_below=0.3)
    trials = [Trial(label, "a", str(number)) for number, (label, _, _) in enumerate(drawn)]
    said = {
        str(number): SpoofVerdict(verdict, 0.0, 1.0, "m")
        for number, (_, _, verdict) in enumerate(drawn)
    }
    scores = np.array([score for _, score, _ in drawn])
    for each in outcomes_of(trials, scores, scale, said):
        decided = [
            decide(score, scale, (), said[str(number)]).outcome
            for number, (label, score, _) in enumerate(drawn)
            if label == each.kind
        ]
        shares = [decided.count(name) / len(decided)
                  for name in ("accept", "inconclusive", "reject")]  # fmt: skip
        assert list(each)[1:] == pytest.approx(shares)
