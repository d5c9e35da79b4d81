"""What a snapshot's model card says of its licence.

Only the three keys that say it are read, by a reader of our own: the core needs no YAML library for
them, and a card is a stranger's file, so whatever is odd in it counts as nothing said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["licence_of"]

_CARD = "README.md"
# Cards with tables of benchmarks in their front matter reach some hundred kB.
_MOST_BYTES = 1 << 20
_MOST_LETTERS = 200
_KEY = re.compile(r"(license|license_name|license_link)[ \t]*:(?:[ \t]+(.*)|)")
_ITEM = re.compile(r"( *)-[ \t]+(.*)")
# A comment begins after a space only: addresses have # in them.
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_QUOTED = re.compile(r""""([^"\\]*)"|'((?:[^']|'')*)'""")
_NOTHING = {"", "~", "null"}
# What begins a value that is no plain text: blocks, anchors, tags, maps, reserved signs.
_NOT_PLAIN = "|>&*!{}[],%@`\"'"


def licence_of(folder: Path) -> str | None:
    """Return the licence that the card in ``folder`` states, or None where it states none.

    That is the Hub's identifier (``apache-2.0``, ``cc-by-nc-4.0``), several of them joined by
    ``", "``; in place of ``other`` the name that the card gives it, or else its address. A card
    that is missing, unreadable or broken states none.

    Source: https://huggingface.co/docs/hub/model-cards#model-card-metadata
    """
    said: dict[str, list[str]] = {}
    for key, values in _stated(_front_matter(folder / _CARD)):
        if values is None:
            return None  # where it ends is not known, so neither is what comes after it
        said[key] = values
    licences = said.get("license", [])
    if [licence.lower() for licence in licences] == ["other"]:
        licences = said.get("license_name") or said.get("license_link") or licences
    text = ", ".join(licences)
    return text if text and text.isprintable() and len(text) <= _MOST_LETTERS else None


def _front_matter(path: Path) -> list[str]:
    """Return the lines between the first two ``---``; none where there is no such part."""
    try:
        if not path.is_file():  # opening a pipe would wait for somebody to write
            return []
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return []
    # Not by str.splitlines: it also parts where a text may (U+2028).
    first, *rest = [line.rstrip() for line in re.split(r"\r\n|\r|\n", text.lstrip())]
    return rest[: rest.index("---")] if first == "---" and "---" in rest else []


def _stated(lines: list[str]) -> Iterator[tuple[str, list[str] | None]]:
    """Yield the keys and their texts; None in their place where they are not understood."""
    for number, line in enumerate(lines):
        if match := _KEY.fullmatch(line):
            key, value = match[1], _COMMENT.sub("", match[2] or "").strip()
            if value in _NOTHING:
                yield key, _items(lines[number + 1 :])
            elif _goes_on(lines[number + 1 :]):
                yield key, None
            elif value.startswith("[") and value.endswith("]"):
                yield key, _known(value[1:-1].split(","))
            else:
                yield key, _known([value])


def _goes_on(lines: list[str]) -> bool:
    """Return whether a text goes on in ``lines``, which are those after it."""
    following = next((line for line in lines if line), "")
    return following.startswith((" ", "\t"))


def _items(lines: list[str]) -> list[str] | None:
    """Return the texts of a list that ``lines`` begin with; None where it is another."""
    found: list[re.Match[str]] = []
    for line in lines:
        text = _COMMENT.sub("", line)
        if not text.strip():
            continue
        match = _ITEM.fullmatch(text)
        if match is not None and match[1] == (found[0] if found else match)[1]:
            found.append(match)
        elif text.startswith((" ", "-")):
            return None
        else:
            break
    return _known([match[2] for match in found])


def _known(values: list[str]) -> list[str] | None:
    """Return what the values mean; None if one of them is not understood."""
    texts = [_text(value.strip()) for value in values]
    return None if None in texts else [text for text in texts if text]


def _text(value: str) -> str | None:
    if match := _QUOTED.fullmatch(value):
        return match[1] if match[1] is not None else match[2].replace("''", "'")
    if value in _NOTHING:
        return ""
    odd = value[0] in _NOT_PLAIN or value.startswith(("- ", "? ")) or value in {"-", "?"}
    return None if odd or ": " in value or value.endswith(":") else value
