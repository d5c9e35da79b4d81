"""Tables: by ruled lines, or by columns of short texts one below the other. Rules only; no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from holdfast.documents.geometry._page import Box, Line, PageGeometry, around
from holdfast.documents.geometry._paragraphs import in_rows

__all__ = ["Cell", "Grid", "aligned_tables", "ruled_tables", "table_within"]

_SNAP = 3.0
_THIN = 3.0
_LEAST_ROWS, _LEAST_COLUMNS = 3, 3


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its place in the grid, how many rows and columns it takes, and what is in it."""

    row: int
    column: int
    rows: int
    columns: int
    box: Box
    lines: Sequence[Line]

    @property
    def text(self) -> str:
        """What is in it."""
        return " ".join(line.text.strip() for line in self.lines)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table."""

    box: Box
    rows: int
    columns: int
    cells: Sequence[Cell]

    def holds(self, line: Line) -> bool:
        """Return whether a line is in it."""
        return self.box.grown(_SNAP).holds(line.box)


def ruled_tables(page: PageGeometry) -> list[Grid]:
    """Return the tables of a page that ruled lines make."""
    return [grid for box in _ruled(page) if (grid := _by_rules(page, box)) is not None]


def _ruled(page: PageGeometry) -> list[Box]:
    """Return where ruled lines touch each other and make more than one cell."""
    groups: list[list[Box]] = []
    for rule in page.rules:
        touching = [group for group in groups if any(_touch(rule, other) for other in group)]
        joined = [rule, *(other for group in touching for other in group)]
        groups = [group for group in groups if group not in touching] + [joined]
    return [
        around(group) for group in groups
        if sum(_is_level(rule) for rule in group) >= 3
        and sum(not _is_level(rule) for rule in group) >= 2
    ]  # fmt: skip


def _is_level(rule: Box) -> bool:
    return rule.width >= rule.height


def _touch(one: Box, other: Box) -> bool:
    return not (
        one.right + _SNAP < other.left or other.right + _SNAP < one.left
        or one.bottom + _SNAP < other.top or other.bottom + _SNAP < one.top
    )  # fmt: skip


def _by_rules(page: PageGeometry, box: Box) -> Grid | None:
    """Make the cells between ruled lines; where a line is missing two cells are one."""
    inside = [rule for rule in page.rules if box.grown(_SNAP).holds(rule)]
    level = [rule for rule in inside if _is_level(rule)]
    upright = [rule for rule in inside if not _is_level(rule)]
    ys = _places([(rule.top + rule.bottom) / 2 for rule in level])
    xs = _places([(rule.left + rule.right) / 2 for rule in upright])
    if len(ys) < 3 or len(xs) < 3:
        return None
    taken: set[tuple[int, int]] = set()
    cells = []
    for row in range(len(ys) - 1):
        for column in range(len(xs) - 1):
            if (row, column) in taken:
                continue
            wide = _stretch(xs, column, upright, (ys[row] + ys[row + 1]) / 2, upright=True)
            high = _stretch(ys, row, level, (xs[column] + xs[column + 1]) / 2, upright=False)
            taken |= {(row + r, column + c) for r in range(high) for c in range(wide)}
            place = Box(xs[column], ys[row], xs[column + wide], ys[row + high])
            own = [word for word in page.words or page.lines if place.holds(word.box)]
            cells.append(Cell(row, column, high, wide, place, _read(own)))
    if sum(bool(cell.lines) for cell in cells) < 2:
        return None
    return Grid(box, len(ys) - 1, len(xs) - 1, cells)


def _places(values: Sequence[float]) -> list[float]:
    """Return where lines are, those that are nearly at one place as one."""
    found: list[list[float]] = []
    for value in sorted(values):
        if found and value - found[-1][-1] < _SNAP:
            found[-1].append(value)
        else:
            found.append([value])
    return [sum(each) / len(each) for each in found]


def _stretch(
    places: Sequence[float], at: int, rules: Sequence[Box], other: float, *, upright: bool
) -> int:
    """Return how many cells are one, because no line parts them."""
    count = 1
    while at + count < len(places) - 1:
        place = places[at + count]
        if any(_lies(rule, place, other, upright=upright) for rule in rules):
            break
        count += 1
    return count


def _lies(rule: Box, place: float, other: float, *, upright: bool) -> bool:
    if upright:
        return (
            abs((rule.left + rule.right) / 2 - place) < _SNAP and rule.top <= other <= rule.bottom
        )
    return abs((rule.top + rule.bottom) / 2 - place) < _SNAP and rule.left <= other <= rule.right


def _read(lines: Sequence[Line]) -> list[Line]:
    return [line for row in in_rows(lines) for line in row]


def aligned_tables(lines: Sequence[Line], body: float) -> list[Grid]:
    """Return the tables that nothing rules: rows of short texts, three or more, in columns.

    Args:
        lines: of one column of the page; else what stands beside it would be taken for cells.
        body: the height of running text.
    """
    found: list[Grid] = []
    run: list[list[Line]] = []
    for row in [*in_rows(lines), []]:
        if _is_cells(row, body) and (not run or _follows(run[-1], row, body)):
            run.append(row)
            continue
        grid = _grid(run)
        if grid is not None:
            found.append(grid)
        run = [row] if _is_cells(row, body) else []
    return found


def table_within(page: PageGeometry, box: Box) -> Grid | None:
    """Return the table at a place of which it is known that one is there; all text of it is in it.

    By its ruled lines where they enclose all of it, else by rows and columns; None where the
    place has no text.
    """
    place = box.grown(_SNAP)
    lines = [line for line in page.lines if place.holds(line.box)]
    if not lines:
        return None
    inner = PageGeometry(
        number=page.number, width=page.width, height=page.height, lines=lines,
        words=[word for word in page.words if place.holds(word.box)],
        rules=[rule for rule in page.rules if place.holds(rule)],
    )  # fmt: skip
    for ruled in ruled_tables(inner):
        if all(ruled.holds(line) for line in lines):
            return ruled
    rows = in_rows(lines)
    grid = _grid(rows, least_rows=1, least_columns=2)
    return grid if grid is not None and _is_whole(grid, lines) else _listed(rows)


def _is_whole(grid: Grid, lines: Sequence[Line]) -> bool:
    told = [line.number for cell in grid.cells for line in cell.lines]
    return sorted(told) == sorted(line.number for line in lines)


def _listed(rows: Sequence[Sequence[Line]]) -> Grid:
    """Return rows of which no columns can be made as a table of one column."""
    places = [around(line.box for line in row) for row in rows]
    cells = [
        Cell(at, 0, 1, 1, place, row)
        for at, (place, row) in enumerate(zip(places, rows, strict=True))
    ]
    return Grid(around(places), len(rows), 1, cells)


def _is_cells(row: Sequence[Line], body: float) -> bool:
    if len(row) < _LEAST_COLUMNS:
        return False
    gaps = [right.box.left - left.box.right for left, right in pairwise(row)]
    return min(gaps) > 0.8 * body and max(len(line.text) for line in row) < 60


def _follows(before: Sequence[Line], row: Sequence[Line], body: float) -> bool:
    above, here = around(line.box for line in before), around(line.box for line in row)
    return here.top - above.bottom < 1.6 * body


def _grid(
    rows: Sequence[Sequence[Line]],
    least_rows: int = _LEAST_ROWS,
    least_columns: int = _LEAST_COLUMNS,
) -> Grid | None:
    if len(rows) < least_rows:
        return None
    columns: list[Box] = []
    for row in rows:
        for line in row:
            columns = _joined(columns, line.box)
    columns.sort()
    if len(columns) < least_columns or len(columns) > 2 * max(len(row) for row in rows):
        return None
    box = around(line.box for row in rows for line in row)
    cells = []
    for number, row in enumerate(rows):
        level = around(line.box for line in row)
        for at, column in enumerate(columns):
            own = [line for line in row if column.overlap_x(line.box) > 0.5]
            place = Box(column.left, level.top, column.right, level.bottom)
            cells.append(Cell(number, at, 1, 1, place, own))
    return Grid(box, len(rows), len(columns), cells)


def _joined(columns: Sequence[Box], box: Box) -> list[Box]:
    """Return the columns with one more text: it widens those that it is in."""
    own = [column for column in columns if column.overlap_x(box) > 0]
    rest = [column for column in columns if column not in own]
    return [*rest, around([*own, box])]
