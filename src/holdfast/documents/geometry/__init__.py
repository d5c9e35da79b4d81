"""A page's structure by its geometry alone: sizes, weights, white space, ruled lines. No I/O."""

from holdfast.documents.geometry._analyse import Analysis, analyse
from holdfast.documents.geometry._leftwards import read_leftwards
from holdfast.documents.geometry._page import (
    Box,
    Label,
    Line,
    PageGeometry,
    Region,
    around,
    is_leftwards,
)
from holdfast.documents.geometry._paragraphs import in_rows
from holdfast.documents.geometry._tables import Cell, Grid, table_within

__all__ = [
    "Analysis",
    "Box",
    "Cell",
    "Grid",
    "Label",
    "Line",
    "PageGeometry",
    "Region",
    "analyse",
    "around",
    "in_rows",
    "is_leftwards",
    "read_leftwards",
    "table_within",
]
