"""What is asked of a document, and what comes of it. Rules only; nothing here does I/O."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

__all__ = [
    "OUTPUTS",
    "ConvertOptions",
    "Converted",
    "DocumentEngine",
    "Flaw",
    "Output",
    "Progress",
    "Status",
]

Output = Literal["md", "json", "html", "text", "doctags"]
OUTPUTS: tuple[Output, ...] = ("md", "json", "html", "text", "doctags")


class Status(enum.StrEnum):
    """How a conversion ended, by docling's names."""

    SUCCESS = "success"
    PARTIAL_SUCCESS = "partial_success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """How a document is to be converted.

    Attributes:
        outputs: what is to come of it.
        ocr: whether text in pictures and scans is read.
        force_ocr: read the page as it looks, also where it has text.
        pages: the first and the last, from 1.
        most_pages: that a document may have.
        images: ``embedded`` in the outputs, or a ``placeholder`` for each.
    """

    outputs: Sequence[Output] = ("md",)
    ocr: bool = True
    force_ocr: bool = False
    pages: tuple[int, int] = (1, 2**31 - 1)
    most_pages: int = 10_000
    images: Literal["placeholder", "embedded"] = "placeholder"


class Progress(NamedTuple):
    """How far a document is; of forms without pages both are 0."""

    pages: int
    pages_total: int


class Flaw(NamedTuple):
    """What was wrong in a document that was converted all the same; page 0 where it is of none."""

    page: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A document that was converted.

    Attributes:
        form: what it was, by docling's names: ``pdf``, ``docx`` ...
        outputs: content by form, UTF-8.
        flaws: what could not be read.
        pages: how many were read; 0 of forms without pages.
    """

    status: Status
    form: str
    outputs: Mapping[str, bytes]
    flaws: Sequence[Flaw] = ()
    pages: int = 0
    about: Mapping[str, Any] = field(default_factory=dict)


class DocumentEngine(Protocol):
    """Converts documents, one at a time; for a process of its own."""

    def convert(
        self,
        name: str,
        content: bytes,
        options: ConvertOptions,
        told: Callable[[Progress], None],
    ) -> Converted:
        """Convert a document.

        Args:
            name: its file's name, whose suffix says what it is where its content does not.
            content: of the file.
            options: how.
            told: called as it gets on; what it raises that is no Exception ends the conversion.

        Raises:
            DocumentError: it cannot be converted.
        """

    def describe(self) -> Mapping[str, Any]:
        """Return what it can do, as JSON-ready data."""

    def close(self) -> None:
        """Give its memory back."""
