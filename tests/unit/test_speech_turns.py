"""Who says which part of what was read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from holdfast.media import Waveform
from holdfast.runtime import Steps
from holdfast.speech import Clip, Passage, Word
from holdfast.speech._turns import Turn, turns_of

RATE = 16_000


class Voices:
    """Takes the mean of samples for a voice: those within half of each other are one."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names
        self.heard: list[float] = []

    def hear(self, speech: Waveform) -> Steps[Any]:
        self.heard.append(len(speech) / RATE)
        return float(speech.mean())
        yield

    def same(self, first: float, second: float) -> bool:
        return abs(first - second) < 0.5

    def joined(self, first: float, second: float, share: float) -> float:
        return share * first + (1 - share) * second

    def name(self, voice: float) -> str:
        return self.names.get(round(voice), "unknown")


def asked(spoken: list[tuple[int, float, float, str]], names: dict[int, str]) -> list[Turn]:
    """Return the turns of a clip: voice, begin, end and text of what is spoken, word by word."""
    sound = np.zeros(30 * RATE, np.float32)
    words = []
    for voice, start, end, text in spoken:
        sound[round(start * RATE) : round(end * RATE)] = voice
        step = (end - start) / len(text.split())
        words += [
            Word(word, start + number * step, start + (number + 1) * step, 1.0)
            for number, word in enumerate(text.split())
        ]
    text = " ".join(word.text for word in words)
    passage = Passage(start_s=words[0].start_s, end_s=words[-1].end_s, text=text, tokens=(1, 2),
                      words=words)  # fmt: skip
    steps = turns_of(Voices(names), Clip(0, sound), [passage])
    return ended(steps)


def ended(steps: Steps[list[Turn]]) -> list[Turn]:
    """Return what steps come to that wait for nothing."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return list(end.value)


def test_two_people_are_told_apart_at_their_pause() -> None:
    turns = asked([(1, 0, 2, "how are you"), (2, 2.5, 4, "fine thanks")], {1: "Ada", 2: "Bo"})
    assert [(turn.speaker, turn.passage.text) for turn in turns] == [
        ("Ada", "how are you"), ("Bo", "fine thanks"),
    ]  # fmt: skip
    assert [(turn.passage.start_s, turn.passage.end_s) for turn in turns] == [(0, 2), (2.5, 4)]


def test_pauses_of_one_person_make_no_turns() -> None:
    (turn,) = asked([(1, 0, 2, "well"), (1, 3, 5, "i think"), (1, 5.5, 7, "so")], {1: "Ada"})
    assert (turn.speaker, turn.passage.text) == ("Ada", "well i think so")
    assert len(turn.passage.words) == 4


def test_strangers_are_unknown_and_stay_apart() -> None:
    turns = asked([(3, 0, 2, "hello"), (4, 2.5, 5, "hi there")], {1: "Ada"})
    assert [turn.speaker for turn in turns] == ["unknown", "unknown"]


@pytest.mark.parametrize(
    ("at", "owner"), [(2.4, 0), (2.9, 1)], ids=["near the first", "near the second"]
)
def test_a_short_word_belongs_to_whom_it_is_near(at: float, owner: int) -> None:
    turns = asked([(1, 0, 2, "how are you"), (2, at, at + 0.3, "oh"), (2, 3.6, 6, "fine thanks")],
                  {1: "Ada", 2: "Bo"})  # fmt: skip
    assert len(turns) == 2
    assert "oh" in turns[owner].passage.text


def test_of_too_little_nobody_is_known_and_nothing_is_asked() -> None:
    (turn,) = asked([(1, 0, 0.5, "yes")], {1: "Ada"})
    assert (turn.speaker, turn.passage.tokens) == ("unknown", (1, 2))


def test_a_text_without_spaces_is_cut_where_its_words_are() -> None:
    sound = np.ones(10 * RATE, np.float32)
    sound[4 * RATE :] = 2
    words = (Word("你好", 0, 2, 1.0), Word("再见", 5, 8, 1.0))
    passage = Passage(start_s=0, end_s=8, text="你好再见", words=words)
    steps = turns_of(Voices({}), Clip(0, sound), [passage])
    assert [turn.passage.text for turn in ended(steps)] == ["你好", "再见"]
