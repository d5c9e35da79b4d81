"""Quality, gates and decisions, worked out by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voiceprint import (
    Gates,
    Quality,
    Refusal,
    Scale,
    ScaleInvalid,
    SpoofVerdict,
    decide,
    measure,
    read_scale,
    refusals,
    spoken,
)
from holdfast.voiceprint._quality import split_similarity
from holdfast.voiceprint.evaluation import Trial, evaluate, scale_of

RATE = 16_000
SCALE = Scale(model="m", accept_at=0.6, reject_below=0.4, slope=10.0, offset=-5.0)


def sound(seconds: float, level: float, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(0, level, int(seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize("snr_db", [0, 10, 25])
def test_the_distance_from_the_background_is_measured(snr_db: float) -> None:
    noise = sound(6, 0.01)
    speech = sound(2, 0.01 * 10 ** (snr_db / 20), seed=1)
    noise[2 * RATE : 4 * RATE] += speech
    found = measure(noise, [(2 * RATE, 4 * RATE)])
    assert found.snr_db == pytest.approx(snr_db, abs=0.7)
    assert found.speech_s == 2


def test_silence_and_digital_silence_around_speech() -> None:
    assert measure(np.zeros(RATE, np.float32), []).speech_s == 0
    quiet = np.zeros(3 * RATE, np.float32)
    quiet[RATE : 2 * RATE] = sound(1, 0.1)
    assert measure(quiet, [(RATE, 2 * RATE)]).snr_db == 60


def test_speech_that_leaves_no_gap_is_measured_by_its_own_pauses() -> None:
    words = np.concatenate([sound(0.4, 0.1), sound(0.1, 0.001)] * 6).astype(np.float32)
    found = measure(words, [(0, len(words))])
    assert found.snr_db is not None
    assert 30 < found.snr_db < 45


def test_clipping_is_the_share_at_the_end_of_the_scale() -> None:
    loud = np.clip(sound(1, 0.5), -1, 1)
    expected = float((np.abs(loud) >= 0.98).mean())
    assert measure(loud, [(0, RATE)]).clipped == pytest.approx(expected)
    assert expected > 0.04


def test_speech_alone_is_put_together() -> None:
    waveform = np.arange(10, dtype=np.float32)
    assert spoken(waveform, [(1, 3), (7, 9)]).tolist() == [1, 2, 7, 8]
    assert len(spoken(waveform, [])) == 0


def test_all_that_is_wrong_is_said_at_once_with_both_figures() -> None:
    bad = Quality(speech_s=1.2, snr_db=-3.0, clipped=0.2, same_voice=0.3)
    found = refusals(bad, Gates(min_same_voice=0.6))
    assert [each.code for each in found] == [
        "too-little-speech", "too-noisy", "clipped", "several-voices",
    ]  # fmt: skip
    assert "1.2 s" in found[0].message
    assert "2 s are needed" in found[0].message
    assert refusals(Quality(speech_s=0, snr_db=None, clipped=0), Gates()) == [
        Refusal("no-speech", "nobody speaks in it")
    ]
    assert refusals(Quality(speech_s=9, snr_db=20, clipped=0, same_voice=0.7), Gates()) == []


def test_two_voices_are_less_alike_than_one() -> None:
    random = np.random.default_rng(3)
    one, other = random.normal(size=(2, 64))
    alone = one + 0.3 * random.normal(size=(8, 64))
    both = np.concatenate([alone[:4], other + 0.3 * random.normal(size=(4, 64))])
    assert (split_similarity(alone.astype(np.float32)) or 0) > 0.8
    assert (split_similarity(both.astype(np.float32)) or 1) < 0.3
    assert split_similarity(alone[:3].astype(np.float32)) is None


UNJUDGED = SpoofVerdict("not_evaluated")


@pytest.mark.parametrize(
    ("score", "wrong", "spoof", "outcome"),
    [
        (0.7, [], UNJUDGED, "accept"),
        (0.6, [], UNJUDGED, "accept"),
        (0.5, [], UNJUDGED, "inconclusive"),
        (0.39, [], UNJUDGED, "reject"),
        (0.9, [Refusal("too-noisy", "")], UNJUDGED, "inconclusive"),
        (0.1, [Refusal("too-noisy", "")], UNJUDGED, "inconclusive"),
        (0.9, [], SpoofVerdict("spoof", -2.0, 0.0, "d"), "reject"),
        (0.9, [Refusal("too-noisy", "")], SpoofVerdict("spoof", -2.0, 0.0, "d"), "reject"),
        (0.9, [], SpoofVerdict("bona_fide", 2.0, 0.0, "d"), "accept"),
        (0.1, [], SpoofVerdict("bona_fide", 2.0, 0.0, "d"), "reject"),
        (0.9, [], SpoofVerdict("not_evaluated", model="d", reason="too short"), "inconclusive"),
    ],
)
def test_decisions(score: float, wrong: Any, spoof: Any, outcome: str) -> None:
    found = decide(score, SCALE, wrong, spoof)
    assert found.outcome == outcome
    assert found.llr == pytest.approx(10 * score - 5)
    if outcome == "inconclusive" or spoof.decision == "spoof":
        assert found.reasons


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_higher_score_is_never_decided_worse(low: float, high: float) -> None:
    order = {"reject": 0, "inconclusive": 1, "accept": 2}
    low, high = sorted((low, high))
    first, second = (decide(each, SCALE, [], UNJUDGED).outcome for each in (low, high))
    assert order[first] <= order[second]


def test_a_scale_is_read_as_it_was_written() -> None:
    assert read_scale(SCALE.text(), "x") == SCALE
    plain = Scale(model="m", accept_at=0.25, reject_below=0.25)
    assert read_scale(plain.text(), "x").llr(0.5) is None
    assert plain.operating_point()["data"] == "not measured"


@pytest.mark.parametrize(
    "change",
    [
        {"form": "other"},
        {"accept_at": "high"},
        {"accept_at": math.nan},
        {"reject_below": 0.9},
        {"slope": -1.0},
        {"more": 1},
    ],
)
def test_a_scale_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    content = json.loads(SCALE.text()) | change
    with pytest.raises(ScaleInvalid, match="x cannot be used"):
        read_scale(json.dumps(content), "x")


def scored(targets: Any, nontargets: Any) -> list[tuple[Trial, float]]:
    of = [("target", each) for each in targets] + [("nontarget", each) for each in nontargets]
    return [
        (Trial(label, f"s{number % 7}/a", f"s{number % 5}/b"), float(score))
        for number, (label, score) in enumerate(of)
    ]


def test_a_scale_keeps_the_rates_that_were_asked_for() -> None:
    random = np.random.default_rng(4)
    targets, nontargets = random.normal(0.7, 0.1, 1000), random.normal(0.2, 0.15, 5000)
    found = scale_of("m", scored(targets, nontargets), data="drawn", most_false_rejects=0.001)
    assert (nontargets >= found.accept_at).mean() == pytest.approx(found.false_accept_rate)
    assert (found.false_accept_rate or 1) <= 0.01
    assert (targets < found.reject_below).mean() <= 0.001
    assert found.reject_below <= found.accept_at
    assert found.false_reject_rate == pytest.approx((targets < found.accept_at).mean())
    apart = scale_of("m", scored([0.8, 0.9], [0.1, 0.2]), data="drawn", most_false_accepts=0.5)
    assert apart.accept_at == 0.2  # half of the others is what was asked for
    # By hand, from the binomial distribution: no error among n is at most 1 - 0.05 ** (1 / n).
    clean = scale_of("m", scored([0.8] * 50, [0.1] * 100), data="drawn")
    assert clean.reject_below == clean.accept_at == 0.8
    assert clean.false_accept_at_most == pytest.approx(1 - 0.05 ** (1 / 100))
    assert clean.false_reject_at_most == pytest.approx(1 - 0.05 ** (1 / 50))


def test_a_ratio_says_no_more_than_so_many_trials_can_show() -> None:
    found = scale_of("m", scored([0.8, 0.9] * 20, [0.1, 0.2] * 60), data="drawn")
    assert found.llr(1.0) == pytest.approx(np.log(121))
    assert found.llr(-1.0) == pytest.approx(-np.log(41))


@pytest.mark.parametrize(
    ("targets", "nontargets", "options", "why"),
    [
        ([0.9], [0.1], {}, "1 trials of different speakers, and fewer than 100"),
        ([0.9] * 9, [0.1] * 200, {"most_false_accepts": 1e-9}, "fewer than 1000000000"),
        ([0.9] * 9, [0.1] * 200, {"most_false_accepts": 0.0}, "between 0 and 1"),
        ([0.9] * 9, [0.1] * 200, {"most_false_accepts": float("nan")}, "between 0 and 1"),
        ([0.9] * 9, [0.1] * 200, {"most_false_rejects": 2.0}, "between 0 and 1"),
        ([0.9] * 9, [0.1] * 150 + [0.95] * 9, {}, "no threshold keeps false accepts"),
        ([0.2] * 9 + [0.9], [0.1] * 150 + [0.5] * 9, {}, "90% of the trials of the same speaker"),
    ],
)
def test_trials_that_show_nothing_make_no_scale(
    targets: list[float], nontargets: list[float], options: dict[str, float], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        scale_of("m", scored(targets, nontargets), data="drawn", **options)


def test_intervals_hold_the_figure_and_grow_narrower_with_more_speakers() -> None:
    random = np.random.default_rng(5)

    def trials(speakers: int) -> list[tuple[Trial, float]]:
        found = []
        for one in range(speakers):
            found += [
                (Trial("target", f"s{one}/a", f"s{one}/b"), random.normal(0.6, 0.15)),
                *(
                    (Trial("nontarget", f"s{one}/a", f"s{other}/b"), random.normal(0.3, 0.15))
                    for other in range(speakers)
                    if other != one
                ),
            ]
        return found

    def figures_of(scored: list[tuple[Trial, float]], samples: int) -> Any:
        listed, scores = zip(*scored, strict=True)
        return evaluate(listed, np.array(scores), samples=samples).figures

    few, many = (figures_of(trials(count), 100) for count in (10, 60))
    for figures in (few, many):
        figure = figures["eer"]
        assert figure.low is not None
        assert figure.high is not None
        assert figure.low <= figure.value <= figure.high
        assert "cllr" not in figures  # plain scores are no ratios
    widths = [(found["eer"].high or 0) - (found["eer"].low or 0) for found in (few, many)]
    assert widths[1] < widths[0]
    attacked = [*trials(6), (Trial("spoof", "s0/a", "x/y"), 0.9)]
    assert 0 <= figures_of(attacked, 0)["min_a_dcf"].value <= 1
