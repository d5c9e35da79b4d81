"""Text from right to left: its words in order, and a page in the mirror. Rules only; no I/O.

In the mirror such a page is built like any other: its columns, indents, bullets and tables begin at
the left.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from holdfast.documents.geometry._page import Box, Line, PageGeometry, Region
from holdfast.documents.geometry._tables import Grid

__all__ = ["mirrored", "mirrored_grid", "mirrored_region", "read_leftwards"]

# Of a word's height: what is nearer belongs to the same word.
_JOINED = 0.08


def read_leftwards(words: Sequence[Line]) -> str:
    """Return the text of a line's words, whose letters are in order.

    Words and numbers of other scripts keep their own order among themselves.
    """
    ordered = sorted(words, key=lambda word: -word.box.right)
    read: list[Line] = []
    for foreign, group in groupby(ordered, key=lambda word: _is_foreign(word.text)):
        own = list(group)
        read += reversed(own) if foreign else own
    text = ""
    before: Line | None = None
    for word in read:
        text += " " if before is not None and not _touch(before, word) else ""
        text += word.text.strip()
        before = word
    return text


def _is_foreign(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in {"L", "EN"} for letter in text)


def _touch(one: Line, other: Line) -> bool:
    gap = max(one.box.left, other.box.left) - min(one.box.right, other.box.right)
    return gap < _JOINED * max(one.height, other.height)


def mirrored(page: PageGeometry) -> PageGeometry:
    """Return a page as the mirror shows it."""
    return replace(
        page,
        lines=[_line(line, page.width) for line in page.lines],
        words=[_line(word, page.width) for word in page.words],
        rules=[_box(rule, page.width) for rule in page.rules],
        pictures=[_box(picture, page.width) for picture in page.pictures],
    )


def mirrored_region(region: Region, width: float) -> Region:
    """Return a region of a mirrored page where it is on the page."""
    return replace(region, box=_box(region.box, width))


def mirrored_grid(grid: Grid, width: float) -> Grid:
    """Return a table of a mirrored page where it is on the page: from the right."""
    cells = [
        replace(cell, box=_box(cell.box, width), lines=[_line(line, width) for line in cell.lines])
        for cell in grid.cells
    ]
    return replace(grid, box=_box(grid.box, width), cells=cells)


def _line(line: Line, width: float) -> Line:
    return line._replace(box=_box(line.box, width))


def _box(box: Box, width: float) -> Box:
    return Box(width - box.right, box.top, width - box.left, box.bottom)
