"""The layout by geometry, on pages that are nothing but boxes with text."""

from __future__ import annotations

from itertools import count

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from holdfast.documents.geometry import Box, Label, Line, PageGeometry, analyse

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

    def read(self) -> list[tuple[Label, str]]:
        page = PageGeometry(
            number=self.number, width=WIDTH, height=HEIGHT, lines=self.lines, rules=self.rules,
            pictures=self.pictures,
        )  # fmt: skip
        self.found = analyse(page)
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
