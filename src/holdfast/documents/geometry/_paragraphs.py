"""Lines of one column become paragraphs. Rules only; no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from holdfast.documents.geometry._page import Box, Line, around, is_leftwards

__all__ = ["BULLET", "Paragraph", "in_rows", "paragraphs"]

Paragraph = list[Line]
# What an item of a list begins with: a sign, or a number or letter with a dot or bracket.
BULLET = re.compile(
    r"^\s*(?:[•‣◦▪▫●○■□◆\u2776-\u2793\u2013\u2014*·∙-]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,5})[.)])(?:\s+|$)"
)
_ENDED = re.compile(r"[.!?:;”\"')\]]$")
# By how much lines of one size differ in height: where the font is known, in scans, and in Arabic
# and Hebrew, whose letters differ much.
_SAME_SIZE, _NEARLY, _HARDLY = 0.12, 0.35, 0.45
_FURTHER = 1.35  # of the leading: more between two lines parts paragraphs
_LARGE, _TIGHT = 1.1, 1.6
_WITHIN = 0.8  # of a scanned line's height: from it to the next of a heading at least


def in_rows(lines: Sequence[Line]) -> list[list[Line]]:
    """Return lines by rows, from top to bottom, each from left to right."""
    rows: list[list[Line]] = []
    place = Box(0, 0, 0, 0)  # of the last row
    for line in sorted(lines, key=lambda each: (each.box.top + each.box.bottom, each.box.left)):
        if rows and place.overlap_y(line.box) > 0.5:
            rows[-1].append(line)
            place = around((place, line.box))
        else:
            rows.append([line])
            place = line.box
    return [sorted(row, key=lambda line: line.box.left) for row in rows]


def paragraphs(lines: Sequence[Line], leading: float) -> list[Paragraph]:
    """Divide a column's lines into paragraphs.

    Args:
        lines: of one column.
        leading: from one line of running text to the next.
    """
    rows = in_rows(lines)
    if not rows:
        return []
    column = around(line.box for line in lines)
    found: list[Paragraph] = [list(rows[0])]
    for before, row in pairwise(rows):
        if _begins(found[-1], before, row, column, leading):
            found.append(list(row))
        else:
            found[-1] += row
    return found


def _differ(one: Line, other: Line, size: float) -> bool:
    """Return whether two lines are set differently."""
    return (
        abs(one.height - other.height) > _slack(other) * size
        or one.is_bold != other.is_bold
        or one.is_monospaced != other.is_monospaced
    )


def _slack(line: Line) -> float:
    if is_leftwards(line.text):
        return _HARDLY
    return _SAME_SIZE if line.font else _NEARLY


def _middle(box: Box) -> float:
    return (box.left + box.right) / 2


def _begins(
    paragraph: Paragraph, before: Sequence[Line], row: Sequence[Line], column: Box, leading: float
) -> bool:
    """Return whether a row begins a new paragraph."""
    above, here = around(line.box for line in before), around(line.box for line in row)
    first, last = row[0], before[-1]
    size = max(above.height, here.height)
    if _differ(last, first, size):
        return True
    if not first.font:
        # Boxes of scans are higher than lines are apart: only the white says where a heading ends.
        least = _WITHIN * min(above.height, here.height)
        if here.top - above.top > _FURTHER * max(leading, least):
            return True
    elif size > _LARGE * leading:
        # A heading of several lines is set tight, and they begin, or have their middles, alike.
        apart = abs(here.left - above.left) > size and abs(_middle(here) - _middle(above)) > size
        if apart or here.top - above.top > _TIGHT * size:
            return True
    elif here.top - above.top > _FURTHER * max(leading, 1.05 * size):
        return True
    if BULLET.match(first.text):
        return True
    if first.is_monospaced:
        return False
    start = around(line.box for line in paragraph).left
    hanging = bool(BULLET.match(paragraph[0].text))
    if hanging:
        return here.left < paragraph[0].box.left + 0.3 * size
    # Where nothing but an indent, or a line that is not full, says that a new one begins.
    ended = bool(_ENDED.search(last.text.rstrip()))
    short = above.right < column.right - 0.15 * column.width
    indented = here.left > start + 0.8 * size
    return ended and (short or (indented and len(paragraph) > 1))
