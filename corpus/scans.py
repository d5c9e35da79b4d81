"""Scans: pages that are rendered, then laid askew, dusted and made poor, always alike."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pypdfium2
from numpy.typing import NDArray
from PIL import Image, ImageFilter

__all__ = ["grey_scan", "line_scan"]


def _page(pdf: bytes, dpi: int) -> Image.Image:
    document = pypdfium2.PdfDocument(pdf)
    image: Image.Image = document[0].render(scale=dpi / 72, grayscale=True).to_pil()
    document.close()
    return image


def _askew(image: Image.Image, degrees: float) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255)


def grey_scan(pdf: bytes, *, dpi: int, degrees: float, noise: float, form: str) -> bytes:
    """Return the first page as a copier makes it: soft, uneven, grainy.

    Args:
        degrees: by which the sheet was laid askew, counterclockwise.
        noise: standard deviation, of 255.
        form: ``pdf`` or ``jpeg``.
    """
    image = _askew(_page(pdf, dpi), degrees).filter(ImageFilter.GaussianBlur(0.6))
    values: NDArray[np.floating[Any]] = np.asarray(image, np.float32)
    random = np.random.default_rng(7)
    shade = np.linspace(0, 25, values.shape[1], dtype=np.float32)  # darker towards the spine
    values = values * 0.92 - shade + random.normal(0, noise, values.shape)
    poor = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
    made = io.BytesIO()
    if form == "pdf":
        poor.save(made, "PDF", resolution=dpi, quality=25)
    else:
        poor.save(made, form, quality=25, dpi=(dpi, dpi))
    return made.getvalue()


def line_scan(pdf: bytes, *, dpi: int, degrees: float, specks: float) -> bytes:
    """Return the first page as a fax has it: black and white, with specks; TIFF.

    Args:
        specks: share of the pixels that are wrong.
    """
    values = np.asarray(_askew(_page(pdf, dpi), degrees)) < 150
    random = np.random.default_rng(11)
    dust = random.random(values.shape) < specks
    black = Image.fromarray(~(values ^ dust))
    made = io.BytesIO()
    black.save(made, "TIFF", compression="group4", dpi=(dpi, dpi))
    return made.getvalue()
