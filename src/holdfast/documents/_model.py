"""What is asked of a document, and what comes of it. Rules only; nothing here does I/O."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

__all__ = [
    "OCR_FOLDER",
    "OUTPUTS",
    "Chunking",
    "ConvertOptions",
    "Converted",
    "DocumentEngine",
    "Flaw",
    "Output",
    "Progress",
    "Source",
    "Status",
]

Output = Literal["md", "json", "html", "text", "doctags", "chunks"]
# Within a folder of models: where docling looks for those that read scans.
OCR_FOLDER = "RapidOcr"
# What a whole document becomes; chunks are pieces of one.
OUTPUTS: tuple[Output, ...] = ("md", "json", "html", "text", "doctags")


class Status(enum.StrEnum):
    """How a conversion ended, by docling's names."""

    SUCCESS = "success"
    PARTIAL_SUCCESS = "partial_success"
    FAILURE = "failure"


class Chunking(NamedTuple):
    """How a document is cut into pieces for retrieval, by docling's chunkers.

    Attributes:
        kind: ``hybrid`` heeds the number of tokens, ``hierarchical`` the structure only.
        max_tokens: of a piece, with its headings; None for as many as the tokenizer takes.
        merge_peers: whether neighbours under the same headings are joined where they fit.
        markdown_tables: tables as Markdown, else as a list of their values.
        markdown_images: pictures as Markdown, else as ``image_placeholder``.
        raw_text: whether the text without its headings is told, too.
    """

    kind: Literal["hybrid", "hierarchical"] = "hybrid"
    max_tokens: int | None = None
    merge_peers: bool = True
    markdown_tables: bool = False
    markdown_images: bool = False
    image_placeholder: str = "![IMAGE]"
    raw_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """How a document is to be converted.

    Attributes:
        outputs: what is to come of it.
        forms: which forms of documents are taken, by docling's names; all where it is empty.
        ocr: whether text in pictures and scans is read.
        force_ocr: read the page as it looks, also where it has text.
        pages: the first and the last, from 1.
        most_pages: that a document may have.
        longest_s: seconds that a document may take.
        images: ``embedded`` in the outputs, or a ``placeholder`` for each.
        page_images: whether each page's picture is in the JSON.
        image_scale: pixels of pictures per point of the page (1/72 inch).
        page_break: what stands between two pages in Markdown.
        compact_tables: no padding in Markdown's tables.
        chunking: how it is cut for the output ``chunks``.
    """

    outputs: Sequence[Output] = ("md",)
    forms: Sequence[str] = ()
    ocr: bool = True
    force_ocr: bool = False
    pages: tuple[int, int] = (1, 2**31 - 1)
    most_pages: int = 2_000
    longest_s: float = 3_600.0
    images: Literal["placeholder", "embedded"] = "placeholder"
    page_images: bool = False
    image_scale: float = 2.0
    page_break: str = ""
    compact_tables: bool = False
    chunking: Chunking = Chunking()

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON-ready data."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        lists = {name: list(values[name]) for name in ("outputs", "forms", "pages")}
        return values | lists | {"chunking": self.chunking._asdict()}

    @classmethod
    def of_dict(cls, told: Mapping[str, Any]) -> ConvertOptions:
        """Return what `to_dict` told."""
        first, last = told["pages"]
        chunking = Chunking(**told["chunking"])
        return cls(**{**told, "pages": (first, last), "chunking": chunking})


class Source(NamedTuple):
    """Where a document comes from.

    Attributes:
        name: its file's; of an address its last part, unless the server there names another.
        url: of one that is fetched; empty where its content comes along.
        headers: that are sent there, and to no other server.
    """

    name: str
    url: str = ""
    headers: Mapping[str, str] = MappingProxyType({})


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
