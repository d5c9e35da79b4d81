"""Scans that were laid askew are set straight. Rules only; no I/O.

What reads scans tells the upper left and the lower right corner of each line. Of a line that slopes
these are further apart in height the longer it is, which gives the angle; turned back by it the two
corners are those of an upright box.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from holdfast.documents.geometry._page import Box, Line, PageGeometry

__all__ = ["straightened"]

# A smaller slope does no harm, and may come of letters of different heights.
_LEAST = math.tan(math.radians(0.5))
_LEAST_LINES = 6
_MOST_LINES = 200


def straightened(page: PageGeometry) -> PageGeometry:
    """Return the page of a scan with its lines level; another page as it is."""
    slope = _slope(page.lines) if page.is_scan else 0.0
    if abs(slope) < _LEAST:
        return page
    angle = math.atan(slope)
    lines = [line._replace(box=_turned(line.box, angle, page)) for line in page.lines]
    return replace(page, lines=lines)


def _slope(lines: Sequence[Line]) -> float:
    """Return how much lines fall to the right, of their width: the median of pairs (Theil, Sen)."""
    if len(lines) < _LEAST_LINES:
        return 0.0
    boxes = [line.box for line in lines[:_MOST_LINES]]
    enough = 0.25 * max(box.width for box in boxes)
    slopes = [
        (one.height - other.height) / (one.width - other.width)
        for one, other in combinations(boxes, 2)
        if abs(one.width - other.width) > enough
    ]
    return statistics.median(slopes) if slopes else 0.0


def _turned(box: Box, angle: float, page: PageGeometry) -> Box:
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = page.width / 2, page.height / 2

    def back(left: float, top: float) -> tuple[float, float]:
        return (
            x + (left - x) * cos + (top - y) * sin, y + (top - y) * cos - (left - x) * sin,
        )  # fmt: skip

    left, top = back(box.left, box.top)
    right, bottom = back(box.right, box.bottom)
    if right <= left or bottom <= top:  # not of this slope: a mark, an upright line
        return box
    return Box(left, top, right, bottom)
