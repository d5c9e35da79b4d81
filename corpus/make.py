"""Make the corpus: `python -m corpus.make [NAME ...]`.

Wants LibreOffice and LaTeX; what they made is kept in ``files``, so that the tests want neither:

    apt-get install --no-install-recommends libreoffice-writer-nogui libreoffice-calc-nogui \
        libreoffice-impress-nogui texlive-latex-base texlive-latex-recommended \
        fonts-dejavu-core fonts-noto-core
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from corpus.blocks import EXPECTED, FILES, Block, as_json, blocks_of, expectation
from corpus.latex import Setting, article
from corpus.opendocument import Look, slides, workbook, writing
from corpus.pages import form, invoice, turned
from corpus.scans import grey_scan, line_scan

_FILTERS = {
    ("fodt", "docx"): "docx:MS Word 2007 XML", ("fodt", "pdf"): "pdf:writer_pdf_Export",
    ("fodt", "odt"): "odt:writer8", ("fodp", "pptx"): "pptx:Impress MS PowerPoint 2007 XML",
    ("fodp", "pdf"): "pdf:impress_pdf_Export", ("fods", "xlsx"): "xlsx:Calc MS Excel 2007 XML",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """How a file comes about.

    Attributes:
        source: whose blocks are in it.
        levels: whether its form says of what level a heading is.
    """

    source: str
    make: Callable[[], bytes]
    levels: bool = False


def office(text: str, kind: str, suffix: str) -> bytes:
    """Let LibreOffice make a file of another form.

    Args:
        text: flat OpenDocument.
        kind: its suffix: fodt, fodp or fods.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"a.{kind}").write_text(text, "utf-8")
        _run(
            folder, "soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless",
            "--convert-to", _FILTERS[kind, suffix], f"a.{kind}",
        )  # fmt: skip
        return (folder / f"a.{suffix}").read_bytes()


def latex(text: str) -> bytes:
    """Let LaTeX make a PDF."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a.tex").write_text(text, "utf-8")
        _run(folder, "pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex")
        return (folder / "a.pdf").read_bytes()


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _written(source: str, suffix: str, look: Look | None = None) -> Made:
    text = partial(writing, blocks_of(source), look or Look())
    return Made(source, lambda: office(text(), "fodt", suffix), suffix != "pdf")


def _set(source: str, setting: Setting) -> Made:
    return Made(source, lambda: latex(article(blocks_of(source), setting)))


def _kept(name: str) -> bytes:
    return (FILES / name).read_bytes()


HEADED = Look(header="The Glasshouse Trust", font="DejaVu Sans", size=10.5)
HEBREW = Look(font="Noto Sans Hebrew", leftwards=True)
ARABIC = Look(font="Noto Naskh Arabic", leftwards=True, size=12)
# Scans are of files that come before them.
ALL: dict[str, Made] = {
    "report.docx": _written("report", "docx", HEADED),
    "report.odt": _written("report", "odt", HEADED),
    "report.pdf": _written("report", "pdf", HEADED),
    "languages.docx": _written("languages", "docx"),
    "languages.pdf": _written("languages", "pdf"),
    "newsletter.pdf": _written("newsletter", "pdf", Look(columns=2, font="DejaVu Sans", size=9.5)),
    "hebrew.docx": _written("hebrew", "docx", HEBREW),
    "hebrew.pdf": _written("hebrew", "pdf", HEBREW),
    "arabic.docx": _written("arabic", "docx", ARABIC),
    "arabic.pdf": _written("arabic", "pdf", ARABIC),
    "slides.pptx": Made("slides", lambda: office(slides(blocks_of("slides")), "fodp", "pptx")),
    "slides.pdf": Made("slides", lambda: office(slides(blocks_of("slides")), "fodp", "pdf")),
    "stock.xlsx": Made("stock", lambda: office(workbook(blocks_of("stock")), "fods", "xlsx")),
    "paper.pdf": _set("paper", Setting(options="10pt,twocolumn")),
    "manual.pdf": _set("manual", Setting(options="11pt", ruled=True)),
    "bulletin.pdf": _set("bulletin", Setting(options="11pt,twocolumn")),
    "notice.pdf": _written("notice", "pdf", Look(size=12)),
    "invoice.pdf": Made("invoice", invoice),
    "form.pdf": Made("form", form),
    "rotated.pdf": Made("rotated", turned),
    "notice-scan.jpeg": Made("notice", lambda: grey_scan(
        _kept("notice.pdf"), dpi=130, degrees=0, noise=3, form="jpeg")),
    "notice-skewed.pdf": Made("notice", lambda: grey_scan(
        _kept("notice.pdf"), dpi=150, degrees=1.6, noise=14, form="pdf")),
    "bulletin-skewed.tiff": Made("bulletin", lambda: line_scan(
        _kept("bulletin.pdf"), dpi=200, degrees=-1.2, specks=0.0005)),
}  # fmt: skip


def blocks_in(made: Made, name: str) -> list[Block]:
    """Return what is expected of a file."""
    blocks = blocks_of(made.source)
    if name.endswith(".xlsx"):  # the names of sheets are not in the text
        blocks = [block for block in blocks if block.kind == "table"]
    return expectation(blocks, levels=made.levels)


def main(names: Sequence[str]) -> int:
    """Make those, or all."""
    for folder in (FILES, EXPECTED):
        folder.mkdir(exist_ok=True)
    for name in names or ALL:
        made = ALL[name]
        (FILES / name).write_bytes(made.make())
        (EXPECTED / f"{name}.json").write_text(as_json(blocks_in(made, name)), "utf-8")
        print(f"{(FILES / name).stat().st_size:>8}  {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
