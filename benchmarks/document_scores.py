"""How well documents are read: each of the corpus beside what is in it.

    python -m benchmarks.document_scores [NAME ...] [--book PAGES] [--json FILE]
    python -m benchmarks.document_scores --scans
    python -m benchmarks.document_scores --profile standard

What the scores are is in `corpus/score.py`, what the documents are in `corpus/make.py`. The profile
decides what finds the layout of pages: starter geometry, standard docling's model, which is brought
first (it needs a hub once, torch and Transformers).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from corpus.blocks import FILES, Block, expected
from corpus.pages import BOOK_PAGES, book
from corpus.scans import grey_scan, line_scan
from corpus.score import Scores, mean_of, score

from holdfast.config import configuration
from holdfast.documents import ConvertOptions, DocumentEngine
from holdfast.documents.engines.docling import load_docling
from holdfast.wiring import document_models

_BOOK = "book.pdf"
# Of pages of the corpus: degrees, dots per inch, and whether it is in black and white.
_SCANS = (
    ("newsletter", 1.0, 150, False), ("newsletter", -2.0, 200, True), ("bulletin", 0.7, 150, False),
    ("notice", -1.8, 170, False), ("invoice", 1.2, 150, False), ("form", -1.0, 200, True),
    ("bulletin", 0.0, 150, False), ("newsletter", 0.3, 200, True),
)  # fmt: skip


def documents(names: Sequence[str], pages: int) -> Iterator[tuple[str, bytes, list[Block]]]:
    """Give documents with what is expected of them, and a book of so many pages where asked."""
    for path in sorted(FILES.iterdir()):
        if not names or path.name in names:
            yield path.name, path.read_bytes(), expected(path.name)
    if pages:
        yield _BOOK, *book(pages)


def scans() -> Iterator[tuple[str, bytes, list[Block]]]:
    """Give scans that the rules were not made with, although of pages that they were made with."""
    for name, degrees, dpi, is_black in _SCANS:
        pdf = (FILES / f"{name}.pdf").read_bytes()
        if is_black:
            scan = line_scan(pdf, dpi=dpi, degrees=degrees, specks=0.0003)
        else:
            scan = grey_scan(pdf, dpi=dpi, degrees=degrees, noise=8, form="pdf")
        suffix = "tiff" if is_black else "pdf"
        yield f"{name}{degrees:+}-{dpi}.{suffix}", scan, expected(f"{name}.pdf")


def measured(
    engine: DocumentEngine, every: Iterable[tuple[str, bytes, list[Block]]]
) -> Iterator[tuple[str, Scores, float]]:
    """Give the name of each document, its scores, and the seconds that it took."""
    options = ConvertOptions(outputs=("json",))
    for name, content, blocks in every:
        started = time.perf_counter()
        found = engine.convert(name, content, options, lambda _: None)
        took_s = time.perf_counter() - started
        yield name, score(found.outputs["json"], blocks), took_s


def as_row(name: str, scores: Scores, seconds: float) -> str:
    """Return a row of a table in Markdown."""
    values = ["" if each is None else f"{each:.3f}" for each in scores.to_dict().values()]
    return f"| {' | '.join([name, *values, f'{seconds:.1f} s'])} |"


def main() -> int:
    """Convert, score and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.document_scores")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of files in corpus/files")
    parser.add_argument("--profile", choices=("starter", "standard", "gpu"), default="starter")
    parser.add_argument(
        "--book", type=int, metavar="PAGES", nargs="?", const=BOOK_PAGES, default=0,
        help=f"a book of so many pages, too ({BOOK_PAGES})",
    )  # fmt: skip
    parser.add_argument("--scans", action="store_true", help="scans made for this, instead")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    chosen = parser.parse_args()
    found = configuration(os.environ, profile=chosen.profile)
    folder, device = document_models(found.settings, found.service, os.environ, lambda _: None)
    engine = load_docling(folder, device)
    kept: dict[str, Mapping[str, float | None]] = {}
    every: list[Scores] = []
    total_s = 0.0
    columns = list(Scores.__dataclass_fields__)
    print(f"| {' | '.join(['', *columns, 'time'])} |\n|---|{'--:|' * (len(columns) + 1)}")
    asked = scans() if chosen.scans else documents(chosen.names, chosen.book)
    for name, scores, took_s in measured(engine, asked):
        print(as_row(name, scores, took_s), flush=True)
        every.append(scores)
        total_s += took_s
        kept[name] = {**scores.to_dict(), "seconds": took_s}
    print(as_row("**mean**", mean_of(every), total_s / max(len(every), 1)))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(kept, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
