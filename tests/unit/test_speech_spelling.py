"""What becomes of numbers, signs and abbreviations for voices that know letters only."""

# ruff: noqa: RUF001 - the signs of other scripts are meant

from __future__ import annotations

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import MissingExtra
from holdfast.speech._numerals import numerals
from holdfast.speech._spelling import spelled_out

ENGLISH = {
    # Numbers
    "0": "zero",
    "7 apples": "seven apples",
    "21": "twenty-one",
    "1,234 and 1234567": "one thousand two hundred thirty-four and "
    "one million two hundred thirty-four thousand five hundred sixty-seven",
    "3.14, 0.05 and .5": "three point one four, zero point zero five and point five",
    "1,234.50": "one thousand two hundred thirty-four point five zero",
    "It is -5.": "It is minus five.",
    "agent 007": "agent zero zero seven",
    "12345678901234567890": "one two three four five six seven eight nine zero "
    "one two three four five six seven eight nine zero",
    "At 7. 8 remain (9).": "At seven. eight remain (nine).",
    "MP3, B2B and 5G": "MP three, B two B and five G",
    "pages 10-20": "pages ten to twenty",
    "1914\u20131918": "nineteen fourteen to nineteen eighteen",
    "No. 5 and #7": "number five and number seven",
    "v1.2.3": "version one point two point three",
    # Ordinals, fractions, decades
    "1st, 2nd, 3rd, 21st, 103rd": "first, second, third, twenty-first, one hundred third",
    "the 1,000th": "the one thousandth",
    "1/2, 3/4, 2/3 and 7/8": "one half, three quarters, two thirds and seven eighths",
    "2½ cups": "two and one half cups",
    "½ a cup": "one half a cup",
    "the 1990s and '80s, the 30s": "the nineteen nineties and eighties, the thirties",
    # Years and dates
    "in 1999 and since 2005": "in nineteen ninety-nine and since two thousand five",
    "(1984)": "(nineteen eighty-four)",
    "in 1905": "in nineteen oh five",
    "1234 people": "one thousand two hundred thirty-four people",
    "in 1500 cases": "in one thousand five hundred cases",
    "May 5, 2024": "May fifth, twenty twenty-four",
    "on the 5th of May 2024": "on the fifth of May twenty twenty-four",
    "5 May": "the fifth of May",
    "Jan. 3rd": "January third",
    "2024-05-17": "May seventeenth, twenty twenty-four",
    # Times
    "at 10:30 am": "at ten thirty a m",
    "10:00": "ten o'clock",
    "9:05 p.m.": "nine oh five p m",
    "14:30": "fourteen thirty",
    "12:00:30": "twelve o'clock and thirty seconds",
    "3pm or 5 p.m.": "three p m or five p m",
    "25:70": "twenty-five:seventy",
    # Money
    "$5, $1, $3.50 and $0.99": "five dollars, one dollar, three dollars fifty cents and "
    "ninety-nine cents",
    "£2.01": "two pounds one penny",
    "€1,000": "one thousand euros",
    "5 € or 3.20€": "five euros or three euros twenty cents",
    "$1.5 million and £3bn": "one point five million dollars and three billion pounds",
    "US$20": "twenty dollars",
    "-$4": "minus four dollars",
    "$0": "zero dollars",
    "¥500": "five hundred yen",
    # Percent and units
    "50%": "fifty percent",
    "3.5 %": "three point five percent",
    "100 km/h": "one hundred kilometers per hour",
    "1 kg and 2.5 kg": "one kilogram and two point five kilograms",
    "-5 °C, 70°F, 90°": "minus five degrees Celsius, seventy degrees Fahrenheit, ninety degrees",
    "5 m², 3 m and 2 MB": "five square meters, three meters and two megabytes",
    "10 in the box": "ten in the box",
    # Abbreviations and signs
    "Dr. Smith and Mrs. Jones": "Doctor Smith and Missus Jones",
    "Mr. T": "Mister T",
    "St. Louis": "Saint Louis",
    "on Main St. today": "on Main Street today",
    "tools, e.g. a saw": "tools, for example a saw",
    "i.e. this": "that is this",
    "pears, etc.": "pears, et cetera.",
    "cats vs. dogs": "cats versus dogs",
    "approx. 5 min.": "approximately five minutes.",
    "A & B = C + D": "A and B equals C plus D",
    "and/or": "and or",
    "the <b>, §, and &.": "the less than b greater than, section, and and.",
    "a@b.org": "a at b dot org",
    "the U.S. Army": "the U S Army",
    "the UK, HTML and TV": "the U K, H T M L and T V",
    "NASA": "NASA",
    "GO TO THE UK": "GO TO THE UK",
    "call 555-123-4567": "call five five five, one two three, four five six seven",
    "+49 30 1234567": "plus four nine, three zero, one two three four five six seven",
    # What stays as it is
    "It\u2019s well-known; isn't it?": "It's well-known; isn't it?",
    "one \u2014 two\u2014three": "one, two, three",
    "  spaces \n here ": "spaces here",
    "": "",
}


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_spelled_out_as_it_is_read(text: str) -> None:
    assert spelled_out(text, "en") == ENGLISH[text]


OTHERS = [
    ("de", "21 Euro, 1.234,5 Liter, 50 %",
     "einundzwanzig Euro, eintausendzweihundertvierunddreißig Komma fünf Liter, fünfzig Prozent"),
    ("de-AT", "(3)", "(drei)"),
    ("fr", "1 234 personnes", "mille deux cent trente-quatre personnes"),
    ("fr", "1\u202f234 et 21\u202f%", "mille deux cent trente-quatre et vingt-et-un pour cent"),
    ("es", "-5 grados y 1.000.000", "menos cinco grados y un millón"),
    ("it", "3,14", "tre virgola uno quattro"),
    ("hi", "यह 1,234.5 है", "यह एक हज़ार दो सौ चौंतीस दशमलव पाँच है"),
    ("zh", "我有21个，3.5元。", "我有二十一个，三点五元。"),
    ("nb", "21", "tjueén"),
    ("ar", "عندي ٢١", "عندي واحد وعشرون"),
    ("pl", "v2.0", "v dwa. zero"),
    ("yo", "Mo ní 5.", "Mo ní 5."),
    ("", "5", "5"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text", "expected"), OTHERS)
def test_other_languages_get_their_numbers(language: str, text: str, expected: str) -> None:
    assert spelled_out(text, language) == expected


_TEXT = st.text(
    st.one_of(st.sampled_from("0123456789 .,:-/%$€£°'stMayJan½AaKm\u2212"), st.characters()),
    max_size=80,
)


@given(_TEXT)
def test_no_digit_is_left_for_a_voice_that_has_none(text: str) -> None:
    said = spelled_out(text, "en")
    assert not any(char.isdecimal() for char in said)
    assert said == " ".join(said.split())


@given(_TEXT, st.sampled_from(["de", "fr", "ru", "hi", "ar", "zh", "fi", "tr"]))
def test_nor_in_languages_that_cldr_counts_in(text: str, language: str) -> None:
    assert not any(char.isdecimal() for char in spelled_out(text, language))


@given(st.integers(0, 10**15 - 1))
def test_a_number_is_a_word_of_its_own(number: int) -> None:
    spoken = spelled_out(f"see {number} here", "de").split()
    assert (spoken[0], spoken[-1]) == ("see", "here")
    assert len(spoken) > 2


@pytest.mark.parametrize("text", ["1" * 50_000, "1," * 25_000, "1.1" * 20_000, "A." * 25_000,
                                  "-" * 50_000, "$1 " * 5_000, "1:1" * 9_000])  # fmt: skip
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    spelled_out(text, "en")
    assert time.process_time() - started < 5


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    numerals.cache_clear()
    monkeypatch.setitem(sys.modules, "unicode_rbnf", None)
    with pytest.raises(MissingExtra) as caught:
        spelled_out("5", "en")
    assert caught.value.hint == "pip install 'holdfast[speech]'"
    numerals.cache_clear()
