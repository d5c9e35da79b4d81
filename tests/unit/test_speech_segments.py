"""From probabilities to segments."""

from __future__ import annotations

import math
from typing import Any

import faster_whisper.vad as reference
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.speech import OptionInvalid, Segment, SegmentFinder, VadOptions, find_segments

FRAME = 512
LOW, HIGH = 0.01, 0.9


def frames(*runs: tuple[float, float]) -> list[float]:
    """Return probabilities from runs of (seconds, probability)."""
    return [p for seconds, p in runs for _ in range(round(seconds * 16_000 / FRAME))]


def segments(probabilities: list[float], **options: Any) -> list[tuple[int, int]]:
    total = len(probabilities) * FRAME
    found = find_segments(probabilities, total, VadOptions(speech_pad_ms=0, **options))
    return [(segment.start // FRAME, segment.stop // FRAME) for segment in found]


def test_silence_has_no_segment() -> None:
    assert segments(frames((2, LOW))) == []
    assert find_segments([], 0) == []


def test_speech_to_the_end_is_a_segment() -> None:
    assert segments(frames((0.32, LOW), (0.64, HIGH))) == [(10, 30)]


def test_a_short_pause_does_not_end_a_segment() -> None:
    speech = frames((0.64, HIGH), (0.096, LOW), (0.64, HIGH), (0.32, LOW))
    assert segments(speech) == [(0, 43)]
    assert segments(speech, min_silence_ms=50) == [(0, 20), (23, 43)]


def test_between_the_thresholds_what_was_goes_on() -> None:
    unsure = 0.4
    assert segments(frames((0.64, HIGH), (0.64, unsure), (0.32, LOW))) == [(0, 40)]
    assert segments(frames((0.64, unsure), (0.64, HIGH), (0.32, LOW))) == [(20, 40)]
    assert segments(frames((0.64, HIGH), (0.64, unsure)), neg_threshold=0.45) == [(0, 20)]


def test_short_speech_is_dropped() -> None:
    blip = frames((0.32, LOW), (0.16, HIGH), (0.32, LOW))
    assert segments(blip) == []
    assert segments(blip, min_speech_ms=100) == [(10, 15)]


def test_long_speech_is_cut_at_its_last_pause() -> None:
    speech = frames((1.28, HIGH), (0.16, LOW), (1.28, HIGH))
    cut = segments(speech, max_speech_s=2.0, min_silence_ms=1000)
    assert cut == [(0, 40), (45, 85)]


def test_long_speech_without_a_pause_is_cut_where_it_grew_too_long() -> None:
    cut = segments(frames((5, HIGH)), max_speech_s=2.0)
    assert [stop - start for start, stop in cut[:-1]] == [62, 62]
    assert all(stop - start <= 62 for start, stop in cut)


def test_padding_never_makes_neighbours_overlap() -> None:
    speech = frames((0.64, HIGH), (0.128, LOW), (0.64, HIGH))
    total = len(speech) * FRAME
    first, second = find_segments(speech, total, VadOptions(speech_pad_ms=200, min_silence_ms=50))
    assert first.stop == second.start == 22 * FRAME
    assert (first.start, second.stop) == (0, total)


def test_times_are_milliseconds() -> None:
    assert (Segment(7712, 35_296).start_ms, Segment(7712, 35_296).stop_ms) == (482, 2206)


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"threshold": math.nan},
        {"neg_threshold": 0.6},
        {"neg_threshold": -0.1},
        {"min_speech_ms": -1},
        {"min_silence_ms": 10**9},
        {"speech_pad_ms": -5},
        {"max_speech_s": 0.0},
        {"max_speech_s": math.nan},
        {"max_speech_s": 0.2, "speech_pad_ms": 100},
    ],
)
def test_options_outside_their_limits_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(OptionInvalid) as caught:
        VadOptions(**options)
    assert any(name in str(caught.value) for name in options)


def test_all_wrong_options_are_named_at_once() -> None:
    with pytest.raises(OptionInvalid, match=r"threshold.*min_speech_ms"):
        VadOptions(threshold=2.0, min_speech_ms=-1)


OPTIONS = st.fixed_dictionaries(
    {
        "threshold": st.sampled_from([0.3, 0.5, 0.8]),
        "neg_threshold": st.sampled_from([None, 0.1, 0.3]),
        "min_speech_ms": st.sampled_from([0, 64, 250]),
        "min_silence_ms": st.sampled_from([0, 50, 100, 500, 2000]),
        "speech_pad_ms": st.sampled_from([0, 30, 400]),
        "max_speech_s": st.sampled_from([math.inf, 1.0, 1.5, 4.0]),
    }
)
RUNS = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from([0.0, 0.05, 0.2, 0.35, 0.45, 0.5, 0.7, 0.99])),
    min_size=1,
    max_size=30,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=RUNS, options=OPTIONS, short=st.integers(1, FRAME - 1))
def test_segments_are_those_of_the_reference(
    runs: list[tuple[int, float]], options: dict[str, Any], short: int
) -> None:
    probabilities = [probability for count, probability in runs for _ in range(count)]
    total = len(probabilities) * FRAME - short

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "get_vad_model", lambda: lambda _: np.array(probabilities))
        expected = reference.get_speech_timestamps(
            np.zeros(total, np.float32),
            reference.VadOptions(
                threshold=options["threshold"],
                neg_threshold=options["neg_threshold"],
                min_speech_duration_ms=options["min_speech_ms"],
                max_speech_duration_s=options["max_speech_s"],
                min_silence_duration_ms=options["min_silence_ms"],
                speech_pad_ms=options["speech_pad_ms"],
            ),
        )
    found = find_segments(probabilities, total, VadOptions(**options))

    assert [(s.start, s.stop) for s in found] == [(s["start"], s["end"]) for s in expected]


@settings(max_examples=200, deadline=None)
@given(runs=RUNS, options=OPTIONS)
def test_segments_are_in_order_within_the_recording_and_apart(
    runs: list[tuple[int, float]], options: dict[str, Any]
) -> None:
    probabilities = [probability for count, probability in runs for _ in range(count)]
    total = len(probabilities) * FRAME
    found = find_segments(probabilities, total, VadOptions(**options))
    borders = [border for segment in found for border in (segment.start, segment.stop)]
    assert borders == sorted(borders)
    assert all(0 <= border <= total for border in borders)
    assert all(segment.start < segment.stop for segment in found)


@given(runs=RUNS, cuts=st.lists(st.integers(0, 400), max_size=5))
def test_it_does_not_matter_how_probabilities_come_in(
    runs: list[tuple[int, float]], cuts: list[int]
) -> None:
    probabilities = [probability for count, probability in runs for _ in range(count)]
    finder = SegmentFinder(VadOptions())
    last = 0
    for cut in sorted(cuts):
        finder.feed(probabilities[last:cut])
        last = max(cut, last)
    finder.feed(probabilities[last:])
    total = len(probabilities) * FRAME
    assert finder.finish(total) == find_segments(probabilities, total)
