"""A page as its geometry tells it: lines of text, ruled lines, pictures. Rules only; no I/O.

Lengths are points (1/72 inch) from the page's upper left corner, so that ``top`` is less than
``bottom``.
"""

from __future__ import annotations

import enum
import statistics
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Box", "Label", "Line", "PageGeometry", "Region", "around", "is_leftwards"]


class Label(enum.StrEnum):
    """What a region is, by docling's names."""

    TITLE = "title"
    SECTION_HEADER = "section_header"
    TEXT = "text"
    LIST_ITEM = "list_item"
    CAPTION = "caption"
    FOOTNOTE = "footnote"
    CODE = "code"
    PAGE_HEADER = "page_header"
    PAGE_FOOTER = "page_footer"
    TABLE = "table"
    PICTURE = "picture"


class Box(NamedTuple):
    """A rectangle."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """How wide it is."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """How high it is."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """How large it is."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    @property
    def middle(self) -> float:
        """How far down its middle is."""
        return (self.top + self.bottom) / 2

    def holds(self, other: Box) -> bool:
        """Return whether the middle of ``other`` is within."""
        x, y = (other.left + other.right) / 2, (other.top + other.bottom) / 2
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def overlap_x(self, other: Box) -> float:
        """Return how much of the narrower is beside the other, from 0 to 1."""
        shared = min(self.right, other.right) - max(self.left, other.left)
        return max(shared, 0.0) / max(min(self.width, other.width), 1e-6)

    def overlap_y(self, other: Box) -> float:
        """Return how much of the lower is level with the other, from 0 to 1."""
        shared = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(shared, 0.0) / max(min(self.height, other.height), 1e-6)

    def grown(self, by: float) -> Box:
        """Return it with so much more on each side."""
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)


class Line(NamedTuple):
    """A line of text, or a part of one where a wide gap divides it.

    Attributes:
        number: its place in the page's list.
        font: its name; "" where it is not known, as of a scan, whose heights are not exact.
    """

    number: int
    box: Box
    text: str
    font: str = ""

    @property
    def height(self) -> float:
        """The font's size, nearly."""
        return self.box.height

    @property
    def is_bold(self) -> bool:
        """Whether the font's name says so."""
        name = self.font.lower()
        return any(word in name for word in ("bold", "black", "heavy", "demi", "cmbx", "-bd"))

    @property
    def is_monospaced(self) -> bool:
        """Whether the font's name says so."""
        name = self.font.lower()
        return any(word in name for word in ("mono", "courier", "consol", "typewriter", "cmtt"))


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a page that is one thing.

    Attributes:
        lines: the numbers of its lines, in reading order.
    """

    label: Label
    box: Box
    lines: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageGeometry:
    """All that is known of a page.

    Attributes:
        number: of the page, from 1.
        words: the same text word by word, where it is known so.
        rules: ruled lines, each as the thin box that it covers.
        pictures: where bitmaps are.
    """

    number: int
    width: float
    height: float
    lines: Sequence[Line]
    words: Sequence[Line] = ()
    rules: Sequence[Box] = ()
    pictures: Sequence[Box] = ()

    @property
    def body_height(self) -> float:
        """The height of most of its text; 0 where there is none."""
        if self.is_scan:
            return statistics.median([line.height for line in self.lines for _ in line.text])
        count: Counter[float] = Counter()
        for line in self.lines:
            count[round(2 * line.height) / 2] += len(line.text)
        return count.most_common(1)[0][0] if count else 0.0

    @property
    def is_scan(self) -> bool:
        """Whether all its text was read off a picture, so that no height is exact."""
        return bool(self.lines) and not any(line.font for line in self.lines)

    @property
    def leading(self) -> float:
        """From one line of running text to the next, top to top; 1.2 heights where none is."""
        steps = []
        ordered = sorted(self.lines, key=lambda line: line.box.top)
        for at, line in enumerate(ordered):
            for below in ordered[at + 1 : at + 12]:
                step = below.box.top - line.box.top
                if step > 2 * line.height:
                    break
                alike = abs(below.height - line.height) < 0.15 * line.height
                if step > 0.5 * line.height and alike and below.box.overlap_x(line.box) > 0.5:
                    steps += [step] * len(line.text)
                    break
        return statistics.median(steps) if steps else 1.2 * self.body_height


def is_leftwards(text: str) -> bool:
    """Return whether most of a text's letters are written from right to left."""
    if text.isascii():
        return False
    ways = [unicodedata.bidirectional(letter) for letter in text]
    left = sum(way in {"R", "AL"} for way in ways)
    return left > ways.count("L")


def around(boxes: Iterable[Box]) -> Box:
    """Return the box around all; there must be one."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))
