"""Whisper's tokens as stretches of text, on what models really write and on what they might."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast.speech.engines._whisper_tokens import (
    Stretch,
    compression_ratio,
    is_nonsense,
    stretches,
)

END, TIME = 100, 200


def at(seconds: float) -> int:
    return TIME + round(seconds / 0.02)


def test_times_divide_the_text() -> None:
    written = [at(0.5), 1, 2, at(2), at(2), 3, at(4.5)]
    assert stretches(written, TIME, END, 10) == [Stretch(0.5, 2.0, [1, 2]), Stretch(2.0, 4.5, [3])]
    # A pause between, text that was cut off, text without any time.
    assert stretches([at(0), 1, at(1), at(3), 2], TIME, END, 10) == [
        Stretch(0.0, 1.0, [1]), Stretch(3.0, 10, [2]),
    ]  # fmt: skip
    assert stretches([1, 2, END], TIME, END, 7) == [Stretch(0.0, 7, [1, 2])]
    assert stretches([], TIME, END, 7) == stretches([at(0), at(3)], TIME, END, 7) == []


@given(st.lists(st.integers(0, TIME + 1500)), st.floats(0.1, 30))
def test_no_text_is_lost_and_no_time_lies_outside(tokens: list[int], length: float) -> None:
    found = stretches(tokens, TIME, END, length)
    assert [token for part in found for token in part.tokens] == [t for t in tokens if t < END]
    assert all(0 <= part.start_s <= part.end_s <= length + 1e-9 for part in found)


def test_what_repeats_itself_or_is_improbable_is_nonsense_and_silence_is_silence() -> None:
    assert compression_ratio("no no no " * 40) > 2.4 > compression_ratio("It was late, and cold.")
    assert compression_ratio("") == 1.0
    assert is_nonsense(3.0, -0.2, 0.0) is True
    assert is_nonsense(1.2, -1.4, 0.1) is True
    assert is_nonsense(1.2, -0.3, 0.9) is False  # sure of its words, whatever it thought before
    assert is_nonsense(1.2, -1.4, 0.9) is None
