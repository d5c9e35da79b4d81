"""A page's structure by its geometry alone: sizes, weights, white space, ruled lines. No I/O."""

from holdfast.documents.geometry._analyse import Analysis, analyse
from holdfast.documents.geometry._page import Box, Label, Line, PageGeometry, Region
from holdfast.documents.geometry._tables import Cell, Grid

__all__ = ["Analysis", "Box", "Cell", "Grid", "Label", "Line", "PageGeometry", "Region", "analyse"]
