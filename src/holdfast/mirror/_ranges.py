"""Which bytes a ``Range`` header asks for.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["RangeUnsatisfiableError", "Span", "requested_span"]

_RANGE = re.compile(r"bytes=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes ``start`` (included) to ``stop`` (not included)."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """Return the ``Content-Range`` of this part of ``size`` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


class RangeUnsatisfiableError(Exception):
    """The range is well formed and holds no byte of the content: 416."""


def requested_span(header: str | None, size: int) -> Span | None:
    """Return the part of ``size`` bytes that ``header`` asks for, or None for the whole.

    As RFC 9110 allows, a header that is malformed, in another unit, or asks for several ranges is
    ignored.

    Raises:
        RangeUnsatisfiableError: no byte of the content is in the range.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        length = min(int(last), size)
        if length == 0:
            raise RangeUnsatisfiableError
        return Span(size - length, size)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeUnsatisfiableError
    return Span(start, min(int(last) + 1, size) if last else size)
