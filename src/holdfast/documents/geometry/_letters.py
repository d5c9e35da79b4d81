"""Heights of lines that go by the letters in them become heights of the font. Rules only; no I/O.

Of some fonts a reader of PDF tells the box around the ink: "over" is then half as high as "Agape"
although both are of one size. How far a letter goes above and below the baseline is much the same
in all fonts for Latin, Greek and Cyrillic. Whether a page has such boxes shows in its lines with
and without descending letters; what is read off a scan always has.
"""

from __future__ import annotations

import statistics
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.documents.geometry._page import Box, Line, PageGeometry

__all__ = ["levelled"]

# Of the font's size, above the baseline (below it for the last one).
_CAPITAL, _SMALL, _MARK, _BELOW = 0.74, 0.55, 0.21, 0.22
_ASCENDING = frozenset("bdfhkltijßþđłβδζθλξφψфб")  # noqa: RUF001
_DESCENDING = frozenset("gjpqyQ,;()[]βγζημξρςφχψуфрцщд")
# What reads scans leaves so much of the size around the ink.
_AROUND = 0.25
# By how much lines with descending letters are higher where boxes are around the ink: by 1.3.
_HIGHER = 1.12


def levelled(page: PageGeometry) -> PageGeometry:
    """Return the page with its lines as high as their fonts, not as the letters in them."""
    known = {
        line.number: extent for line in page.lines if (extent := _extent(line.text)) is not None
    }
    lines = [line for line in page.lines if line.number in known]
    if any(line.font for line in lines) and not _are_by_ink(lines, known):
        return page
    return replace(
        page,
        lines=[
            line._replace(box=_of_font(line.box, *known[line.number], seen=not line.font))
            if line.number in known else line
            for line in page.lines
        ],
    )  # fmt: skip


def _are_by_ink(lines: Sequence[Line], known: Mapping[int, tuple[float, float]]) -> bool:
    """Return whether lines of one font are higher where letters descend; most lines decide."""
    votes = 0
    for font in {line.font for line in lines if line.font}:
        heights: tuple[list[float], list[float]] = [], []
        for line in lines:
            above, below = known[line.number]
            if line.font == font and above == _CAPITAL:
                heights[below > 0].append(line.height)
        if all(heights):
            count = min(map(len, heights))
            level, descending = map(statistics.median, heights)
            votes += count if descending > _HIGHER * level else -count
    return votes > 0


def _of_font(box: Box, above: float, below: float, *, seen: bool) -> Box:
    edge = _AROUND if seen else 0.0
    size = box.height / (above + below + edge)
    baseline = box.bottom - (below + edge / 2) * size
    top, bottom = _CAPITAL + edge / 2, _BELOW + edge / 2
    return Box(box.left, baseline - top * size, box.right, baseline + bottom * size)


def _extent(text: str) -> tuple[float, float] | None:
    """Return how far a text's ink goes above and below the baseline; None where it has no letters.

    Of scripts without capitals nothing is known.
    """
    above = below = 0.0
    base = 0.0
    for letter in unicodedata.normalize("NFD", text):
        mark = unicodedata.combining(letter)
        if mark in {220, 202}:  # below: a cedilla, an ogonek
            below = _BELOW
        elif mark:
            above = max(above, base + _MARK)
        elif letter.isdigit() or (letter.isalpha() and (letter.upper() != letter.lower())):
            high = not letter.islower() or letter in _ASCENDING
            base = _CAPITAL if high else _SMALL
            above = max(above, base)
        elif letter.isalpha():
            return None
        if letter in _DESCENDING:
            below = _BELOW
    return (above, below) if above else None
