"""Documents through docling, without a model and without torch: what people write becomes text."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpus.blocks import FILES
from corpus.scans import grey_scan
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from holdfast.documents import (
    OUTPUTS,
    ConvertOptions,
    DocumentBomb,
    DocumentDamaged,
    DocumentEmpty,
    DocumentEncrypted,
    DocumentError,
    DocumentRequestInvalid,
    DocumentTooLong,
    DocumentUnsupported,
    Progress,
    Status,
)
from holdfast.documents.engines.docling import DoclingEngine, load_docling
from tests.support.documents import MADE, PARAGRAPHS, encrypted_pdf, many_pages, scan_of

# Docling's own pipeline asks its own options for fields that it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
SHIPS = [["Month", "Ships", "Storms"], ["May", "31", "2"], ["June", "45", "0"]]


@pytest.fixture(scope="module")
def engine() -> Iterator[DoclingEngine]:
    loaded = load_docling(Path())
    yield loaded
    loaded.close()


def markdown(engine: DoclingEngine, name: str, content: bytes, **options: object) -> str:
    found = engine.convert(name, content, ConvertOptions(**options), lambda _: None)  # type: ignore[arg-type]
    assert found.status is Status.SUCCESS
    return found.outputs["md"].decode()


def table_in(text: str, number: int = 0) -> list[list[str]]:
    """Return the cells of one of Markdown's tables."""
    tables: list[list[list[str]]] = []
    before = ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                tables.append([])
            if not line.startswith("|-"):
                tables[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        before = line
    return tables[number]


def in_order(text: str, *parts: str) -> bool:
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_a_paper_in_two_columns_keeps_its_order_headings_list_and_table(
    engine: DoclingEngine,
) -> None:
    text = markdown(engine, "paper.pdf", MADE["paper.pdf"]())
    blocks = [block.replace("\n", " ") for block in text.split("\n\n")]
    for paragraph in PARAGRAPHS:
        assert any(paragraph in block for block in blocks), paragraph
    assert in_order(
        text, "## On the Writing", "A. Author", "## 1 Introduction", "Paragraph 1.",
        "Paragraph 3.", "## 2 Method", "Paragraph 6.", "first the ships", "then the weather",
        "## 3 Results", "Paragraph 9.", "Table 1: Ships and storms.", "## 4 Discussion",
        "Paragraph 12.",
    )  # fmt: skip
    assert "- first the ships\n- then the weather\n- and last the light" in text
    assert table_in(text) == SHIPS
    assert "Journal of Lighthouses" not in text  # a header is no part of the text
    assert "Page 1" not in text


def test_an_invoice_keeps_its_table_although_nothing_rules_its_columns(
    engine: DoclingEngine,
) -> None:
    text = markdown(engine, "invoice.pdf", MADE["invoice.pdf"]())
    assert table_in(text)[:2] == [
        ["Item", "Quantity", "Price", "Sum"], ["Lamp oil", "12", "3.50", "42.00"],
    ]  # fmt: skip
    assert in_order(
        text, "## Invoice 2026-117", "Harbour Road", "Dear keeper", "Lamp oil", "132.00",
        "Please pay",
    )  # fmt: skip


def test_a_report_keeps_its_headings_and_paragraphs_over_pages(engine: DoclingEngine) -> None:
    text = markdown(engine, "report.pdf", MADE["report.pdf"]())
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Annual Report of the Harbour", "## Summary", "## Details of summary", "## Ships",
        "## Details of ships", "## Weather", "## Details of weather", "## Outlook",
        "## Details of outlook",
    ]  # fmt: skip
    assert in_order(text, *PARAGRAPHS)
    assert table_in(text, 3) == SHIPS


def test_a_scan_is_read(engine: DoclingEngine) -> None:
    text = markdown(engine, "scan.png", scan_of(MADE["invoice.pdf"]()))
    assert in_order(text, "## Invoice 2026-117\n", "Dear keeper", "Lamp oil", "Please pay")
    assert table_in(text)[1] == ["Lamp oil", "12", "3.50", "42.00"]
    unread = markdown(engine, "scan.png", scan_of(MADE["invoice.pdf"]()), ocr=False)
    assert "Lamp" not in unread


@pytest.fixture
def drawn(engine: DoclingEngine, monkeypatch: pytest.MonkeyPatch) -> list[Image.Image]:
    """The pictures of pages that are made."""
    from docling.backend.docling_parse_backend import ThreadedDoclingParsePageBackend
    from docling.backend.image_backend import _ImagePageBackend

    pictures: list[Image.Image] = []
    for backend in (ThreadedDoclingParsePageBackend, _ImagePageBackend):

        def seen(self: Any, *args: Any, real: Any = backend.get_page_image, **more: Any) -> Any:
            picture = real(self, *args, **more)
            pictures.append(picture)
            return picture

        monkeypatch.setattr(backend, "get_page_image", seen)
    return pictures


def test_a_page_is_drawn_only_when_somebody_asks_for_it(
    engine: DoclingEngine, drawn: list[Image.Image]
) -> None:
    assert in_order(markdown(engine, "paper.pdf", MADE["paper.pdf"]()), *PARAGRAPHS[:2])
    assert drawn == []
    options = ConvertOptions(outputs=("json",), page_images=True, image_scale=1.0)
    found = engine.convert("paper.pdf", MADE["paper.pdf"](), options, lambda _: None)
    pages = json.loads(found.outputs["json"])["pages"]
    assert all(page["image"]["uri"].startswith("data:image/png") for page in pages.values())
    assert len(drawn) == len(pages)


@pytest.mark.parametrize("scale", [1.0, 2.5, 5.0])
def test_a_scan_is_no_larger_in_memory_than_what_is_read_of_it(
    engine: DoclingEngine, drawn: list[Image.Image], scale: float
) -> None:
    text = markdown(engine, "scan.png", scan_of(MADE["invoice.pdf"](), scale))
    assert in_order(text, "Invoice 2026-117", "Dear keeper", "Lamp oil", "Please pay")
    (picture,) = drawn
    assert 1_000 < max(picture.size) <= 2_000


def test_a_scan_in_a_pdf_is_read_as_sharp_as_it_is(
    engine: DoclingEngine, drawn: list[Image.Image]
) -> None:
    sheet = (FILES / "notice.pdf").read_bytes()
    scan = grey_scan(sheet, dpi=200, degrees=0.0, noise=4, form="pdf")
    assert "When it will be loud" in markdown(engine, "scan.pdf", scan)
    (read,) = drawn
    paper = Image.open(io.BytesIO(grey_scan(sheet, dpi=200, degrees=0.0, noise=4, form="jpeg")))
    # As docling is set up by itself, at 72 dots an inch, it is 0.76.
    assert _sharpness(read) > 0.8 * _sharpness(paper.resize(read.size))


def _sharpness(picture: Image.Image) -> float:
    """Return how much pixels that stand side by side differ."""
    levels = np.asarray(picture.convert("L"), dtype=float)
    return float(np.abs(np.diff(levels, axis=1)).mean())


def _picture(width: int, height: int, *lines: str) -> bytes:
    picture, made = Image.new("RGB", (width, height), "white"), io.BytesIO()
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(36)
    for number, line in enumerate(lines):
        pen.text((60, 60 + 50 * number), line, fill="black", font=font)
    picture.save(made, "PNG")
    return made.getvalue()


@pytest.mark.parametrize("size", [(2, 3_000), (20, 3_000), (3_000, 2), (1, 1)])
def test_a_picture_that_can_have_no_text_is_not_enlarged_to_look_for_it(
    engine: DoclingEngine, drawn: list[Image.Image], size: tuple[int, int]
) -> None:
    assert markdown(engine, "bar.png", _picture(*size)).strip() in {"", "<!-- image -->"}
    assert drawn == []


def test_small_print_in_a_picture_is_read_beside_a_large_picture(engine: DoclingEngine) -> None:
    made = io.BytesIO()
    poster = canvas.Canvas(made, pagesize=(2_384, 3_370))
    poster.drawString(90, 3_250, "The reef, as it was found in spring")
    photo = _picture(600, 600)
    poster.drawImage(ImageReader(io.BytesIO(photo)), 40, 40, 2_300, 2_380)
    small = _picture(3_600, 900, "Approved by Ada Lovelace", "in Berlin, see annex 4711")
    poster.drawImage(ImageReader(io.BytesIO(small)), 90, 3_000, 700, 175)
    poster.save()
    options = ConvertOptions(outputs=("json",))
    found = engine.convert("poster.pdf", made.getvalue(), options, lambda _: None)
    texts = " ".join(each["text"] for each in json.loads(found.outputs["json"])["texts"])
    assert "Ada Lovelace" in texts
    assert "annex 4711" in texts


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        ("docm", "vnd.ms-word.document.macroEnabled"),
        ("dotm", "vnd.ms-word.template.macroEnabledTemplate"),
        ("dotx", "vnd.openxmlformats-officedocument.wordprocessingml.template"),
    ],
)
def test_word_documents_with_macros_and_templates_are_read(
    engine: DoclingEngine, suffix: str, kind: str
) -> None:
    made = io.BytesIO()
    plain = "vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    with (
        zipfile.ZipFile(io.BytesIO(MADE["light.docx"]())) as old,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(plain.encode(), f"{kind}.main+xml".encode()))
        new.writestr("word/vbaProject.bin", b"not looked at")
    assert made.getvalue() != MADE["light.docx"]()
    text = markdown(engine, f"light.{suffix}", made.getvalue())
    assert text == markdown(engine, "light.docx", MADE["light.docx"]())
    torn = made.getvalue()[: len(made.getvalue()) // 2]
    with pytest.raises(DocumentDamaged):
        engine.convert(f"light.{suffix}", torn, ConvertOptions(), lambda _: None)


def test_the_largest_page_that_there_may_be_is_read(engine: DoclingEngine) -> None:
    made = io.BytesIO()
    sheet = canvas.Canvas(made, pagesize=(14_400, 14_400))
    sheet.setFont("Helvetica", 120)
    sheet.drawString(1_000, 13_000, "The whole reef on one sheet")
    sheet.save()
    assert markdown(engine, "map.pdf", made.getvalue()).strip() == "The whole reef on one sheet"


@pytest.mark.parametrize("name", ["light.docx", "light.pptx", "ships.xlsx"])
def test_office_documents_keep_their_structure(engine: DoclingEngine, name: str) -> None:
    text = markdown(engine, name, MADE[name]())
    if name == "ships.xlsx":
        assert table_in(text) == SHIPS
        return
    assert in_order(text, "# The light", "- wicks", "- glass")
    if name == "light.docx":
        assert "## Of oil" in text
        assert PARAGRAPHS[0] in text.replace("\n", " ")
        assert table_in(text) == SHIPS


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.html", "<h1>Light</h1><p>Of <b>oil</b>.</p>", "# Light\n\nOf **oil**"),
        ("a.md", "# Light\n\n* oil\n* glass\n", "# Light\n\n- oil\n- glass"),
        ("a.csv", "Month,Ships\nMay,31\n", "| May"),
        ("a.adoc", "= Light\n\nOf oil.\n", "# Light\n\nOf oil."),
    ],
)
def test_plain_forms_are_read(
    engine: DoclingEngine, name: str, content: str, expected: str
) -> None:
    assert expected in markdown(engine, name, content.encode())


def test_every_output_is_made_of_one_look(engine: DoclingEngine) -> None:
    options = ConvertOptions(outputs=OUTPUTS)
    found = engine.convert("light.docx", MADE["light.docx"](), options, lambda _: None)
    assert set(found.outputs) == set(OUTPUTS)
    assert found.form == "docx"
    document = json.loads(found.outputs["json"])
    assert document["schema_name"] == "DoclingDocument"
    assert b"<h1>The light</h1>" in found.outputs["html"]
    assert b"<doctag>" in found.outputs["doctags"]
    for output in ("text", "md"):
        assert b"wicks" in found.outputs[output]


def test_pages_are_counted_as_they_go_by_and_only_those_wanted_are_read(
    engine: DoclingEngine,
) -> None:
    told: list[Progress] = []
    options = ConvertOptions(pages=(3, 12))
    found = engine.convert("many.pdf", many_pages(40), options, told.append)
    assert [each.pages for each in told] == list(range(1, 11))
    assert {each.pages_total for each in told} == {10}
    assert found.pages == 10
    text = found.outputs["md"].decode()
    assert in_order(text, "on page 3.", "on page 12.")
    assert "on page 2." not in text


def test_what_nobody_wants_any_more_ends_between_two_pages(engine: DoclingEngine) -> None:
    class Enough(BaseException):
        pass

    seen = 0

    def told(progress: Progress) -> None:
        nonlocal seen
        seen = progress.pages
        if seen == 5:
            raise Enough

    with pytest.raises(Enough):
        engine.convert("many.pdf", many_pages(300), ConvertOptions(), told)
    assert seen == 5
    assert "page 2" in markdown(engine, "many.pdf", many_pages(2))  # and the next one is read


def packed(**parts: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return made.getvalue()


WRONG: dict[str, tuple[str, bytes, type[DocumentError]]] = {
    "nothing": ("a.docx", b"", DocumentEmpty),
    "no PDF": ("a.pdf", b"hello", DocumentDamaged),
    "half a Word document": ("a.docx", MADE["light.docx"]()[:9_000], DocumentDamaged),
    "a zip that is no document": ("a.docx", packed(a=b"b"), DocumentDamaged),
    "a bomb": ("a.docx", packed(a=b"\0" * 200_000_000), DocumentBomb),
    "an old Office file by a new name": ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 9,
                                         DocumentEncrypted),
    "a PDF with a password": ("a.pdf", encrypted_pdf(), DocumentEncrypted),
    "a PDF of rubbish": ("a.pdf", b"%PDF-1.7\n" + bytes(range(256)) * 40, DocumentDamaged),
    "something": ("a.xyz", b"\0\1\2" * 99, DocumentUnsupported),
    "too many pages": ("a.pdf", many_pages(12), DocumentTooLong),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_read_is_told_and_the_next_is_read(
    engine: DoclingEngine, wrong: str
) -> None:
    name, content, kind = WRONG[wrong]
    with pytest.raises(kind) as told:
        engine.convert(name, content, ConvertOptions(most_pages=10), lambda _: None)
    assert type(told.value) is kind
    assert name in str(told.value)
    assert told.value.hint
    assert "Light" in markdown(engine, "a.md", b"# Light")


def test_a_few_pages_of_a_long_document_are_read_and_none_beyond_its_end(
    engine: DoclingEngine,
) -> None:
    options = ConvertOptions(pages=(25, 26), most_pages=10)
    found = engine.convert("long.pdf", many_pages(30), options, lambda _: None)
    assert found.outputs["md"].decode().count("what is on page") == 2
    with pytest.raises(DocumentRequestInvalid, match="has no such pages"):
        engine.convert("long.pdf", many_pages(3), ConvertOptions(pages=(7, 9)), lambda _: None)


def test_pages_of_what_has_none_are_no_matter_and_that_is_said(engine: DoclingEngine) -> None:
    options = ConvertOptions(pages=(2, 3), images="embedded")
    found = engine.convert("a.md", b"# x\n\n![a](b.png)\n", options, lambda _: None)
    assert [flaw.message for flaw in found.flaws] == ["md has no pages: all of it was converted"]
    assert "Pdf" not in found.outputs["md"].decode()


def test_nothing_of_this_needs_torch(engine: DoclingEngine) -> None:
    assert "torch" not in sys.modules
    about = engine.describe()
    assert about["layout"] == "layout by geometry, no model"
    assert {"pdf", "docx", "image"} <= set(about["forms"])
    assert about["tables"] == "by rules"
    assert "HOLDFAST_DOCUMENTS_LAYOUT_MODEL=" in about["missing"]["layout model"]
    assert "pip install 'holdfast[documents-tables]'" in about["missing"]["table model"]
