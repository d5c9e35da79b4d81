"""What the parts of a page are: headings, paragraphs, lists, captions, tables. Rules only; no I/O.

It knows no language and has learnt nothing: it goes by sizes, weights, white space and ruled lines.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence

from holdfast.documents.geometry._columns import cut
from holdfast.documents.geometry._leftwards import mirrored, mirrored_grid, mirrored_region
from holdfast.documents.geometry._letters import levelled
from holdfast.documents.geometry._page import (
    Box,
    Label,
    Line,
    PageGeometry,
    Region,
    around,
    is_leftwards,
)
from holdfast.documents.geometry._paragraphs import BULLET, Paragraph, paragraphs
from holdfast.documents.geometry._skew import straightened
from holdfast.documents.geometry._tables import Grid, aligned_tables, ruled_tables

__all__ = ["Analysis", "analyse"]

_CAPTION = re.compile(
    r"^\s*(?:fig(?:ure|\.)?|tab(?:le|elle|\.)?|abb(?:ildung|\.)?|listing|scheme|chart)\s*"
    r"[A-Z]?\d+(?:\.\d+)*\s*(?:[.:|\u2013\u2014-]|$|\s[A-Z(])",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\s*(?:\d{1,2}(?:\.\d{1,2}){0,3}\.?|[A-Z]\.|[IVX]{1,5}\.)\s+\S")
_PAGE_NUMBER = re.compile(
    r"^\W*(?:page|p\.|seite|s\.)?\s*(?:\d{1,4}|[ivxlc]{1,6})"
    r"(?:\s*(?:/|of|von|de)\s*\d{1,4})?\W*$",
    re.IGNORECASE,
)
_NOTE = re.compile(r"^\s*(?:\d{1,2}|[*†‡§¹²³⁴-⁹])\s*\S")
# Parts of the page's height in which headers and footers stand; the number of the page may stand
# nearer to the text.
_MARGIN, _NUMBER_MARGIN = 0.08, 0.2
_LARGER, _TITLE, _SMALLER = 1.12, 1.45, 0.88
# Of a scan, whose lines' heights depend on their letters.
_LARGER_NEARLY = 1.2
# Of Arabic and Hebrew, whose letters differ much.
_LARGER_BY_FAR = 1.6
_HEADING_LINES, _HEADING_LETTERS = 3, 200
_LEAST_PICTURE = 0.005


class Analysis:
    """A page's regions in reading order, and its tables.

    Attributes:
        regions: all of them.
        grids: the tables, in the order of the regions that are tables.
    """

    def __init__(self, regions: Sequence[Region], grids: Sequence[Grid]) -> None:
        self.regions = regions
        self.grids = grids


def analyse(page: PageGeometry) -> Analysis:
    """Return what is on a page."""
    page = levelled(straightened(page))
    if not is_leftwards("".join(line.text for line in page.lines)):
        return _analysed(page)
    found = _analysed(mirrored(page))
    return Analysis(
        [mirrored_region(region, page.width) for region in found.regions],
        [mirrored_grid(grid, page.width) for grid in found.grids],
    )


def _analysed(page: PageGeometry) -> Analysis:
    body, leading = page.body_height, page.leading
    headers, footers, rest = _margins(page, body)
    inner = PageGeometry(
        number=page.number, width=page.width, height=page.height, lines=rest, words=page.words,
        rules=page.rules, pictures=page.pictures,
    )  # fmt: skip
    grids = ruled_tables(inner)
    taken = {line.number for line in rest if any(grid.holds(line) for grid in grids)}
    pictures = _pictures(page)
    places: list[Grid | Region] = [*grids, *pictures]
    marks = [_mark(-1 - at, place.box) for at, place in enumerate(places)]
    free = [line for line in rest if line.number not in taken]
    blocks = {mark.number: place for mark, place in zip(marks, places, strict=True)}
    regions = [_region(Label.PAGE_HEADER, [line]) for line in headers]
    in_order: list[Grid] = []
    told: set[int] = set()
    for column in cut([*free, *marks], body or 10.0):
        for place, lines in _parts(column, blocks, body):
            if isinstance(place, Region):
                regions.append(place)
            elif place is None:
                regions += _labelled(lines, page, body, leading)
            else:
                in_order.append(place)
                # The lines of a ruled table did not take part in the cut.
                own = lines or [line for line in rest if place.holds(line)]
                numbers = [line.number for line in own if line.number not in told]
                told.update(numbers)
                regions.append(Region(Label.TABLE, place.box, numbers))
    regions += [_region(Label.PAGE_FOOTER, [line]) for line in footers]
    return Analysis(regions, in_order)


def _parts(
    column: Sequence[Line], blocks: Mapping[int, Grid | Region], body: float
) -> list[tuple[Grid | Region | None, list[Line]]]:
    """Divide a column into tables, pictures, and text, each with its lines of the column."""
    text = [line for line in column if line.number not in blocks]
    aligned = aligned_tables(text, body)
    parts: list[tuple[Grid | Region | None, list[Line]]] = []
    for line in column:
        place = blocks.get(line.number)
        own = [line] if place is None else []
        if place is None:
            place = next((grid for grid in aligned if grid.holds(line)), None)
        same = [part for part in parts if part[0] is place]
        if place is None:
            same = same[-1:] if parts and parts[-1][0] is None else []
        if same:
            same[0][1].extend(own)
        else:
            parts.append((place, own))
    return parts


def _mark(number: int, box: Box) -> Line:
    """Return what stands for a table or a picture where columns are looked for."""
    return Line(number, box, "")


def _margins(page: PageGeometry, body: float) -> tuple[list[Line], list[Line], list[Line]]:
    """Return headers, footers and all else: what stands apart at the upper and lower edge."""
    lines = sorted(page.lines, key=lambda line: line.box.top)
    top, bottom = _MARGIN * page.height, (1 - _MARGIN) * page.height
    upper = [line for line in lines if line.box.bottom < top and line.height <= 1.1 * body]
    lower = [line for line in lines if line.box.top > bottom and line.height <= 1.1 * body]
    if not lower and lines and _is_number(lines, page, body):
        lower = lines[-1:]
    others = [line for line in lines if line not in upper and line not in lower]
    if not others:
        return [], [], lines
    first = min(line.box.top for line in others)
    last = max(line.box.bottom for line in others)
    headers = [line for line in upper if first - line.box.bottom > 0.8 * body]
    footers = [
        line for line in lower
        if line.box.top - last > 0.8 * body or _PAGE_NUMBER.match(line.text)
    ]  # fmt: skip
    apart = {line.number for line in (*headers, *footers)}
    return headers, footers, [line for line in lines if line.number not in apart]


def _is_number(lines: Sequence[Line], page: PageGeometry, body: float) -> bool:
    """Return whether the last of the lines is the page's number, alone below the text."""
    last = lines[-1]
    above = max((line.box.bottom for line in lines[:-1]), default=0.0)
    return (
        last.box.top > (1 - _NUMBER_MARGIN) * page.height
        and last.box.top - above > body
        and bool(_PAGE_NUMBER.match(last.text))
    )


def _pictures(page: PageGeometry) -> list[Region]:
    """Return the bitmaps that are pictures; one that covers the page is a scan of it."""
    whole = page.width * page.height
    found = []
    for box in page.pictures:
        if not _LEAST_PICTURE * whole < box.area < 0.85 * whole:
            continue
        inside = [line.number for line in page.lines if box.holds(line.box)]
        if not inside:
            found.append(Region(Label.PICTURE, box))
    return found


def _labelled(
    lines: Sequence[Line], page: PageGeometry, body: float, leading: float
) -> list[Region]:
    found = []
    for paragraph in paragraphs(lines, leading):
        found.append(_region(_label(paragraph, page, body), paragraph))
    return found


def _label(paragraph: Paragraph, page: PageGeometry, body: float) -> Label:
    text = " ".join(line.text.strip() for line in paragraph)
    heights = [line.height for line in paragraph]
    height = statistics.median(heights) if page.is_scan else max(heights)
    box = around(line.box for line in paragraph)
    if all(line.is_monospaced for line in paragraph) and len(paragraph) > 1:
        return Label.CODE
    if _CAPTION.match(text) and height <= 1.1 * body:
        return Label.CAPTION
    if BULLET.match(text) and not _NUMBERED.match(text):
        return Label.LIST_ITEM
    if _is_heading(paragraph, text, height, body):
        at_top = page.number == 1 and box.top < 0.4 * page.height
        tallest = max(line.height for line in page.lines)
        if at_top and height >= _TITLE * body and height > 0.95 * tallest:
            return Label.TITLE
        return Label.SECTION_HEADER
    if BULLET.match(text):
        return Label.LIST_ITEM
    low = box.top > 0.6 * page.height
    if height <= _SMALLER * body and low and _NOTE.match(text):
        return Label.FOOTNOTE
    return Label.TEXT


def _is_heading(paragraph: Paragraph, text: str, height: float, body: float) -> bool:
    if len(paragraph) > _HEADING_LINES or len(text) > _HEADING_LETTERS or not text.strip():
        return False
    if not any(letter.isalpha() for letter in text):
        return False
    ended = text.rstrip().endswith((".", ",", ";", ":"))
    if height >= _larger(paragraph[0]) * body:
        return bool(paragraph[0].font) or not ended or height >= _TITLE * body
    if not all(line.is_bold for line in paragraph) or height < 0.95 * body:
        return False
    return bool(_NUMBERED.match(text)) or not ended


def _larger(line: Line) -> float:
    if is_leftwards(line.text):
        return _LARGER_BY_FAR
    return _LARGER if line.font else _LARGER_NEARLY


def _region(label: Label, lines: Sequence[Line]) -> Region:
    return Region(label, around(line.box for line in lines), [line.number for line in lines])
