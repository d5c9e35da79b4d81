"""How well a converter read a document: its DoclingDocument beside what is expected.

Each score is from 0 to 1, and does not depend on how a text was divided into blocks:

- ``text``: 1 - edit distance / length of the longer, letter by letter over the whole text in the
  order in which it was read (Levenshtein, by rapidfuzz); what OmniDocBench (Ouyang et al., CVPR
  2025) has for text, but over the whole.
- ``words``: F1 of the words as a bag, whatever their order.
- ``order``: the share of pairs of blocks that come in the right order, (1 + Kendall's tau) / 2;
  a block is where the text that is most like it begins.
- ``headings``, ``items``: F1 of headings, and of items of lists, by their text; a heading that has
  a level must have it, counted by the levels that the document uses.
- ``tables``: F1 of the relations between neighbouring cells, to the right and below (Göbel, Hassan,
  Oro and Orsi, "A methodology for evaluating algorithms for table understanding in PDF documents",
  DocEng 2012; of the ICDAR 2013 competition).

Where there is nothing of a kind, neither expected nor found, there is no score: None.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from statistics import mean
from typing import Any

from docling_core.types.doc import DoclingDocument, InlineGroup, TableItem, TextItem
from docling_core.types.doc.labels import DocItemLabel
from rapidfuzz import fuzz, process
from rapidfuzz.distance import Levenshtein
from scipy.stats import kendalltau

from corpus.blocks import Block, Rows, filled

__all__ = ["Scores", "blocks_in", "mean_of", "score"]

_HEADINGS = {DocItemLabel.TITLE, DocItemLabel.SECTION_HEADER}
_BULLET = re.compile(r"^(?:[•‣◦▪●○\u2013*·∙-]|\(?\d{1,3}[.)])\s*")
# Of 100: texts that differ by more are two texts, not one that was read badly.
_ALIKE, _FOUND = 85, 70
# Shorter texts may be anywhere.
_LEAST_LETTERS = 8


@dataclass(frozen=True, slots=True)
class Scores:
    """How well one document was read, from 0 to 1 each."""

    text: float
    words: float
    order: float | None
    headings: float | None
    items: float | None
    tables: float | None

    def to_dict(self) -> dict[str, float | None]:
        """Return them by name."""
        return asdict(self)


def score(document: DoclingDocument | str | bytes, expected: Sequence[Block]) -> Scores:
    """Rate a document.

    Args:
        document: or its JSON, as `holdfast convert --to json` writes it.
        expected: its blocks, in reading order.
    """
    if not isinstance(document, DoclingDocument):
        document = DoclingDocument.model_validate_json(document)
    found = blocks_in(document)
    have, want = _whole(found), _whole(expected)
    return Scores(
        text=Levenshtein.normalized_similarity(have, want),
        words=_f1(Counter(have.split()), Counter(want.split())) or 0.0,
        order=_order(have, expected),
        headings=_f1(*_alike(_headings(found, expected), _headings(expected, expected))),
        items=_f1(*_alike(_items(found), _items(expected))),
        tables=_f1(*_relations_of_both(found, expected)),
    )


def mean_of(scores: Iterable[Scores]) -> Scores:
    """Return each score's mean over the documents that have it."""
    every = list(scores)
    columns = {
        field.name: [value for each in every if (value := getattr(each, field.name)) is not None]
        for field in fields(Scores)
    }
    means: dict[str, Any] = {
        name: mean(values) if values else None for name, values in columns.items()
    }
    return Scores(**means)


def blocks_in(document: DoclingDocument) -> list[Block]:
    """Return a document's blocks, without headers and footers; inline parts are joined."""
    found: list[Block] = []
    inline = ""
    for item, _ in document.iterate_items():
        if isinstance(item, TableItem):
            found.append(Block("table", rows=_rows(item)))
        elif isinstance(item, TextItem):
            parent = item.parent.resolve(document) if item.parent else None
            within = parent.self_ref if isinstance(parent, InlineGroup) else ""
            if within and within == inline:
                last = found.pop()
                found.append(Block(last.kind, f"{last.text} {item.text}", last.level))
            else:
                found.append(_of_text(item))
            inline = within
    return found


def _of_text(item: TextItem) -> Block:
    if item.label in _HEADINGS:
        return Block("heading", item.text, 1 + getattr(item, "level", 0))
    return Block("item" if item.label == DocItemLabel.LIST_ITEM else "text", item.text)


def _rows(item: TableItem) -> Rows:
    return [[cell.text for cell in row] for row in item.data.grid]


def _plain(text: str) -> str:
    """Return a text as it is compared: no ligatures, no marks of direction, single spaces."""
    text = unicodedata.normalize("NFKC", text)
    return " ".join("".join(c for c in text if unicodedata.category(c) != "Cf").split())


def _whole(blocks: Iterable[Block]) -> str:
    return " ".join(part for block in blocks if (part := _text_of(block)))


def _text_of(block: Block) -> str:
    if block.kind != "table":
        return _BULLET.sub("", _plain(block.text)) if block.kind != "text" else _plain(block.text)
    told: list[str] = []  # a cell that takes several places is read once
    for at, row in enumerate(block.rows):
        for column, text in enumerate(row):
            beside = column and row[column - 1] == text
            if text and not beside and not (at and block.rows[at - 1][column] == text):
                told.append(_plain(text))
    return " ".join(told)


def _f1(found: Counter[Any], expected: Counter[Any]) -> float | None:
    both = (found & expected).total()
    every = found.total() + expected.total()
    return 2 * both / every if every else None


def _order(have: str, expected: Sequence[Block]) -> float | None:
    """Return the share of pairs in order among the blocks that were found."""
    places = []
    texts = [text for block in expected if len(text := _text_of(block)) >= _LEAST_LETTERS]
    for text in texts:
        exact = have.find(text)
        if exact >= 0:
            places.append(exact)
            continue
        near = fuzz.partial_ratio_alignment(text, have, score_cutoff=_FOUND)
        if near is not None:
            places.append(near.dest_start)
    if len(texts) < 2:
        return None
    if len(places) < 2:
        return 0.0
    return round((1 + float(kendalltau(range(len(places)), places).statistic)) / 2, 9)


def _headings(blocks: Sequence[Block], expected: Sequence[Block]) -> list[tuple[str, int]]:
    """Return the headings with their levels, as ranks, where the expected ones have levels."""
    own = [block for block in blocks if block.kind == "heading"]
    if not any(block.level for block in expected):
        return [(_text_of(block), 0) for block in own]
    ranks = sorted({block.level for block in own})
    return [(_text_of(block), ranks.index(block.level)) for block in own]


def _items(blocks: Sequence[Block]) -> list[tuple[str, int]]:
    return [(_text_of(block), 0) for block in blocks if block.kind in {"item", "number"}]


def _alike(
    found: Sequence[tuple[str, int]], expected: Sequence[tuple[str, int]]
) -> tuple[Counter[Any], Counter[Any]]:
    """Count texts; one that was read nearly right counts as the one that it is like."""
    wanted = [text for text, _ in expected]
    read = Counter((_nearest(text, wanted), level) for text, level in found)
    return read, Counter(expected)


def _nearest(text: str, wanted: Sequence[str]) -> str:
    if text in wanted:
        return text
    near = process.extractOne(text, wanted, scorer=fuzz.ratio, score_cutoff=_ALIKE)
    return near[0] if near else text


def _relations_of_both(
    found: Sequence[Block], expected: Sequence[Block]
) -> tuple[Counter[Any], Counter[Any]]:
    wanted = [filled(block.rows) for block in expected if block.kind == "table"]
    texts = sorted({_plain(cell) for rows in wanted for row in rows for cell in row})
    read = [
        [[_nearest(_plain(cell), texts) for cell in row] for row in block.rows]
        for block in found if block.kind == "table"
    ]  # fmt: skip
    return _relations(read), _relations(wanted)


def _relations(tables: Iterable[Rows]) -> Counter[tuple[str, str, str]]:
    """Count the pairs of neighbours in rows and in columns; empty cells are passed over."""
    count: Counter[tuple[str, str, str]] = Counter()
    for rows in tables:
        columns = zip(*rows, strict=True)
        for way, lines in (("right", rows), ("below", columns)):
            for line in lines:
                texts = [text for cell in line if (text := _plain(cell))]
                count.update((way, *pair) for pair in pairwise(texts))
    return count
