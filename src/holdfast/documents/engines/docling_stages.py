"""Docling's pipeline for pages without work that nobody asked for.

Docling draws each page, twice where scales differ, whether or not anything looks at it; and for
reading it draws three times as many pixels a side as there are points, of which its reader of
scans keeps at most 2,000. Of a scan of 300 dots an inch that is a picture of 235 MB for nothing.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docling.datamodel.base_models import Page
from docling.models.stages.ocr.rapid_ocr_model import RapidOcrModel
from docling.models.stages.page_preprocessing.page_preprocessing_model import (
    PagePreprocessingModel,
    PagePreprocessingOptions,
)
from docling.pipeline.standard_pdf_pipeline import StandardPdfPipeline
from docling_core.types.doc import BoundingBox

__all__ = ["LeanPdfPipeline", "drawn_at"]

# `max_side_len` of rapidocr: a larger picture is made smaller before anything is found in it.
_MOST_READ_PX = 2_000
# Lower, nothing can be read; and a picture that is so many times as high as wide has no lines.
_LEAST_READ_PX, _MOST_TALL = 30, 16
# A page is drawn at once with so many pixels a point, and with so many a side at most.
_SHARP, _MOST_DRAWN_PX = 2.0, 7_000


def drawn_at(content: bytes) -> float:
    """Return at how many pixels a point docling's parser is to draw a document's pages at once.

    What is in pictures is had no sharper later, whatever is asked for: at 1.0, as docling has it,
    scans in PDFs are read at 72 dots an inch. The largest page that there may be would have 3 GB
    at 2.0, and is drawn at 0.25.

    Args:
        content: a document; what is no PDF has no pages to be drawn by this.
    """
    import pypdfium2

    longest = 0.0
    # Docling says what is wrong with one that cannot be opened.
    with contextlib.suppress(pypdfium2.PdfiumError), pypdfium2.PdfDocument(content) as document:
        for at in range(len(document)):
            longest = max(longest, *document.get_page_size(at))
    if longest <= 0:
        return _SHARP
    return min(_SHARP, 2.0 ** math.floor(math.log2(_MOST_DRAWN_PX / longest)))


class LeanPdfPipeline(StandardPdfPipeline):  # type: ignore[misc]
    """Docling's pipeline for pages; they are drawn when somebody asks for it, as large as of use.

    One document at a time: the scale at which a picture is read is kept in the stage that reads.
    """

    preprocessing_model: Any

    def _init_models(self) -> None:
        super()._init_models()
        self.preprocessing_model = _PagePreprocessing(
            self.preprocessing_model.options, is_kept=self.keep_images
        )

    def _make_ocr_model(self, art_path: Path | None) -> Any:
        asked = self.pipeline_options
        return _FittedOcr(
            enabled=asked.do_ocr, artifacts_path=art_path, options=asked.ocr_options,
            accelerator_options=asked.accelerator_options,
        )  # fmt: skip


class _PagePreprocessing(PagePreprocessingModel):  # type: ignore[misc]
    """Reads the text of pages, and draws those that are kept; a stage that looks at one asks."""

    def __init__(self, options: PagePreprocessingOptions, *, is_kept: bool) -> None:
        super().__init__(options)
        self._is_kept = is_kept

    def _populate_page_images(self, page: Page) -> Page:
        if self._is_kept and self.options.images_scale is not None:
            page._default_image_scale = self.options.images_scale
            page.get_image(scale=self.options.images_scale)
        return page


class _FittedOcr(RapidOcrModel):  # type: ignore[misc]
    """Reads scans in pictures that are no larger than what rapidocr keeps of them."""

    def get_ocr_rects(self, page: Page) -> Iterator[BoundingBox]:
        """Give where there is something to read; each is read at the scale that is set with it."""
        most: float = self.options.scale
        for found in super().get_ocr_rects(page):
            longest = max(found.width, found.height)
            self.scale = min(most, _MOST_READ_PX / longest) if longest > 0 else most
            if _is_readable(self.scale * found.width, self.scale * found.height):
                yield found


def _is_readable(width: float, height: float) -> bool:
    """Return whether a picture of so many pixels can have text, and be looked at for it.

    Rapidocr enlarges one until its shorter side has 736 pixels: one of 2 by 2,000 to gigabytes.
    What is wide it lays on a larger sheet first, if it has 30 pixels.
    """
    return height >= _LEAST_READ_PX if width >= height else width * _MOST_TALL >= height
