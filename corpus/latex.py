"""Blocks as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from corpus.blocks import Block, Rows

__all__ = ["Setting", "article"]

_SPECIAL = str.maketrans({each: f"\\{each}" for each in "&%$#_{}"})
_LISTS = {"item": "itemize", "number": "enumerate"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How an article is set.

    Attributes:
        options: of the class: size, columns.
        ruled: whether tables have all their lines, or three as in books.
    """

    options: str
    ruled: bool = False


def article(blocks: Sequence[Block], setting: Setting) -> str:
    """Return the source of an article; numbers of headings are those of the text."""
    body = ""
    last = ""
    title, *rest = blocks
    for block in rest:
        if last in _LISTS and block.kind != last:
            body += f"\\end{{{_LISTS[last]}}}\n"
        if block.kind in _LISTS and block.kind != last:
            body += f"\\begin{{{_LISTS[block.kind]}}}\n"
        body += _part(block, setting)
        last = block.kind
    if last in _LISTS:
        body += f"\\end{{{_LISTS[last]}}}\n"
    author, body = _author(rest, body)
    return (
        f"\\documentclass[{setting.options},a4paper]{{article}}\n\\usepackage[utf8]{{inputenc}}\n"
        f"\\usepackage{{booktabs}}\n\\pdfcompresslevel=9\n\\pdfinfoomitdate=1\n"
        f"\\pdftrailerid{{}}\n\\title{{{_text(title.text)}}}\n\\author{{{author}}}\n\\date{{}}\n"
        f"\\begin{{document}}\n\\maketitle\n{body}\\end{{document}}\n"
    )


def _author(rest: Sequence[Block], body: str) -> tuple[str, str]:
    """Take the author out of the body: a text between the title and the first heading."""
    if rest[0].kind != "text" or rest[1].kind != "heading":
        return "", body
    line = _part(rest[0], Setting(options=""))
    return _text(rest[0].text), body.removeprefix(line)


def _part(block: Block, setting: Setting) -> str:
    text = _text(block.text)
    if block.kind == "heading":
        return f"\\{'sub' * (block.level - 2)}section*{{{text}}}\n"
    if block.kind == "table":
        return _table(block.rows, ruled=setting.ruled)
    if block.kind in _LISTS:
        return f"\\item {text}\n"
    return f"{text}\n\n"


def _table(rows: Rows, *, ruled: bool) -> str:
    lines = [" & ".join(map(_text, row)) + r" \\" for row in rows]
    columns = ("|" if ruled else "").join("l" * len(rows[0]))
    if ruled:
        columns = f"|{columns}|"
        content = "\\hline\n" + "".join(f"{line}\n\\hline\n" for line in lines)
    else:
        content = "\n".join(["\\toprule", lines[0], "\\midrule", *lines[1:], "\\bottomrule", ""])
    made = f"\\begin{{tabular}}{{{columns}}}\n{content}\\end{{tabular}}"
    return f"\\begin{{center}}\n{made}\n\\end{{center}}\n\n"


def _text(text: str) -> str:
    return text.translate(_SPECIAL)
