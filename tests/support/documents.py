"""Documents that tests make, by the libraries that people make theirs with."""

from __future__ import annotations

import io
from collections.abc import Callable

import docx
import openpyxl
import pptx
import pypdfium2
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.units import cm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Frame,
    FrameBreak,
    ListFlowable,
    ListItem,
    NextPageTemplate,
    PageTemplate,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

__all__ = ["MADE", "PARAGRAPHS", "encrypted_pdf", "many_pages", "scan_of"]

# So that each can be told from the others wherever it ends up.
PARAGRAPHS = [
    f"Paragraph {number}. The keeper of the lighthouse wrote down every ship that passed, and what "
    "the weather was. In winter he had little to write, for few ships came by. In summer the book "
    "filled, and when it was full another one was sent for, by the boat that brought the oil. "
    f"So ends what was said about matter {number}."
    for number in range(1, 13)
]
_STYLES = getSampleStyleSheet()
_SHIPS = [["Month", "Ships", "Storms"], ["May", "31", "2"], ["June", "45", "0"]]
_ITEMS = [
    ["Item", "Quantity", "Price", "Sum"], ["Lamp oil", "12", "3.50", "42.00"],
    ["Wicks", "100", "0.10", "10.00"], ["Glass", "1", "80.00", "80.00"],
]  # fmt: skip


def _ruled(rows: list[list[str]]) -> Table:
    table = Table(rows)
    table.setStyle(TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.black)]))
    return table


def _text(text: str) -> Paragraph:
    return Paragraph(text, _STYLES["BodyText"])


def _edges(canvas: Canvas, document: BaseDocTemplate) -> None:
    canvas.setFont("Helvetica", 8)
    canvas.drawString(2 * cm, 28.5 * cm, "Journal of Lighthouses, vol. 3")
    canvas.drawCentredString(10.5 * cm, 1 * cm, f"Page {document.page}")


def paper() -> bytes:
    """Two columns under a title across both, with a list, a ruled table and its caption."""
    made = io.BytesIO()
    left, right = (2 * cm, 8.2 * cm), (10.8 * cm, 8.2 * cm)
    first = [
        Frame(2 * cm, 24 * cm, 17 * cm, 3.5 * cm),
        *(Frame(x, 2 * cm, width, 21.5 * cm) for x, width in (left, right)),
    ]
    rest = [Frame(x, 2 * cm, width, 25 * cm) for x, width in (left, right)]
    document = BaseDocTemplate(made, pagesize=A4)
    document.addPageTemplates([
        PageTemplate("first", first, onPage=_edges), PageTemplate("rest", rest, onPage=_edges),
    ])  # fmt: skip
    story = [
        Paragraph("On the Writing of Lighthouse Keepers", _STYLES["Title"]),
        Paragraph("A. Author, B. Writer", _STYLES["Normal"]),
        NextPageTemplate("rest"),
        FrameBreak(),
    ]
    for number, heading in enumerate(("Introduction", "Method", "Results", "Discussion")):
        story.append(Paragraph(f"{number + 1} {heading}", _STYLES["Heading2"]))
        story += [_text(each) for each in PARAGRAPHS[3 * number : 3 * number + 3]]
        if heading == "Method":
            items = ("first the ships", "then the weather", "and last the light")
            story.append(
                ListFlowable([ListItem(_text(each)) for each in items], bulletType="bullet")
            )
        if heading == "Results":
            story += [_ruled(_SHIPS), _text("Table 1: Ships and storms.")]
    document.build(story)
    return made.getvalue()


def invoice() -> bytes:
    """An address, a table without upright lines, and a sum."""
    made = io.BytesIO()
    table = Table(
        [*_ITEMS, ["", "", "Total", "132.00"]], colWidths=[6 * cm, 3 * cm, 3 * cm, 3 * cm]
    )
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, 0), 1, colors.black),
                ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
            ]
        )
    )
    SimpleDocTemplate(made, pagesize=A4).build([
        Paragraph("Invoice 2026-117", _STYLES["Title"]),
        Paragraph("Lighthouse Supplies Ltd., 1 Harbour Road, Port Town", _STYLES["Normal"]),
        Spacer(1, 20),
        Paragraph("Dear keeper, we delivered the following:", _STYLES["Normal"]),
        Spacer(1, 12), table, Spacer(1, 12),
        Paragraph("Please pay within thirty days.", _STYLES["Normal"]),
    ])  # fmt: skip
    return made.getvalue()


def report() -> bytes:
    """Headings of two levels, running text over three pages, headers and footers."""
    made = io.BytesIO()
    story = [Paragraph("Annual Report of the Harbour", _STYLES["Title"])]
    for number, heading in enumerate(("Summary", "Ships", "Weather", "Outlook")):
        story.append(Paragraph(heading, _STYLES["Heading1"]))
        story += [_text(each) for each in PARAGRAPHS[3 * number : 3 * number + 2]]
        story.append(Paragraph(f"Details of {heading.lower()}", _STYLES["Heading2"]))
        story += [_text(PARAGRAPHS[3 * number + 2]), _ruled(_SHIPS)]
    SimpleDocTemplate(made, pagesize=A4).build(story, onFirstPage=_edges, onLaterPages=_edges)
    return made.getvalue()


def many_pages(count: int) -> bytes:
    """So many short pages."""
    made = io.BytesIO()
    canvas = Canvas(made, pagesize=A4)
    for number in range(1, count + 1):
        canvas.drawString(100, 700, f"This is what is on page {number}.")
        canvas.showPage()
    canvas.save()
    return made.getvalue()


def encrypted_pdf() -> bytes:
    """A PDF behind a password."""
    made = io.BytesIO()
    canvas = Canvas(made, encrypt=StandardEncryption("secret", ownerPassword="more"))
    canvas.drawString(100, 700, "hidden")
    canvas.save()
    return made.getvalue()


def scan_of(pdf: bytes, scale: float = 2.5) -> bytes:
    """The first page as a picture, PNG, of so many pixels a point."""
    made = io.BytesIO()
    document = pypdfium2.PdfDocument(pdf)
    document[0].render(scale=scale).to_pil().save(made, "PNG")
    document.close()
    return made.getvalue()


def word() -> bytes:
    """A Word document with a heading, text, a list and a table."""
    document, made = docx.Document(), io.BytesIO()
    document.add_heading("The light", 0)
    document.add_heading("Of oil", 1)
    document.add_paragraph(PARAGRAPHS[0])
    for item in ("wicks", "glass"):
        document.add_paragraph(item, style="List Bullet")
    table = document.add_table(len(_SHIPS), 3)
    for row, cells in zip(table.rows, _SHIPS, strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    document.save(made)
    return made.getvalue()


def slides() -> bytes:
    """A presentation of one slide."""
    presentation, made = pptx.Presentation(), io.BytesIO()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text = "The light"
    slide.placeholders[1].text = "wicks\nglass"
    presentation.save(made)
    return made.getvalue()


def sheet() -> bytes:
    """A workbook of one table."""
    workbook, made = openpyxl.Workbook(), io.BytesIO()
    for row in _SHIPS:
        workbook.active.append(row)
    workbook.save(made)
    return made.getvalue()


MADE: dict[str, Callable[[], bytes]] = {
    "paper.pdf": paper, "invoice.pdf": invoice, "report.pdf": report, "light.docx": word,
    "light.pptx": slides, "ships.xlsx": sheet,
}  # fmt: skip
