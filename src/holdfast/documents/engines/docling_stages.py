"""Docling's pipeline for pages without work that nobody asked for.

Docling draws each page, twice where scales differ, whether or not anything looks at it; and for
reading it draws three times as many pixels a side as there are points, of which its reader of
scans keeps at most 2,000. Of a scan of 300 dots an inch that is a picture of 230 MB for nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from docling.datamodel.base_models import Page
from docling.models.stages.ocr.rapid_ocr_model import RapidOcrModel
from docling.models.stages.page_preprocessing.page_preprocessing_model import (
    PagePreprocessingModel,
)
from docling.pipeline.standard_pdf_pipeline import StandardPdfPipeline
from docling_core.types.doc import BoundingBox

__all__ = ["LeanPdfPipeline"]

# `max_side_len` of rapidocr: a larger picture is made smaller before anything is found in it.
_MOST_READ_PX = 2_000


class LeanPdfPipeline(StandardPdfPipeline):  # type: ignore[misc]
    """Docling's pipeline for pages; they are drawn when somebody asks for it, as large as of use.

    One document at a time: the size at which a page is read is kept in the stage that reads.
    """

    preprocessing_model: Any

    def _init_models(self) -> None:
        super()._init_models()
        if not self.keep_images:
            self.preprocessing_model = _Undrawn(self.preprocessing_model.options)

    def _make_ocr_model(self, art_path: Path | None) -> Any:
        asked = self.pipeline_options
        return _FittedOcr(
            enabled=asked.do_ocr, artifacts_path=art_path, options=asked.ocr_options,
            accelerator_options=asked.accelerator_options,
        )  # fmt: skip


class _Undrawn(PagePreprocessingModel):  # type: ignore[misc]
    """Reads the text of pages, and leaves their pictures until a stage wants one."""

    def _populate_page_images(self, page: Page) -> Page:
        return page


class _FittedOcr(RapidOcrModel):  # type: ignore[misc]
    """Reads scans in pictures that are no larger than what rapidocr keeps of them."""

    def get_ocr_rects(self, page: Page) -> list[BoundingBox]:
        """Return where there is something to read, and settle at how many pixels a point."""
        found: list[BoundingBox] = super().get_ocr_rects(page)
        longest = max((max(each.width, each.height) for each in found), default=0.0)
        most: float = self.options.scale
        self.scale = min(most, _MOST_READ_PX / longest) if longest else most
        return found
