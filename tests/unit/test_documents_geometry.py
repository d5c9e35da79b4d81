"""The layout by geometry, on pages that are nothing but boxes with text."""

from __future__ import annotations

import math
from itertools import count

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from holdfast.documents.geometry import (
    Box,
    Label,
    Line,
    PageGeometry,
    analyse,
    read_leftwards,
    table_within,
)

WIDTH, HEIGHT = 595.0, 842.0
RUNNING = "words that fill the line from its left to its right edge, nearly"


class Sheet:
    """A page that is written line by line."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.lines: list[Line] = []
        self.rules: list[Box] = []
        self.pictures: list[Box] = []

    def write(
        self, left: float, top: float, text: str, *, size: float = 10, font: str = "Serif",
        right: float | None = None,
    ) -> Sheet:  # fmt: skip
        right = right if right is not None else left + 0.5 * size * len(text)
        self.lines.append(Line(len(self.lines), Box(left, top, right, top + size), text, font))
        return self

    def paragraph(
        self, left: float, top: float, name: str, *, lines: int = 5, wide: float = 200
    ) -> Sheet:
        for number in range(lines):
            last = number == lines - 1
            text = f"{name} {number} {RUNNING}" + ("." if last else "")
            self.write(left, top + 12 * number, text, right=left + wide * (0.5 if last else 1))
        return self

    def grid(self, box: Box, rows: int, columns: int) -> Sheet:
        for row in range(rows + 1):
            y = box.top + row * box.height / rows
            self.rules.append(Box(box.left, y, box.right, y + 0.5))
        for column in range(columns + 1):
            x = box.left + column * box.width / columns
            self.rules.append(Box(x, box.top, x + 0.5, box.bottom))
        return self

    def page(self) -> PageGeometry:
        return PageGeometry(
            number=self.number, width=WIDTH, height=HEIGHT, lines=self.lines, rules=self.rules,
            pictures=self.pictures,
        )  # fmt: skip

    def read(self) -> list[tuple[Label, str]]:
        self.found = analyse(self.page())
        return [
            (region.label, " ".join(self.lines[number].text for number in region.lines))
            for region in self.found.regions
        ]


def first_words(found: list[tuple[Label, str]]) -> list[str]:
    return [text.split(" ")[0] for _, text in found]


def test_columns_are_read_one_after_the_other_below_what_lies_across_them() -> None:
    sheet = Sheet().write(150, 90, "A title across both columns", size=18)
    for row, top in enumerate((150, 230, 310)):
        sheet.paragraph(60, top, f"left{row}").paragraph(320, top, f"right{row}")
    sheet.write(100, 420, "And a line across both of them once more, at the end.", right=500)
    assert first_words(sheet.read()) == [
        "A", "left0", "left1", "left2", "right0", "right1", "right2", "And",
    ]  # fmt: skip
    assert sheet.read()[0][0] is Label.TITLE


def test_three_columns_are_three() -> None:
    sheet = Sheet()
    for column, left in enumerate((40, 220, 400)):
        for row, top in enumerate((100, 180, 260)):
            sheet.paragraph(left, top, f"c{column}r{row}", wide=150)
    assert first_words(sheet.read()) == [
        f"c{column}r{row}" for column in range(3) for row in range(3)
    ]


def test_paragraphs_part_by_white_space_or_by_an_indent() -> None:
    sheet = Sheet().paragraph(60, 100, "first", wide=400).paragraph(60, 172, "second", wide=400)
    for number in range(3):  # close together: only the indent tells
        top = 260 + 36 * number
        sheet.write(75, top, f"indent{number} {RUNNING}", right=460)
        sheet.write(60, top + 12, f"more {RUNNING}", right=460)
        sheet.write(60, top + 24, "end.", right=90)
    assert first_words(sheet.read()) == ["first", "second", "indent0", "indent1", "indent2"]


@pytest.mark.parametrize(
    ("text", "how", "label"),
    [
        ("2.1 Of oil and wicks", {"font": "Serif-Bold"}, Label.SECTION_HEADER),
        ("Of oil and wicks", {"size": 13}, Label.SECTION_HEADER),
        ("Of oil. It burns, and smells.", {}, Label.TEXT),
        ("Figure 3: The lamp by night.", {}, Label.CAPTION),
        ("Tabelle 2. Schiffe und Stürme", {}, Label.CAPTION),
        ("Table of Contents in bold", {"font": "X-Bold"}, Label.SECTION_HEADER),
        ("• a lamp", {}, Label.LIST_ITEM),
        ("a) a lamp", {}, Label.LIST_ITEM),
        ("3. a lamp, as everybody has one", {}, Label.LIST_ITEM),
        ("A. Author, of this journal", {}, Label.TEXT),
    ],
)
def test_what_a_part_is_shows_in_its_size_weight_and_first_signs(
    text: str, how: dict[str, object], label: Label
) -> None:
    sheet = Sheet().paragraph(60, 200, "before", wide=400)
    sheet.write(60, 290, text, **how)  # type: ignore[arg-type]
    sheet.paragraph(60, 330, "after", wide=400)
    assert (label, text) in sheet.read()


def test_headers_footers_and_notes_are_told_from_the_text() -> None:
    sheet = Sheet(2).write(60, 30, "A Journal, vol. 3", size=8).write(290, 815, "17", size=8)
    sheet.paragraph(60, 100, "text", lines=40, wide=400)
    sheet.write(60, 700, "1 A note, in small print.", size=8)
    labels = {text: label for label, text in sheet.read()}
    assert labels["A Journal, vol. 3"] is Label.PAGE_HEADER
    assert labels["17"] is Label.PAGE_FOOTER
    assert labels["1 A note, in small print."] is Label.FOOTNOTE


def test_a_ruled_table_has_its_cells_also_those_that_span() -> None:
    sheet = Sheet().paragraph(60, 100, "before", wide=400)
    box = Box(60, 200, 360, 260)
    sheet.grid(box, 3, 3)
    # No line between the first two cells of the first row.
    sheet.rules.remove(Box(160, 200, 160.5, 260))
    sheet.rules.append(Box(160, 220, 160.5, 260))
    sheet.write(80, 204, "both").write(270, 204, "third")
    for row in (1, 2):
        for column in range(3):
            sheet.write(70 + 100 * column, 204 + 20 * row, f"r{row}c{column}")
    found = sheet.read()
    assert [label for label, _ in found] == [Label.TEXT, Label.TABLE]
    (grid,) = sheet.found.grids
    assert (grid.rows, grid.columns) == (3, 3)
    spans = {cell.text: (cell.row, cell.column, cell.columns) for cell in grid.cells}
    assert spans["both"] == (0, 0, 2)
    assert spans["third"] == (0, 2, 1)
    assert spans["r2c2"] == (2, 2, 1)


def test_columns_of_short_texts_are_a_table_and_columns_of_prose_are_none() -> None:
    sheet = Sheet().paragraph(60, 100, "before", wide=400)
    for row in range(4):
        for column, text in enumerate(("Lamp oil", "12", "3.50")):
            sheet.write(60 + 150 * column, 200 + 16 * row, text)
    sheet.read()
    (grid,) = sheet.found.grids
    assert (grid.rows, grid.columns) == (4, 3)
    prose = Sheet().paragraph(60, 100, "left", lines=20).paragraph(320, 100, "right", lines=20)
    prose.read()
    assert prose.found.grids == []


def test_a_picture_has_its_place_in_the_order_and_a_scan_is_none() -> None:
    sheet = Sheet().paragraph(60, 100, "before", wide=400).paragraph(60, 400, "after", wide=400)
    sheet.pictures = [Box(100, 190, 300, 360), Box(0, 0, WIDTH, HEIGHT), Box(10, 10, 20, 20)]
    assert [label for label, _ in sheet.read()] == [Label.TEXT, Label.PICTURE, Label.TEXT]


def test_a_page_with_nothing_on_it_is_nothing() -> None:
    assert Sheet().read() == []


def test_a_list_beside_a_column_of_prose_makes_no_table_of_both() -> None:
    sheet = Sheet()
    for row, top in enumerate((100, 180, 260)):
        sheet.paragraph(60, top, f"left{row}")
    for row in range(4):
        sheet.write(320, 100 + 16 * row, "•").write(340, 100 + 16 * row, f"item {row}")
    sheet.paragraph(320, 200, "right")
    found = sheet.read()
    assert sheet.found.grids == []
    items = [text for label, text in found if label is Label.LIST_ITEM]
    assert items == [f"• item {row}" for row in range(4)]
    assert first_words(found)[:3] == ["left0", "left1", "left2"]


def test_a_list_whose_bullets_are_signs_of_another_font_is_a_list() -> None:
    sheet = Sheet().paragraph(60, 100, "before", wide=400)
    sheet.write(60, 180, "\u277c a lamp").write(60, 196, "\u277c a wick")
    assert [label for label, _ in sheet.read()][1:] == [Label.LIST_ITEM, Label.LIST_ITEM]


def test_columns_with_a_narrow_gutter_are_two_also_where_one_is_short() -> None:
    sheet = Sheet().write(150, 90, "A title across both columns", size=18)
    for row in range(6):
        sheet.paragraph(60, 150 + 70 * row, f"left{row}", wide=230)
    sheet.paragraph(298, 150, "right", wide=230)
    assert first_words(sheet.read()) == ["A", *(f"left{row}" for row in range(6)), "right"]


def test_a_table_whose_first_column_is_wide_is_no_column_of_prose() -> None:
    sheet = Sheet().paragraph(60, 100, "before", wide=400)
    for row in range(5):
        for left, text in ((60, "something that takes some room"), (300, "12"), (380, "3.50")):
            sheet.write(left, 200 + 16 * row, text)
    sheet.read()
    (grid,) = sheet.found.grids
    assert (grid.rows, grid.columns) == (5, 3)
    assert grid.cells[0].text == "something that takes some room"


def test_the_number_of_a_page_may_stand_nearer_to_the_text_than_a_footer() -> None:
    sheet = Sheet(2).paragraph(60, 100, "text", lines=45, wide=400).write(290, 720, "17")
    assert sheet.read()[-1] == (Label.PAGE_FOOTER, "17")
    no_number = Sheet(2).paragraph(60, 100, "text", lines=45, wide=400).write(60, 720, "An end.")
    assert no_number.read()[-1] == (Label.TEXT, "An end.")


def inked(sheet: Sheet, left: float, baseline: float, text: str, size: float, font: str) -> None:
    """Write a line whose box is around the ink: as high as the letters in it."""
    above = 0.74 if any(letter in "bdfhklt" or letter.isupper() for letter in text) else 0.55
    below = 0.22 if any(letter in "gjpqy," for letter in text) else 0.0
    box = Box(left, baseline - above * size, left + 0.5 * size * len(text), baseline + below * size)
    sheet.lines.append(Line(len(sheet.lines), box, text, font))


def test_lines_that_are_as_high_as_their_letters_are_one_paragraph_below_their_heading() -> None:
    sheet = Sheet()
    inked(sheet, 60, 100, "Of oil", 13, "AAA+Serif")
    texts = ("A lamp by day, and by night", "shines on the sea and the land", "over us, over ours",
             "so was, once more, a room", "Again they put it out")  # fmt: skip
    for number, text in enumerate(texts):
        inked(sheet, 60, 120 + 13 * number, f"{text} {text}", 10, "AAA+Serif")
    assert [label for label, _ in sheet.read()] == [Label.SECTION_HEADER, Label.TEXT]


@pytest.mark.parametrize("degrees", [-2.0, -0.8, 0.0, 0.8, 2.0])
def test_a_scan_that_was_laid_askew_is_read_as_if_it_lay_straight(degrees: float) -> None:
    straight = Sheet()
    inked(straight, 150, 90, "Agape title across both columns", 18, "")
    for column, left in enumerate((60, 310)):
        for row in range(20):
            text = f"{'left' if column == 0 else 'right'} by {row} {RUNNING}"
            text = text[:30] if row % 5 == 4 else text
            inked(straight, left, 150 + 9 * row, text, 6, "")
    angle = math.radians(degrees)

    def turned(x: float, y: float) -> tuple[float, float]:
        return (
            x * math.cos(angle) - y * math.sin(angle), x * math.sin(angle) + y * math.cos(angle),
        )  # fmt: skip

    sheet = Sheet()
    for line in straight.lines:  # the upper left and the lower right corner, as they are told
        box = Box(*turned(line.box.left, line.box.top), *turned(line.box.right, line.box.bottom))
        sheet.lines.append(line._replace(box=box))
    found = sheet.read()
    assert [(label, text.split()[0]) for label, text in found] == [
        (Label.TITLE, "Agape"), (Label.TEXT, "left"), (Label.TEXT, "right"),
    ]  # fmt: skip


def test_a_page_from_right_to_left_has_its_columns_items_and_cells_from_the_right() -> None:
    sheet = Sheet()
    for row in range(3):
        sheet.write(400, 100 + 16 * row, "•", right=405).write(250, 100 + 16 * row, "מנורה",
                                                               right=390)  # fmt: skip
    for row in range(3):
        for column, text in enumerate(("שלוש", "שתיים", "אחת")):
            sheet.write(100 + 100 * column, 300 + 16 * row, text, right=140 + 100 * column)
    found = sheet.read()
    assert [text for label, text in found if label is Label.LIST_ITEM] == 3 * ["• מנורה"]
    (grid,) = sheet.found.grids
    assert [cell.text for cell in grid.cells[:3]] == ["אחת", "שתיים", "שלוש"]
    assert grid.cells[0].box.left > grid.cells[2].box.left


def test_words_from_right_to_left_keep_numbers_and_join_what_touches() -> None:
    words = [
        Line(0, Box(150, 0, 180, 10), "שלום"), Line(1, Box(120, 0, 145, 10), "2"),
        Line(2, Box(90, 0, 115, 10), "km"), Line(3, Box(60, 0, 85, 10), "כאן"),
        Line(4, Box(57, 7, 60, 9), "."),
    ]  # fmt: skip
    # Between words from the right, Latin ones are in their own order: from the left.
    assert read_leftwards(words) == "שלום km 2 כאן."


coordinates = st.floats(-50, 900, allow_nan=False)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(coordinates, coordinates, st.floats(0.1, 400), st.floats(0.1, 60)),
             max_size=40),
    st.lists(st.tuples(coordinates, coordinates, st.floats(0, 500), st.floats(0, 500)),
             max_size=20),
)  # fmt: skip
def test_every_line_of_any_page_is_in_one_region(
    boxes: list[tuple[float, float, float, float]], rules: list[tuple[float, float, float, float]]
) -> None:
    number = count()
    page = PageGeometry(
        number=1, width=WIDTH, height=HEIGHT,
        lines=[Line(next(number), Box(x, y, x + w, y + h), "text 1.") for x, y, w, h in boxes],
        rules=[Box(x, y, x + w, y + h) for x, y, w, h in rules],
    )  # fmt: skip
    found = analyse(page)
    seen = sorted(line for region in found.regions for line in region.lines)
    assert seen == list(range(len(boxes)))
    tables = [region for region in found.regions if region.label is Label.TABLE]
    assert len(tables) == len(found.grids)


def cells_of(page: PageGeometry, box: Box) -> list[tuple[int, int, str]]:
    grid = table_within(page, box)
    assert grid is not None
    return [(cell.row, cell.column, cell.text) for cell in grid.cells if cell.text]


def test_a_table_whose_place_is_known_needs_no_rules_and_has_all_text_of_it() -> None:
    sheet = Sheet().write(60, 80, RUNNING)
    for row, texts in enumerate((("Week", "Floors"), ("First", "1 to 2"))):
        for column, text in enumerate(texts):
            sheet.write(60 + 150 * column, 100 + 20 * row, text)
    page = sheet.page()
    place = Box(55, 95, 400, 135)
    assert cells_of(page, place) == [
        (0, 0, "Week"), (0, 1, "Floors"), (1, 0, "First"), (1, 1, "1 to 2"),
    ]  # fmt: skip
    assert analyse(page).grids == []  # two rows of two are not enough where nobody says so
    assert table_within(page, Box(55, 300, 400, 400)) is None


def test_a_table_without_columns_is_a_list_of_its_rows() -> None:
    page = Sheet().write(60, 100, "one").write(62, 120, "two words").page()
    assert cells_of(page, Box(50, 95, 300, 140)) == [(0, 0, "one"), (1, 0, "two words")]


def test_ruled_lines_part_the_cells_of_a_table_whose_place_is_known() -> None:
    sheet = Sheet().grid(Box(60, 100, 260, 140), rows=2, columns=2)
    sheet.write(65, 104, "a b").write(165, 104, "c").write(65, 124, "d").write(165, 124, "e")
    grid = table_within(sheet.page(), Box(58, 98, 263, 143))
    assert grid is not None
    assert (grid.rows, grid.columns) == (2, 2)
    assert [cell.text for cell in grid.cells] == ["a b", "c", "d", "e"]
