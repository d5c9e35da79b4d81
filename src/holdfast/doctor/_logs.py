"""Reading a program's log for known failures: from a file or a pipe, of any size."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from holdfast.doctor._known import KNOWN, Known

__all__ = ["Told", "explain", "read_log"]

_LONGEST = 1 << 16  # of a line; what follows is not looked at
_SHOWN = 200
# People paste findings elsewhere: what opens doors is not shown.
_SECRETS = (
    (re.compile(r"hf_[A-Za-z0-9]{6,}"), "hf_***"),
    (re.compile(r"(?i)(bearer|basic) [\w.+/=-]{6,}"), r"\1 ***"),
    (re.compile(r"://[^/\s:@]+:[^/\s@]+@"), "://***@"),
    (re.compile(r"(?i)((?:signature|token|key-pair-id|policy|password)=)[^&\s'\"]+"), r"\1***"),
)
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass(frozen=True, slots=True)
class Told:
    """A known failure that a log tells of.

    Attributes:
        known: which one.
        line: number of the first line that tells of it, from 1.
        count: how many lines do.
        excerpt: that line, shortened around what was recognised.
    """

    known: Known
    line: int
    count: int
    excerpt: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return {
            "check": self.known.code,
            "severity": self.known.severity,
            "message": self.known.why,
            "cure": self.known.cure,
            "line": self.line,
            "count": self.count,
            "excerpt": self.excerpt,
        }


def explain(lines: Iterable[str]) -> list[Told]:
    """Return the known failures in a log: the gravest first, else as they come.

    What only follows from another failure is left out where that was found too.
    """
    found: dict[str, Told] = {}
    for number, raw in enumerate(lines, 1):
        line = _ESCAPES.sub("", raw[:_LONGEST])
        match = next(((k, m) for k in KNOWN if (m := k.pattern.search(line))), None)
        if match is None:
            continue
        known, where = match
        before = found.get(known.code)
        if before is None:
            found[known.code] = Told(known, number, 1, _around(line, where.start()))
        else:
            found[known.code] = Told(known, before.line, before.count + 1, before.excerpt)
    told = list(found.values())
    if causes := [item for item in told if not item.known.symptom]:
        told = causes
    return sorted(told, key=lambda item: item.known.severity != "error")


def read_log(stream: BinaryIO) -> Iterator[str]:
    """Yield a log's lines, whatever wrote it: UTF-8, or UTF-16 as PowerShell redirects.

    Of a line longer than 64 kB the beginning is yielded.
    """
    head = stream.read(2)
    encoding = _MARKS.get(head, "utf-8-sig")
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    rest, whole = "", True
    chunk = b"" if encoding != "utf-8-sig" else head
    while True:
        block = stream.read(_LONGEST)
        *lines, last = (rest + decoder.decode(chunk + block, not block)).split("\n")
        chunk = b""
        for line in lines:
            if whole:
                yield line.rstrip("\r")
            whole = True
        if not block:
            break
        rest = last
        if len(rest) > _LONGEST:
            if whole:
                yield rest
            rest, whole = "", False
    if whole and last:
        yield last.rstrip("\r")


def _around(line: str, start: int) -> str:
    text = line.strip()
    if len(text) > _SHOWN:
        begin = max(0, start - _SHOWN // 4)
        end = begin + _SHOWN
        text = line[begin:end].strip() + ("..." if end < len(line) else "")
        text = ("..." if begin else "") + text
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text
