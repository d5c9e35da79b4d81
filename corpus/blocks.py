"""What is in a document, block by block in reading order: read from a source, kept as JSON.

A source is a small part of Markdown: ``#`` headings, ``-`` and ``1.`` items, tables in bars, and
paragraphs. In a table ``<`` continues the cell before it and ``^`` the one above.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

__all__ = [
    "EXPECTED",
    "FILES",
    "Block",
    "Kind",
    "Rows",
    "blocks_of",
    "expectation",
    "expected",
    "filled",
    "spans",
]

FOLDER = Path(__file__).parent
FILES, EXPECTED = FOLDER / "files", FOLDER / "expected"

Kind = Literal["heading", "text", "item", "number", "table"]
Rows = Sequence[Sequence[str]]
_HEADING, _RULE = re.compile(r"(#+) (.*)"), re.compile(r"[|\s-]+")
_ITEM, _NUMBER = re.compile(r"- (.*)"), re.compile(r"\d+\. (.*)")
_JOINED = ("<", "^")


@dataclass(frozen=True, slots=True)
class Block:
    """One part of a document.

    Attributes:
        level: of a heading, the title's is 1; 0 where the form of the document has no levels.
        rows: of a table, all of one length; each of the places that a cell takes has its text.
    """

    kind: Kind
    text: str = ""
    level: int = 0
    rows: Rows = ()


def blocks_of(source: str) -> list[Block]:
    """Return the blocks of one of the sources, by its name; tables keep ``<`` and ``^``."""
    text = (FOLDER / "sources" / f"{source}.md").read_text("utf-8")
    found: list[Block] = []
    for part in text.strip().split("\n\n"):
        lines = part.split("\n")
        if lines[0].startswith("|"):
            rows = [
                [cell.strip() for cell in line.strip("|").split("|")]
                for line in lines if not _RULE.fullmatch(line)
            ]  # fmt: skip
            found.append(Block("table", rows=rows))
        else:
            found += map(_of_line, lines)
    return found


def _of_line(line: str) -> Block:
    if heading := _HEADING.fullmatch(line):
        return Block("heading", heading[2], len(heading[1]))
    if item := _ITEM.fullmatch(line):
        return Block("item", item[1])
    if number := _NUMBER.fullmatch(line):
        return Block("number", number[1])
    return Block("text", line)


def spans(rows: Rows) -> list[list[tuple[str, int, int] | None]]:
    """Return each row's cells with how many rows and columns they take; None within another."""
    made: list[list[tuple[str, int, int] | None]] = []
    for at, row in enumerate(rows):
        made.append([])
        for column, text in enumerate(row):
            if text in _JOINED:
                made[-1].append(None)
                continue
            wide = 1
            while column + wide < len(row) and row[column + wide] == "<":
                wide += 1
            high = 1
            while at + high < len(rows) and rows[at + high][column] == "^":
                high += 1
            made[-1].append((text, high, wide))
    return made


def filled(rows: Rows) -> list[list[str]]:
    """Return the rows with ``<`` and ``^`` replaced by the text that they continue."""
    made = [list(row) for row in rows]
    for at, row in enumerate(made):
        for column, text in enumerate(row):
            if text == "<":
                row[column] = row[column - 1]
            elif text == "^":
                row[column] = made[at - 1][column]
    return made


def expectation(blocks: Iterable[Block], *, levels: bool = False) -> list[Block]:
    """Return what is expected of a converter: cells filled, levels where they mean something."""
    return [
        Block(each.kind, each.text, each.level if levels else 0, filled(each.rows))
        for each in blocks
    ]


def as_json(blocks: Iterable[Block]) -> str:
    """Return an expectation as it is kept."""
    kept = [{key: value for key, value in asdict(each).items() if value} for each in blocks]
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in kept)
    return f'{{"blocks": [\n{lines}\n]}}\n'


def expected(name: str) -> list[Block]:
    """Return what is expected of one of the files, by its name."""
    kept = json.loads((EXPECTED / f"{name}.json").read_text("utf-8"))
    return [Block(**each) for each in kept["blocks"]]
