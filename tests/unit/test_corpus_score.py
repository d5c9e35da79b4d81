"""The scores of the corpus, on documents made by hand: each falls with what it is about."""

from __future__ import annotations

import pytest
from corpus.blocks import Block, as_json, blocks_of, expectation, filled, spans
from corpus.make import ALL, blocks_in
from corpus.score import Scores, mean_of, score
from docling_core.types.doc import DoclingDocument, TableCell, TableData
from docling_core.types.doc.labels import DocItemLabel

ROWS = [["Month", "Ships", "Storms"], ["May", "31", "2"], ["June", "45", "0"]]
TEXTS = [
    "The keeper of the lighthouse wrote down every ship.",
    "In winter there was little to write about.",
    "Another book was sent for when the first was full.",
]
EXPECTED = [
    Block("heading", "The light", 1), Block("text", TEXTS[0]), Block("heading", "Of oil", 2),
    Block("text", TEXTS[1]), Block("item", "wicks of cotton"), Block("number", "glass of Venice"),
    Block("table", rows=ROWS), Block("text", TEXTS[2]),
]  # fmt: skip


def cell(text: str, row: int, column: int) -> TableCell:
    return TableCell(
        text=text, start_row_offset_idx=row, end_row_offset_idx=row + 1,
        start_col_offset_idx=column, end_col_offset_idx=column + 1,
    )  # fmt: skip


def document(blocks: list[Block]) -> DoclingDocument:
    """Return what a converter would have made of blocks."""
    made = DoclingDocument(name="made")
    items = None
    for block in blocks:
        if block.kind == "table":
            cells = [cell(text, r, c) for r, row in enumerate(block.rows)
                     for c, text in enumerate(row)]  # fmt: skip
            made.add_table(TableData(
                num_rows=len(block.rows), num_cols=len(block.rows[0]), table_cells=cells,
            ))  # fmt: skip
        elif block.kind == "heading" and block.level == 1:
            made.add_title(block.text)
        elif block.kind == "heading":
            made.add_heading(block.text, level=block.level - 1)
        elif block.kind == "text":
            made.add_text(DocItemLabel.TEXT, block.text)
        else:
            items = items or made.add_list_group()
            made.add_list_item(block.text, parent=items)
    return made


def without(kind: str) -> list[Block]:
    return [block for block in EXPECTED if block.kind != kind]


def test_what_was_read_rightly_has_all_of_it() -> None:
    found = score(document(EXPECTED), EXPECTED)
    assert found == Scores(text=1, words=1, order=1, headings=1, items=1, tables=1)
    assert score(document(EXPECTED).model_dump_json(), EXPECTED) == found


def test_order_is_the_share_of_pairs_that_come_rightly() -> None:
    three = [Block("text", text) for text in TEXTS]
    assert score(document(three[::-1]), three).order == 0
    swapped = score(document([three[1], three[0], three[2]]), three)
    assert swapped.order == pytest.approx(2 / 3)
    assert swapped.words == 1  # the words are all there
    assert swapped.text < 0.7


def test_how_a_text_is_divided_makes_no_difference() -> None:
    whole = [Block("text", " ".join(TEXTS))]
    divided = [Block("text", text) for text in TEXTS]
    assert score(document(divided), whole).text == 1
    assert score(document(whole), divided).order == 1


def test_text_falls_with_letters_that_are_wrong_and_words_with_each_word() -> None:
    read = [Block("text", TEXTS[0].replace("keeper", "keeqer"))]
    found = score(document(read), [Block("text", TEXTS[0])])
    assert found.text == pytest.approx(1 - 1 / len(TEXTS[0]))
    assert found.words == pytest.approx(8 / 9)


def test_ligatures_and_marks_of_direction_are_no_difference() -> None:
    read = [Block("text", "the \ufb01nest \u200fo\ufb03ce")]
    assert score(document(read), [Block("text", "the finest office")]).text == 1


def test_headings_are_found_or_not_and_have_their_level() -> None:
    plain = [Block("text", block.text) if block.text == "Of oil" else block for block in EXPECTED]
    assert score(document(plain), EXPECTED).headings == pytest.approx(2 / 3)
    flat = [
        Block("heading", block.text, 2) if block.kind == "heading" else block for block in EXPECTED
    ]
    assert score(document(flat), EXPECTED).headings == pytest.approx(1 / 2)
    no_levels = expectation(EXPECTED)
    assert score(document(flat), no_levels).headings == 1


def test_an_item_may_have_kept_its_bullet() -> None:
    read = [Block("item", "• wicks of cotton"), Block("item", "2. glass of Venice")]
    assert score(document(read), EXPECTED[4:6]).items == 1
    assert score(document([Block("text", "wicks of cotton")]), EXPECTED[4:5]).items == 0


def test_a_table_falls_with_the_neighbours_that_are_lost() -> None:
    # Of 6 + 6 pairs of neighbours 4 + 3 are left of two rows.
    half = [Block("table", rows=ROWS[:2])]
    table = [Block("table", rows=ROWS)]
    assert score(document(half), table).tables == pytest.approx(2 * 7 / (7 + 12))
    shifted = [Block("table", rows=[["", "", ""], *ROWS])]
    assert score(document(shifted), table).tables == 1
    assert score(document(without("table")), EXPECTED).tables == 0


def test_what_is_neither_there_nor_found_has_no_score_and_what_is_invented_has_none_of_it() -> None:
    prose = [Block("text", text) for text in TEXTS]
    found = score(document(prose), prose)
    assert (found.headings, found.items, found.tables) == (None, None, None)
    invented = score(document([*prose, Block("table", rows=ROWS)]), prose)
    assert invented.tables == 0
    assert mean_of([found, invented]).tables == 0
    assert mean_of([found]).tables is None


def test_nothing_that_was_read_is_worth_nothing() -> None:
    found = score(document([]), EXPECTED)
    assert found == Scores(text=0, words=0, order=0, headings=0, items=0, tables=0)


def test_cells_that_take_several_places_are_in_each_of_them() -> None:
    rows = [["Kind", "Amount", "<"], ["^", "planned", "spent"]]
    assert filled(rows) == [["Kind", "Amount", "Amount"], ["Kind", "planned", "spent"]]
    assert spans(rows) == [[("Kind", 2, 1), ("Amount", 1, 2), None],
                           [None, ("planned", 1, 1), ("spent", 1, 1)]]  # fmt: skip


def test_sources_are_read_block_by_block() -> None:
    kinds = [block.kind for block in blocks_of("notice")]
    assert kinds == [
        "heading", "text", "heading", "text", "item", "item", "item", "heading", "text", "table",
        "text",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_what_is_expected_of_a_file_is_what_its_source_says(name: str) -> None:
    from corpus.blocks import EXPECTED as FOLDER
    from corpus.blocks import FILES

    assert (FILES / name).stat().st_size < 1_000_000
    assert (FOLDER / f"{name}.json").read_text("utf-8") == as_json(blocks_in(ALL[name], name))
