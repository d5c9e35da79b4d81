"""What is heard of a line that is still spoken on, and what can be shown of a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.media import Waveform
from holdfast.runtime import Steps
from holdfast.speech import Agreement, Listener, OptionInvalid, Started, Stopped, TurnDetection

FRAME, RATE = 512, 16_000


class Ear:
    """Stands for the supervisor and its model: a sample's sign says whether it is speech."""

    def submit(
        self, model: str, work: object, held: Waveform | None, block: Waveform
    ) -> tuple[Sequence[float], Waveform]:
        del model, work
        waiting = block if held is None else np.concatenate([held, block])
        whole = len(waiting) // FRAME * FRAME
        frames = waiting[:whole].reshape(-1, FRAME)
        return [float(frame.mean() > 0) for frame in frames], waiting[whole:]


def carry_out(steps: Steps[list[Started | Stopped]]) -> list[Started | Stopped]:
    """Hand every job's answer back at once: here a job is its answer."""
    answer = None
    while True:
        try:
            answer = steps.send(answer)
        except StopIteration as end:
            return list(end.value)


def line_of(spans: list[tuple[bool, float]]) -> Waveform:
    """Return speech (samples above nought) and silence by turns; each sample is another."""
    parts, at = [], 0
    for loud, seconds in spans:
        count = round(seconds * RATE / FRAME) * FRAME
        numbers = np.arange(at + 1, at + 1 + count, dtype=np.float64)
        parts.append(numbers if loud else -numbers)
        at += count
    return np.concatenate(parts) if parts else np.zeros(0)


def heard(line: Waveform, block: int, **detection: int) -> list[Started | Stopped]:
    listener = Listener(Ear(), "vad", TurnDetection(**detection))  # type: ignore[arg-type]
    happened: list[Started | Stopped] = []
    longest = 0.0
    for start in range(0, len(line), block):
        happened += carry_out(listener.feed(line[start : start + block]))
        longest = max(longest, listener.held_s)
    assert longest < 28 + 0.3 + 1.5 + 2 * block / RATE  # a turn, its prefix, and what just came
    return happened


SPANS = st.lists(st.tuples(st.booleans(), st.floats(0.1, 40)), max_size=8)


@given(SPANS, st.sampled_from([1_600, 7_777, RATE]))
@settings(deadline=None)
def test_turns_begin_end_and_hold_what_was_said_in_them(
    spans: list[tuple[bool, float]], block: int
) -> None:
    line = line_of([*spans, (False, 2.0)])
    happened = heard(line, block)
    kinds = [type(each) for each in happened]
    assert kinds == [Started, Stopped] * (len(kinds) // 2)
    covered = np.zeros(len(line), bool)
    for begun, ended in zip(happened[::2], happened[1::2], strict=True):
        assert isinstance(ended, Stopped)
        assert begun.at <= ended.at
        numbers = np.abs(ended.waveform).astype(int) - 1
        assert np.array_equal(numbers, np.arange(numbers[0], numbers[-1] + 1))
        assert numbers[0] <= begun.at
        covered[numbers] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (line > 0).astype(int), [0]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start > 0.35 * RATE:
            missing = (stop - start) - covered[start:stop].sum()
            assert missing <= FRAME * (2 + (stop - start) // (20 * RATE))


def test_a_pause_that_is_too_short_ends_no_turn() -> None:
    line = line_of([(True, 1.0), (False, 0.4), (True, 1.0), (False, 1.0)])
    assert len(heard(line, 1_600, silence_duration_ms=500)) == 2
    assert len(heard(line, 1_600, silence_duration_ms=200)) == 4


def test_what_is_kept_from_before_is_as_asked() -> None:
    line = line_of([(False, 2.0), (True, 1.0), (False, 1.0)])
    for prefix_ms in (0, 300, 1_000):
        _, ended = heard(line, 1_600, prefix_padding_ms=prefix_ms)
        assert isinstance(ended, Stopped)
        first = int(abs(ended.waveform[0])) - 1
        assert 2 * RATE - first == pytest.approx(prefix_ms * 16, abs=FRAME)


def test_a_turn_may_be_ended_or_forgotten_before_its_pause() -> None:
    listener = Listener(Ear(), "vad", TurnDetection())  # type: ignore[arg-type]
    (begun,) = carry_out(listener.feed(line_of([(True, 1.0)])))
    assert isinstance(begun, Started)
    assert listener.speaking
    assert len(listener.commit()) == pytest.approx(RATE, abs=FRAME)
    assert not listener.speaking
    assert listener.held_s == 0
    carry_out(listener.feed(line_of([(True, 1.0)])))
    listener.clear()
    assert carry_out(listener.feed(line_of([(False, 3.0)]))) == []


def test_what_is_held_is_kept_when_turns_are_found_in_another_way() -> None:
    line = line_of([(False, 1.0), (True, 1.5)])
    listener = Listener(Ear(), "vad", TurnDetection())  # type: ignore[arg-type]
    (begun,) = carry_out(listener.feed(line))
    assert carry_out(listener.detect(None)) == []
    kept = np.abs(listener.sound()).astype(int)
    assert kept[0] <= begun.at + 1
    assert kept[-1] == len(line)
    assert carry_out(listener.feed(line_of([(True, 0.5)]))) == []
    assert len(listener.sound()) == len(kept) + len(line_of([(True, 0.5)]))
    # And back: the turn that was told of goes on, and ends at its pause.
    assert carry_out(listener.detect(TurnDetection(silence_duration_ms=200))) == []
    (ended,) = carry_out(listener.feed(line_of([(False, 1.0)])))
    assert isinstance(ended, Stopped)
    assert len(ended.waveform) >= 2 * RATE - FRAME


def test_without_detection_the_client_says_when_it_ends() -> None:
    listener = Listener(Ear(), "vad", None)  # type: ignore[arg-type]
    line = line_of([(True, 2.0), (False, 3.0)])
    assert carry_out(listener.feed(line)) == []
    assert np.array_equal(listener.commit(), line)
    assert len(listener.commit()) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"silence_duration_ms": -1},
        {"prefix_padding_ms": -1},
    ],
)
def test_turns_cannot_be_found_by_nonsense(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionInvalid, match=next(iter(wrong))):
        TurnDetection(**wrong).checked("turn_detection")  # type: ignore[arg-type]


# --- what can be shown ------------------------------------------------------------------------


def test_words_are_shown_once_two_readings_agree_on_them() -> None:
    shown = Agreement()
    assert shown.heard("the man") == ""
    assert shown.heard("the man walked") == "the man"
    assert shown.heard("the man walks down") == ""
    assert shown.heard("the man walks down the") == " walks down"
    assert shown.ended("the man walks down the street") == " the street"


def test_what_was_shown_is_never_taken_back_nor_added_to_where_it_was_wrong() -> None:
    shown = Agreement()
    shown.heard("a b c")
    assert shown.heard("a b c") == "a b c"
    assert shown.heard("x y z") == ""
    assert shown.heard("x y z") == ""
    assert shown.ended("x y z d") == ""
    assert Agreement().ended("at once") == "at once"


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=6))
def test_all_that_is_shown_is_the_beginning_of_what_some_reading_said(
    readings: list[list[str]],
) -> None:
    shown, told = Agreement(), ""
    for words in readings:
        told += shown.heard(" ".join(words))
    assert told == "" or any(" ".join(words).startswith(told) for words in readings)
    assert told == told.strip()
