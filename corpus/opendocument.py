"""Blocks as OpenDocument in one file of XML, which LibreOffice makes other forms of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from corpus.blocks import Block, Rows, spans

__all__ = ["Look", "slides", "workbook", "writing"]

_NAMES = (
    ("office", "office"), ("style", "style"), ("text", "text"), ("table", "table"),
    ("draw", "drawing"), ("fo", "xsl-fo-compatible"), ("svg", "svg-compatible"),
    ("presentation", "presentation"),
)  # fmt: skip
_SPACES = " ".join(
    f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{long}:1.0"' for short, long in _NAMES
)
_FORM = "application/vnd.oasis.opendocument"
_BORDER = 'fo:border="0.5pt solid #000000" fo:padding="0.08cm"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a piece of writing is set.

    Attributes:
        columns: below the title.
        leftwards: written from right to left.
        header: on each page; a footer with the page's number goes with it.
        size: of running text, in points.
    """

    font: str = "DejaVu Serif"
    columns: int = 1
    leftwards: bool = False
    header: str = ""
    size: float = 11


def _document(kind: str, styles: str, automatic: str, master: str, body: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document {_SPACES} office:version="1.3" '
        f'office:mimetype="{_FORM}.{kind}"><office:styles>{styles}</office:styles>'
        f"<office:automatic-styles>{automatic}</office:automatic-styles>"
        f"<office:master-styles>{master}</office:master-styles>"
        f"<office:body>{body}</office:body></office:document>"
    )


def _style(name: str, look: Look, *, size: float, extra: str = "", bold: bool = False) -> str:
    weight = ' fo:font-weight="bold" style:font-weight-complex="bold"' if bold else ""
    level = f' style:default-outline-level="{name[-1]}"' if name[-1].isdigit() else ""
    mode = "rl-tb" if look.leftwards else "lr-tb"
    return (
        f'<style:style style:name="{name}" style:display-name="{name.replace("_20_", " ")}" '
        f'style:family="paragraph"{level}>'
        f'<style:paragraph-properties style:writing-mode="{mode}" fo:text-align="start" '
        f'fo:margin-top="0.2cm" fo:margin-bottom="0.15cm" {extra}/>'
        f'<style:text-properties style:font-name="{look.font}" fo:font-family="{look.font}" '
        f'style:font-family-complex="{look.font}" fo:font-size="{size}pt" '
        f'style:font-size-complex="{size}pt"{weight}/></style:style>'
    )


def _styles(look: Look) -> str:
    keep = 'fo:keep-with-next="always"'
    return (
        _style("Standard", look, size=look.size)
        + _style("Title", look, size=1.9 * look.size, bold=True, extra=keep)
        + _style("Heading_20_1", look, size=1.4 * look.size, bold=True, extra=keep)
        + _style("Heading_20_2", look, size=1.15 * look.size, bold=True, extra=keep)
        + _style("Header", look, size=0.8 * look.size)
        + _style("Footer", look, size=0.8 * look.size)
    )


def _lists() -> str:
    """Return the styles of a list with bullets and of one with numbers."""
    place = (
        '<style:list-level-properties text:list-level-position-and-space-mode="label-alignment">'
        '<style:list-level-label-alignment text:label-followed-by="listtab" '
        'fo:text-indent="-0.6cm" fo:margin-left="1.2cm"/></style:list-level-properties>'
    )
    return (
        '<text:list-style style:name="item"><text:list-level-style-bullet text:level="1" '
        f'text:bullet-char="•">{place}</text:list-level-style-bullet></text:list-style>'
        '<text:list-style style:name="number"><text:list-level-style-number text:level="1" '
        f'style:num-format="1" style:num-suffix=".">{place}</text:list-level-style-number>'
        "</text:list-style>"
    )


def _table(rows: Rows, name: str) -> str:
    made = ""
    for row in spans(rows):
        made += "<table:table-row>"
        for cell in row:
            if cell is None:
                made += "<table:covered-table-cell/>"
                continue
            text, high, wide = cell
            span = f'table:number-rows-spanned="{high}" table:number-columns-spanned="{wide}"'
            made += f'<table:table-cell table:style-name="cell" {span}{_value(text)}>'
            made += f"<text:p>{escape(text)}</text:p></table:table-cell>"
        made += "</table:table-row>"
    columns = f'<table:table-column table:number-columns-repeated="{len(rows[0])}"/>'
    return f'<table:table table:name="{escape(name)}">{columns}{made}</table:table>'


def _value(text: str) -> str:
    try:
        float(text)
    except ValueError:
        return ' office:value-type="string"'
    return f' office:value-type="float" office:value="{text}"'


def _parts(blocks: Sequence[Block]) -> list[str]:
    """Return the XML of each block; a list's items come as one."""
    made: list[str] = []
    last = ""
    for number, block in enumerate(blocks):
        text = escape(block.text)
        if block.kind == "table":
            made.append(_table(block.rows, f"table {number}"))
        elif block.kind == "heading" and block.level == 1:
            made.append(f'<text:p text:style-name="Title">{text}</text:p>')
        elif block.kind == "heading":
            level = block.level - 1
            style = f'text:style-name="Heading_20_{level}" text:outline-level="{level}"'
            made.append(f"<text:h {style}>{text}</text:h>")
        elif block.kind == "text":
            made.append(f'<text:p text:style-name="Standard">{text}</text:p>')
        else:
            item = f'<text:list-item><text:p text:style-name="Standard">{text}</text:p>'
            item += "</text:list-item></text:list>"
            if last == block.kind:
                made[-1] = made[-1].removesuffix("</text:list>") + item
            else:
                made.append(f'<text:list text:style-name="{block.kind}">{item}')
        last = block.kind
    return made


def writing(blocks: Sequence[Block], look: Look) -> str:
    """Return a text document."""
    mode = "rl-tb" if look.leftwards else "lr-tb"
    edges = "<style:header-style/><style:footer-style/>" if look.header else ""
    automatic = (
        '<style:page-layout style:name="page"><style:page-layout-properties '
        'fo:page-width="21cm" fo:page-height="29.7cm" fo:margin-top="1.6cm" '
        'fo:margin-bottom="1.6cm" fo:margin-left="2.2cm" fo:margin-right="2.2cm" '
        f'style:writing-mode="{mode}"/>{edges}</style:page-layout>'
        f'<style:style style:name="cell" style:family="table-cell"><style:table-cell-properties '
        f"{_BORDER}/></style:style>"
        '<style:style style:name="columns" style:family="section"><style:section-properties>'
        f'<style:columns fo:column-count="{look.columns}" fo:column-gap="0.7cm"/>'
        "</style:section-properties></style:style>" + _lists()
    )
    master = '<style:master-page style:name="Standard" style:page-layout-name="page">'
    if look.header:
        master += f'<style:header><text:p text:style-name="Header">{escape(look.header)}</text:p>'
        master += '</style:header><style:footer><text:p text:style-name="Footer">Page '
        master += "<text:page-number/></text:p></style:footer>"
    title, *rest = _parts(blocks)
    body = "".join(rest)
    if look.columns > 1:
        body = f'<text:section text:style-name="columns" text:name="all">{body}</text:section>'
    body = f"<office:text>{title}{body}</office:text>"
    return _document("text", _styles(look), automatic, master + "</style:master-page>", body)


def slides(blocks: Sequence[Block]) -> str:
    """Return a presentation; each heading begins a slide."""
    pages: list[list[Block]] = []
    for block in blocks:
        if block.kind == "heading":
            pages.append([])
        pages[-1].append(block)
    body = ""
    for number, (title, *rest) in enumerate(pages):
        body += f'<draw:page draw:name="s{number}" draw:master-page-name="plain">'
        body += _frame(
            "title", 1.0, 3.0, f'<text:p text:style-name="Title">{escape(title.text)}</text:p>'
        )
        tables = [block for block in rest if block.kind == "table"]
        texts = _parts([block for block in rest if block.kind != "table"])
        body += _frame("outline", 5.0, 8.0, "".join(texts)) if texts else ""
        for block in tables:
            body += '<draw:frame svg:x="2cm" svg:y="5cm" svg:width="24cm" svg:height="6cm">'
            body += _table(block.rows, f"t{number}") + "</draw:frame>"
        body += "</draw:page>"
    look = Look(font="DejaVu Sans")
    styles = _style("Standard", look, size=20) + _style("Title", look, size=32, bold=True)
    automatic = (
        '<style:page-layout style:name="page"><style:page-layout-properties '
        'fo:page-width="28cm" fo:page-height="15.75cm" style:print-orientation="landscape"/>'
        "</style:page-layout>"
        f'<style:style style:name="cell" style:family="table-cell"><style:paragraph-properties '
        f'{_BORDER}/><style:text-properties fo:font-size="18pt" fo:color="#000000"/></style:style>'
        '<style:style style:name="plain" style:family="presentation"><style:graphic-properties '
        'draw:stroke="none" draw:fill="none"/></style:style>' + _lists()
    )
    master = '<style:master-page style:name="plain" style:page-layout-name="page"/>'
    body = f"<office:presentation>{body}</office:presentation>"
    return _document("presentation", styles, automatic, master, body)


def _frame(kind: str, top: float, height: float, content: str) -> str:
    return (
        f'<draw:frame presentation:style-name="plain" presentation:class="{kind}" svg:x="2cm" '
        f'svg:y="{top}cm" svg:width="24cm" svg:height="{height}cm">'
        f"<draw:text-box>{content}</draw:text-box></draw:frame>"
    )


def workbook(blocks: Sequence[Block]) -> str:
    """Return a workbook; each heading names a sheet, on which the table after it is."""
    sheets = zip(blocks[::2], blocks[1::2], strict=True)
    body = "".join(_table(table.rows, heading.text) for heading, table in sheets)
    cell = '<style:style style:name="cell" style:family="table-cell"/>'
    return _document(
        "spreadsheet", "", cell, "", f"<office:spreadsheet>{body}</office:spreadsheet>"
    )
