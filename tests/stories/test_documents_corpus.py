"""A corpus of documents, each with what is in it: what is read of them does not get worse.

The floors are a little below what was measured (docs/documents.md has the figures).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.document_scores import documents
from corpus.blocks import FILES, Block
from corpus.pages import BOOK_PAGES, book
from corpus.score import Scores, score

from holdfast.documents import ConvertOptions
from holdfast.documents.engines.docling import DoclingEngine, load_docling

# Docling's own pipeline asks its own options for fields that it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ALL_OF_IT = Scores(text=0.99, words=0.99, order=1, headings=1, items=1, tables=1)
# Two accents of LaTeX's are signs of their own; the line of authors is set larger than the text.
PAPER = Scores(text=0.98, words=0.97, order=1, headings=0.88, items=1, tables=1)
# Apostrophes are made straight.
LANGUAGES = Scores(text=0.99, words=0.97, order=1, headings=1, items=1, tables=1)
# A table that is divided by a page's end is two.
REPORT = Scores(text=0.99, words=0.99, order=1, headings=1, items=1, tables=0.95)
# Letters are read by a model, whose results differ a little from machine to machine.
SCAN = Scores(text=0.97, words=0.95, order=1, headings=0.75, items=0.75, tables=0.9)
FLOORS = {
    "paper.pdf": PAPER, "languages.pdf": LANGUAGES, "report.pdf": REPORT,
    "notice-scan.jpeg": SCAN, "notice-skewed.pdf": SCAN, "bulletin-skewed.tiff": SCAN,
}  # fmt: skip
SCANS = [name for name, floor in FLOORS.items() if floor is SCAN]
NAMES = sorted(path.name for path in FILES.iterdir())


@pytest.fixture(scope="module")
def engine() -> Iterator[DoclingEngine]:
    loaded = load_docling(Path())
    yield loaded
    loaded.close()


def held(engine: DoclingEngine, name: str, content: bytes, expected: list[Block]) -> None:
    """Convert a document, and hold each of its scores to the floor."""
    found = engine.convert(name, content, ConvertOptions(outputs=("json",)), lambda _: None)
    have = score(found.outputs["json"], expected).to_dict()
    floor = FLOORS.get(name, ALL_OF_IT).to_dict()
    below = {
        kind: value for kind, value in have.items() if value is not None and value < floor[kind]
    }
    assert not below, f"{name}: {have}"


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SCANS else name for name in NAMES],
)
def test_a_document_of_the_corpus_is_read_as_well_as_ever(engine: DoclingEngine, name: str) -> None:
    for _, content, expected in documents([name], 0):
        held(engine, name, content, expected)


def test_a_book_keeps_its_paragraphs_and_chapters(engine: DoclingEngine) -> None:
    held(engine, "book.pdf", *book(12))


@pytest.mark.slow
def test_a_book_of_three_hundred_pages_keeps_them_too(engine: DoclingEngine) -> None:
    held(engine, "book.pdf", *book(BOOK_PAGES))
