"""Where a text is cut into sentences, and that nothing of it is lost."""

# ruff: noqa: RUF001 - the quotation marks and full stops of other scripts are meant

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.speech._sentences import LONGEST, sentences

CUT = [
    ("One. Two. Three.", ["One.", "Two.", "Three."]),
    ("Really? Yes! No… Well.", ["Really?", "Yes!", "No…", "Well."]),
    ("Really?! Yes!!! Go.", ["Really?!", "Yes!!!", "Go."]),
    ("One\nTwo\r\n\r\n\nthree", ["One", "Two", "three"]),
    # Wrapped lines, and lines that are meant
    ("The old library opens\nat nine in\r\nthe morning. It\ncloses late.",
     ["The old library opens at nine in the morning.", "It closes late."]),
    ("We went home.\nand slept", ["We went home.", "and slept"]),
    ('He said "Go!"\nand left', ['He said "Go!"', "and left"]),
    ("a heading\n\nand a text", ["a heading", "and a text"]),
    ("a heading\n \t \nand a text", ["a heading", "and a text"]),
    ("We met\nAda there", ["We met", "Ada there"]),
    ("Buy\n- milk\n- eggs\n* salt", ["Buy", "- milk", "- eggs", "* salt"]),
    ("Buy\na) milk\nb) eggs\nii) salt", ["Buy", "a) milk", "b) eggs", "ii) salt"]),
    ("- milk of\n  the day\n- eggs", ["- milk of the day", "- eggs"]),
    ("1. Heat it\n2. Eat it", ["1. Heat it", "2. Eat it"]),
    ("A heading\n\nA text. And more", ["A heading", "A text.", "And more"]),
    ("  spaces \t and\u00a0tabs.   Here.  ", ["spaces and tabs.", "Here."]),
    # Abbreviations, titles, initials
    ("Dr. Smith met Mr. Jones. They talked.", ["Dr. Smith met Mr. Jones.", "They talked."]),
    ("Use tools, e.g. this one. Or, i.e. That.", ["Use tools, e.g. this one.", "Or, i.e. That."]),
    ("The U.S. Army left. Good.", ["The U.S. Army left.", "Good."]),
    ("He lives in the U.S. The end.", ["He lives in the U.S.", "The end."]),
    ("J. R. R. Tolkien wrote. So did C.S. Lewis.",
     ["J. R. R. Tolkien wrote.", "So did C.S. Lewis."]),
    ("Apples, pears, etc. The end.", ["Apples, pears, etc.", "The end."]),
    ("Apples, pears, etc. and more.", ["Apples, pears, etc. and more."]),
    ("It was 5 p.m. We left.", ["It was 5 p.m.", "We left."]),
    ("At 5 p.m. Monday we left.", ["At 5 p.m. Monday we left."]),
    ("St. Louis is big. I live on Main St. The shop is near.",
     ["St. Louis is big.", "I live on Main St.", "The shop is near."]),
    ("Acme Inc. Chicago pays. Acme Inc. It pays.",
     ["Acme Inc. Chicago pays.", "Acme Inc.", "It pays."]),
    ("Prof. Dr. Weiß kam. Er ging.", ["Prof. Dr. Weiß kam.", "Er ging."]),
    ("Das kostet z. B. viel, d. h. zu viel. Ja.", ["Das kostet z. B. viel, d. h. zu viel.", "Ja."]),
    # Numbers
    ("Pi is 3.14. It goes on.", ["Pi is 3.14.", "It goes on."]),
    ("It was in 1999. Then came 2000.", ["It was in 1999.", "Then came 2000."]),
    ("See Fig. 3 and No. 5. Good.", ["See Fig. 3 and No. 5.", "Good."]),
    ("No. I will not.", ["No.", "I will not."]),
    ("1. Heat it. 2. Eat it.", ["1. Heat it.", "2. Eat it."]),
    ("Am 3. Oktober war er da. Gut.", ["Am 3. Oktober war er da.", "Gut."]),
    ("Version 1.2.3 is at example.com. Get it.", ["Version 1.2.3 is at example.com.", "Get it."]),
    # Quotation marks and brackets
    ('"Stop!" he said. "Why?" She left.', ['"Stop!" he said.', '"Why?"', "She left."]),
    ("“Go.” He went. ‘So?’ It was late.", ["“Go.”", "He went.", "‘So?’", "It was late."]),
    ("(He left.) She stayed.", ["(He left.)", "She stayed."]),
    ("He asked (why?) and left. Good.", ["He asked (why?) and left.", "Good."]),
    ("«Bien.» Il part.", ["«Bien.»", "Il part."]),
    # Other scripts
    ("你好。我很好！「为什么？」他走了", ["你好。", "我很好！", "「为什么？」", "他走了"]),
    ("यह है। वह है।", ["यह है।", "वह है।"]),
    ("كيف حالك؟ بخير.", ["كيف حالك؟", "بخير."]),
    ("¿Qué? ¡Sí! Bueno.", ["¿Qué?", "¡Sí!", "Bueno."]),
    # What is no sentence of its own
    ("hello there. how are you? fine.", ["hello there.", "how are you?", "fine."]),
    ("Wait... what? Yes... No.", ["Wait... what?", "Yes...", "No."]),
    ("Over.\n---\nNext.", ["Over. ---", "Next."]),
    ("!!!", ["!!!"]),
    ("", []),
    (" \n\t ", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), CUT, ids=[text[:30] for text, _ in CUT])
def test_a_text_is_cut_where_a_reader_would_pause(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_an_over_long_sentence_is_cut_at_its_commas() -> None:
    clause = "and so the story goes on and on without an end in sight"
    found = sentences(", ".join([clause] * 20) + ".")
    assert all(len(part) <= LONGEST for part in found)
    assert all(part.endswith(f"{clause},") for part in found[:-1])
    assert all(len(part) > LONGEST / 2 for part in found[:-1])


def test_without_commas_it_is_cut_between_words_and_without_words_anywhere() -> None:
    words = sentences("word " * 200)
    assert {part for whole in words for part in whole.split()} == {"word"}
    assert [len(part) for part in sentences("好" * 700)] == [300, 300, 100]
    marked = sentences("e\u0301" * 400)  # no letter loses its accent
    assert all(part[0] == "e" for part in marked)


_TEXT = st.text(
    st.one_of(st.sampled_from(" .!?…。！,;\n\r\t\"'”)(A1ab\u2028é\u0301Dr"), st.characters()),
    max_size=1200,
)


@given(_TEXT)
@example("Dr. " * 400)
@example("a.b.c.d. " * 200)
@example("\u200d" * 700)
def test_nothing_but_white_space_is_lost_or_invented(text: str) -> None:
    found = sentences(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    for part in found:
        assert part
        assert part == " ".join(part.split())
        assert len(part) <= LONGEST


@pytest.mark.parametrize("text", ["a." * 50_000, ". " * 50_000, "(" * 100_000, "A. " * 30_000])
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    sentences(text)
    assert time.process_time() - started < 5
