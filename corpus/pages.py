"""Pages by ReportLab: an invoice, a form to fill in, turned pages, three hundred pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import cycle

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageBreak,
    PageTemplate,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from corpus.blocks import Block, blocks_of

__all__ = ["BOOK_PAGES", "book", "form", "invoice", "turned"]

BOOK_PAGES = 300
_STYLES = getSampleStyleSheet()
_HEADINGS = {1: "Title", 2: "Heading2", 3: "Heading3"}
_GRID = TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)])
# As invoices are: a line below the head, numbers at the right, no upright lines.
_ACCOUNT = TableStyle([
    ("LINEBELOW", (0, 0), (-1, 0), 1, colors.black), ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
    ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
])  # fmt: skip


def _story(blocks: Sequence[Block], style: TableStyle, widths: Sequence[float] | None = None
           ) -> list[Flowable]:  # fmt: skip
    story: list[Flowable] = []
    for block in blocks:
        if block.kind == "table":
            table = Table([list(row) for row in block.rows], colWidths=widths)
            table.setStyle(style)
            story += [Spacer(1, 10), table, Spacer(1, 10)]
        else:
            name = _HEADINGS[block.level] if block.kind == "heading" else "BodyText"
            story.append(Paragraph(block.text, _STYLES[name]))
    return story


def invoice() -> bytes:
    """Return an invoice."""
    made = io.BytesIO()
    story = _story(blocks_of("invoice"), _ACCOUNT, [7 * cm, 2.5 * cm, 3 * cm, 3 * cm])
    SimpleDocTemplate(made, pagesize=A4, invariant=1).build(story)
    return made.getvalue()


def turned() -> bytes:
    """Return pages that are stored upright with text that runs upwards, and turned to be read."""

    def turn(canvas: Canvas, document: BaseDocTemplate) -> None:
        del document
        canvas.translate(A4[0], 0)
        canvas.rotate(90)

    made = io.BytesIO()
    wide, high = landscape(A4)
    document = BaseDocTemplate(made, pagesize=(wide, high), rotation=90, invariant=1)
    frame = Frame(2 * cm, 2 * cm, wide - 4 * cm, high - 4 * cm)
    document.addPageTemplates([PageTemplate("turned", [frame], onPage=turn)])
    document.build(_story(blocks_of("rotated"), _GRID))
    return made.getvalue()


def form() -> bytes:
    """Return a form with fields for text and a box to tick."""
    made = io.BytesIO()
    canvas = Canvas(made, pagesize=A4, invariant=1)
    y = 27 * cm
    for block in blocks_of("form"):
        field = block.kind == "text" and not block.text.endswith(".")
        tick = block.text.startswith("I have read")
        style = _STYLES[_HEADINGS[block.level] if block.kind == "heading" else "BodyText"]
        paragraph = Paragraph(block.text, style)
        _, height = paragraph.wrap(16 * cm, 5 * cm)
        y -= height + 0.5 * cm
        paragraph.drawOn(canvas, (3 if tick else 2) * cm, y)
        if field:
            y -= 0.9 * cm
            canvas.acroForm.textfield(
                name=block.text, x=2 * cm, y=y, width=12 * cm, height=0.7 * cm
            )
        if tick:
            canvas.acroForm.checkbox(name="rules", x=2 * cm, y=y - 2, size=14)
    canvas.save()
    return made.getvalue()


def book(pages: int = BOOK_PAGES) -> tuple[bytes, list[Block]]:
    """Return a book of so many pages, and its blocks: paragraphs of the sources, numbered."""
    names = ("report", "manual", "newsletter", "bulletin", "notice")
    texts = cycle(b.text for name in names for b in blocks_of(name) if b.kind == "text")
    blocks, story = [], []
    for page in range(1, pages + 1):
        own = [Block("heading", f"Chapter {page // 10 + 1}", 2)] if page % 10 == 1 else []
        own += [Block("text", f"Matter {page}.{at}. {next(texts)}") for at in range(1, 7)]
        blocks += own
        story += [*_story(own, _GRID), PageBreak()]
    made = io.BytesIO()
    document = SimpleDocTemplate(made, pagesize=A4, invariant=1, pageCompression=1)
    document.build(story, onFirstPage=_number, onLaterPages=_number)
    return made.getvalue(), blocks


def _number(canvas: Canvas, document: BaseDocTemplate) -> None:
    canvas.setFont("Helvetica", 9)
    canvas.drawCentredString(A4[0] / 2, 1.2 * cm, str(document.page))
