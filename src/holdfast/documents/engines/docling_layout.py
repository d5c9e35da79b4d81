"""The layout by geometry within docling: an engine of its layout stage, and a pipeline around it.

Docling reads scans after the layout stage, in the regions that it found. So that stage only says
where there is something to read; what the regions are is found once all text is there. Tables come
of the same look, so that docling's table structure is to be off, and the order of reading too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from docling.datamodel.base_models import (
    Cluster,
    LayoutPrediction,
    Page,
    Table,
    TableStructurePrediction,
)
from docling.datamodel.document import ConversionResult
from docling.datamodel.pipeline_options import BaseLayoutOptions
from docling.models.base_layout_model import BaseLayoutModel
from docling.models.factories import get_layout_factory
from docling.models.postprocessing.reading_order_rb import ReadingOrderPredictor
from docling_core.types.doc import BoundingBox, CoordOrigin, DocItemLabel, TableCell
from docling_core.types.doc.page import BoundingRectangle, SegmentedPdfPage, TextCell

from holdfast.documents.engines.docling_stages import LeanPdfPipeline
from holdfast.documents.geometry import (
    Box,
    Grid,
    Label,
    Line,
    PageGeometry,
    Region,
    analyse,
    around,
    in_rows,
    is_leftwards,
    read_leftwards,
)

__all__ = [
    "GeometryLayoutModel",
    "GeometryLayoutOptions",
    "GeometryPdfPipeline",
    "geometry_of",
    "register",
    "table_of",
]

# Of a page's area: a smaller picture has nothing to read.
_LEAST_READ = 0.01
_THICKEST = 3.0
_SHORTEST = 8.0
# Of a line's height: a wider gap between two words divides it.
_GAP = 0.75


class GeometryLayoutOptions(BaseLayoutOptions):  # type: ignore[misc]
    """Chooses the layout by geometry."""

    kind: ClassVar[str] = "holdfast_geometry"


class GeometryLayoutModel(BaseLayoutModel):  # type: ignore[misc]
    """Where something may be to read: in bitmaps, and on pages that have no text."""

    def __init__(self, *, options: GeometryLayoutOptions, **_: Any) -> None:
        self.options = options

    @classmethod
    def get_options_type(cls) -> type[GeometryLayoutOptions]:
        """Return the options that it is found by."""
        return GeometryLayoutOptions

    def predict_layout(
        self, conv_res: ConversionResult, pages: Sequence[Page]
    ) -> Sequence[LayoutPrediction]:
        """Return the regions of pages; see docling's `BaseLayoutModel`."""
        del conv_res
        return [_readable(page) for page in pages]


def _readable(page: Page) -> LayoutPrediction:
    parsed, size = page.parsed_page, page.size
    if parsed is None or size is None:
        return LayoutPrediction()
    boxes = [_box(each.rect, parsed) for each in parsed.bitmap_resources]
    if not any(line.text.strip() for line in parsed.textline_cells):
        boxes = [Box(0, 0, size.width, size.height)]
    clusters = [
        Cluster(id=at, label=DocItemLabel.PICTURE, bbox=_bounds(box))
        for at, box in enumerate(boxes)
        if box.area > _LEAST_READ * size.width * size.height
    ]
    return LayoutPrediction(clusters=clusters)


class _Regions:
    """In place of docling's postprocessing: what there is on a page, now that all text is known."""

    def __call__(self, conv_res: ConversionResult, pages: Iterable[Page]) -> Iterator[Page]:
        del conv_res
        for page in pages:
            page.predictions.layout = self._of(page)
            yield page

    def _of(self, page: Page) -> LayoutPrediction:
        backend, parsed = page._backend, page.parsed_page
        if backend is None or parsed is None or not backend.is_valid():
            return LayoutPrediction()
        geometry, cells = geometry_of(page)
        found = analyse(geometry)
        clusters = [
            Cluster(
                id=number, label=_label(region.label), bbox=_bounds(_place(region, cells, parsed)),
                cells=[cells[each] for each in region.lines],
            )
            for number, region in enumerate(found.regions)
        ]  # fmt: skip
        tables = [each for each in clusters if each.label is DocItemLabel.TABLE]
        page.predictions.tablestructure = TableStructurePrediction(
            table_map={
                cluster.id: table_of(cluster, grid, page)
                for cluster, grid in zip(tables, found.grids, strict=True)
            }
        )
        return LayoutPrediction(clusters=clusters)


class _AsGiven(ReadingOrderPredictor):  # type: ignore[misc]
    """The order in which the regions came, which is that of reading."""

    def predict_reading_order(self, page_elements: list[Any], **_: Any) -> list[Any]:
        """Return elements in order."""
        return sorted(page_elements, key=lambda element: (element.page_no, element.cid))


class GeometryPdfPipeline(LeanPdfPipeline):
    """Docling's pipeline for pages, with the layout by geometry."""

    def _init_models(self) -> None:
        super()._init_models()
        self.layout_postprocessing_model = _Regions()
        self.reading_order_model.ro_model = _AsGiven()


def register() -> None:
    """Let docling know the engine, once."""
    for external in (False, True):
        factory = get_layout_factory(allow_external_plugins=external)  # its cache goes by the name
        if GeometryLayoutOptions not in factory.classes:
            factory.register(GeometryLayoutModel, "holdfast", __name__)


def geometry_of(page: Page) -> tuple[PageGeometry, list[TextCell]]:
    """Return a page that was parsed as the rules know pages, and docling's cells of its lines."""
    parsed = page.parsed_page
    words = [_line(at, cell, parsed) for at, cell in enumerate(parsed.word_cells)]
    cells = _lines_of(parsed, [word for word in words if word.text.strip()])
    geometry = PageGeometry(
        number=page.page_no, width=page.size.width, height=page.size.height,
        lines=[_line(at, cell, parsed) for at, cell in enumerate(cells)],
        words=words,
        rules=_rules(page._backend),
        pictures=[_box(each.rect, parsed) for each in parsed.bitmap_resources],
    )  # fmt: skip
    return geometry, cells


def _lines_of(parsed: SegmentedPdfPage, words: list[Line]) -> list[TextCell]:
    """Return a page's lines of text, divided where a wide gap is between two words.

    Of text from right to left docling's lines have gaps in words and none between them, where the
    font changes or a ligature is; so they are made of the words anew.
    """
    cells = [line for line in parsed.textline_cells if line.text.strip()]
    words = sorted(words, key=lambda word: word.box.middle)
    levels = [word.box.middle for word in words]
    leftwards = is_leftwards("".join(word.text for word in words))
    found: list[TextCell] = []
    if leftwards:
        for row in in_rows(words):
            found += [_joined(group, parsed, leftwards=True) for group in _groups(row)]
    for line in cells:
        if leftwards and not line.from_ocr:
            continue
        box, font = _box(line.rect, parsed).grown(0.5), _font(line)
        near = words[bisect_left(levels, box.top) : bisect_right(levels, box.bottom)]
        own = [word for word in near if word.font == font and box.holds(word.box)]
        groups = [group for row in in_rows(own) for group in _groups(row)]
        if len(groups) < 2:
            found.append(line)
        else:
            found += [_joined(group, parsed, leftwards=False) for group in groups]
    return [
        cell if cell.index == at else cell.model_copy(update={"index": at})
        for at, cell in enumerate(found)
    ]


def _groups(row: Sequence[Line]) -> list[list[Line]]:
    """Divide a row of words, from left to right, where a wide gap is."""
    groups: list[list[Line]] = []
    height = around(word.box for word in row).height
    for word in row:
        last = groups[-1][-1] if groups else None
        if last is not None and word.box.left - last.box.right <= _GAP * height:
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _joined(group: Sequence[Line], parsed: SegmentedPdfPage, *, leftwards: bool) -> TextCell:
    """Return words as one line."""
    text = read_leftwards(group) if leftwards else " ".join(word.text.strip() for word in group)
    longest = max(group, key=lambda word: len(word.text))
    rect = BoundingRectangle.from_bounding_box(_bounds(around(word.box for word in group)))
    update = {"rect": rect, "text": text, "orig": text}
    made: TextCell = parsed.word_cells[longest.number].model_copy(update=update)
    return made


def _font(cell: TextCell) -> str:
    return f"{getattr(cell, 'font_key', '')} {getattr(cell, 'font_name', '')}".strip()


def _line(number: int, cell: TextCell, parsed: SegmentedPdfPage) -> Line:
    return Line(number, _box(cell.rect, parsed), cell.text, _font(cell))


def _box(rect: Any, parsed: SegmentedPdfPage) -> Box:
    # As docling's own conversions, of which there are thousands on a page.
    across = (rect.r_x0, rect.r_x1, rect.r_x2, rect.r_x3)
    down = (rect.r_y0, rect.r_y1, rect.r_y2, rect.r_y3)
    top, bottom = min(down), max(down)
    if rect.coord_origin is CoordOrigin.BOTTOMLEFT:
        height = parsed.dimension.height
        top, bottom = height - bottom, height - top
    return Box(min(across), top, max(across), bottom)


def _rules(backend: Any) -> list[Box]:
    """Return ruled lines, whether they were drawn as strokes or as thin filled boxes."""
    drawn = [
        *(backend.get_shape_lines() or ()),
        *(backend.get_thin_shape_boxes(max_thickness=_THICKEST) or ()),
    ]
    boxes = [Box(each.l, each.t, each.r, each.b) for each in drawn]
    return [box for box in boxes if max(box.width, box.height) >= _SHORTEST]


def _place(region: Region, cells: Sequence[TextCell], parsed: SegmentedPdfPage) -> Box:
    """Return where a region is on the page as it was given: a scan may have been set straight."""
    if region.label in {Label.TABLE, Label.PICTURE} or not region.lines:
        return region.box
    return around(_box(cells[each].rect, parsed) for each in region.lines)


def _label(label: Label) -> DocItemLabel:
    # Of a page's title docling's assembly knows nothing: to its own models it is a heading, too.
    return DocItemLabel.SECTION_HEADER if label is Label.TITLE else DocItemLabel(label.value)


def _bounds(box: Box) -> BoundingBox:
    return BoundingBox(l=box.left, t=box.top, r=box.right, b=box.bottom)


def table_of(cluster: Cluster, grid: Grid, page: Page) -> Table:
    """Return a table as docling has them."""
    cells = [
        TableCell(
            bbox=_bounds(cell.box), text=cell.text, row_span=cell.rows, col_span=cell.columns,
            start_row_offset_idx=cell.row, end_row_offset_idx=cell.row + cell.rows,
            start_col_offset_idx=cell.column, end_col_offset_idx=cell.column + cell.columns,
            column_header=cell.row == 0,
        )
        for cell in grid.cells
    ]  # fmt: skip
    return Table(
        otsl_seq=[], num_rows=grid.rows, num_cols=grid.columns, table_cells=cells,
        id=cluster.id, page_no=page.page_no, cluster=cluster, label=cluster.label,
    )  # fmt: skip
