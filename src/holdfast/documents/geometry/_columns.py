"""Columns: a page is cut along its white space, down and across, until nothing divides it.

After the recursive X-Y cut (Nagy and Seth, 1984), with one change: what lies across two columns (a
title, a wide table's caption) is taken out of the way before the columns are looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from holdfast.documents.geometry._page import Box, Line, around

__all__ = ["cut"]

# Of the body's height: what is narrower between two texts is a space, not a gutter.
# No spaces show in a scan, whose lines are read as a whole, with some white around them.
_GUTTER, _GUTTER_SCANNED = 0.75, 0.25
_GAP = 0.9
_DEEPEST = 40
# Of a page's first and last lines so many may lie across its columns.
_AROUND = 12
_MANY = 3 * _AROUND
# A column has so many lines at least; else a row of a table would be several columns.
_COLUMN_LINES = 3
_COLUMN_WIDTH = 10  # of the body's height


def cut(lines: Sequence[Line], body: float) -> list[list[Line]]:
    """Divide lines into parts that are read one after another; each is one column.

    Args:
        lines: of one page.
        body: the height of running text.
    """
    return [part for part in _cut(list(lines), body, 0) if part]


def _cut(lines: list[Line], body: float, depth: int) -> list[list[Line]]:
    if len(lines) < 2 or depth > _DEEPEST:
        return [lines]
    gutter = _gutter(lines, body)
    if gutter is not None:
        left = [line for line in lines if line.box.right <= gutter]
        right = [line for line in lines if line.box.right > gutter]
        return _cut(left, body, depth + 1) + _cut(right, body, depth + 1)
    across = _across(lines, body)
    if across is not None:
        return [part for band in across for part in _cut(band, body, depth + 1)]
    return [sorted(lines, key=lambda line: (line.box.top, line.box.left))]


def _gutter(lines: Sequence[Line], body: float) -> float | None:
    """Return where white space parts the lines into columns, from top to bottom."""
    best: tuple[float, float] | None = None
    for left, right in _white(_widths(lines), _least(lines, body)):
        middle = (left + right) / 2
        one = [line.box for line in lines if line.box.right <= middle]
        other = [line.box for line in lines if line.box.right > middle]
        if not _are_columns(one, other, body):
            continue
        if best is None or right - left > best[0]:
            best = right - left, middle
    return None if best is None else best[1]


def _least(lines: Sequence[Line], body: float) -> float:
    """Return how wide a gutter is at least."""
    scanned = not any(line.font for line in lines)
    return (_GUTTER_SCANNED if scanned else _GUTTER) * body


def _are_columns(one: Sequence[Box], other: Sequence[Box], body: float) -> bool:
    """Return whether both sides are texts of their own, not the cells of one row each."""
    if min(_rows(one), _rows(other)) < _COLUMN_LINES:
        return False
    first, second = around(one), around(other)
    if first.overlap_y(second) < 0.2 or _are_cells(one, body) or _are_cells(other, body):
        return False
    # A table's columns are narrower, or its cells do not fill them, as prose does.
    narrow = min(first.width, second.width) < _COLUMN_WIDTH * body
    return not narrow and max(_filled(one), _filled(other)) > 0.6


def _are_cells(boxes: Sequence[Box], body: float) -> bool:
    """Return whether several short texts stand in most rows, as in a table."""
    short = [box for box in boxes if box.width < _COLUMN_WIDTH * body]
    return len(short) >= 1.5 * _rows(boxes)


def _rows(boxes: Sequence[Box]) -> int:
    tops = sorted(box.top for box in boxes)
    height = sum(box.height for box in boxes) / len(boxes) if boxes else 0
    rows = 0
    last = float("-inf")
    for top in tops:
        if top - last > 0.5 * height:
            rows, last = rows + 1, top
    return rows


def _filled(boxes: Sequence[Box]) -> float:
    """Return the part of its column's width that the middle line has."""
    width = around(boxes).width
    widths = sorted(box.width for box in boxes)
    return widths[len(widths) // 2] / max(width, 1e-6)


def _across(lines: list[Line], body: float) -> list[list[Line]] | None:
    """Cut between bands that are built differently: one column here, two there."""
    spans = [(line.box.top, line.box.bottom) for line in lines]
    gaps = _white(spans, _GAP * body)
    ordered = sorted(lines, key=lambda line: line.box.top)
    # White space first, the widest; then between any two lines, where columns come of it.
    for top, bottom in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
        middle = (top + bottom) / 2
        above = [line for line in lines if line.box.bottom <= middle]
        below = [line for line in lines if line.box.bottom > middle]
        if _gutter(above, body) is not None or _gutter(below, body) is not None:
            return [above, below]
    if not _white(_widths(ordered[_AROUND:-_AROUND]), _least(lines, body)) and len(ordered) > _MANY:
        return None  # nor will there be any among more lines
    edges = range(min(len(ordered), _AROUND))
    for first, last in sorted(product(edges, edges), key=sum)[1:]:
        stop = len(ordered) - last
        inner = ordered[first:stop]
        if _gutter(inner, body) is not None:
            return [ordered[:first], inner, ordered[stop:]]
    return None


def _widths(lines: Sequence[Line]) -> list[tuple[float, float]]:
    return [(line.box.left, line.box.right) for line in lines]


def _white(spans: Sequence[tuple[float, float]], least: float) -> list[tuple[float, float]]:
    """Return the gaps between spans on one axis that are at least so wide."""
    found: list[tuple[float, float]] = []
    end = float("inf")
    for start, stop in sorted(spans):
        if start - end >= least:
            found.append((end, start))
        end = stop if end == float("inf") else max(end, stop)
    return found
