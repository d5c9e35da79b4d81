"""What is asked about documents, by docling-serve's names: forms and JSON say the same."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from holdfast.documents import (
    OUTPUTS,
    Chunking,
    ConvertOptions,
    DocumentRequestInvalid,
    Source,
    check_url,
    name_of,
)

__all__ = [
    "CONVERT_FIELDS",
    "Asked",
    "chunking_of",
    "file_name",
    "flag_of",
    "headers_of",
    "options_of",
    "source_of",
    "target_of",
]

_LONGEST_NAME = 200
_MOST_PAGES = 2**31 - 1
_SCALES = (0.1, 4.0)
# Headers that say how a request travels, or who it is from.
_NOT_THEIRS = frozenset({
    "connection", "content-length", "content-type", "expect", "host", "keep-alive", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
_IMAGES = ("placeholder", "embedded")
# What is decided here otherwise, or makes no difference: each with the reason.
_NO_EFFECT: Mapping[str, str] = {
    "ocr_engine": "rapidocr reads scans here",
    "ocr_preset": "rapidocr reads scans here",
    "ocr_lang": "one model reads all the languages that it can",
    "ocr_custom_config": "rapidocr reads scans here",
    "pdf_backend": "docling-parse reads PDF here",
    "table_mode": "tables are found by their rules and by how they are aligned",
    "table_cell_matching": "tables are found by their rules and by how they are aligned",
    "do_table_structure": "tables come with the layout",
    "abort_on_error": "a document that fails stops no other",
    "do_pdf_heading_hierarchy": "headings have the levels that their sizes say",
    "pdf_heading_hierarchy_options": "headings have the levels that their sizes say",
    "include_images": "image_export_mode says what becomes of pictures",
    "picture_description_area_threshold": "pictures are not described here",
    "layout_preset": "the layout is found by the service's own engine",
    "layout_custom_config": "the layout is found by the service's own engine",
    "table_structure_preset": "tables are found by their rules and by how they are aligned",
    "table_structure_custom_config": "tables are found by their rules and by how they are aligned",
}
# What would change a document's text, and is not to be had.
_NOT_HERE = (
    "do_code_enrichment", "do_formula_enrichment", "do_picture_classification",
    "do_picture_description", "do_chart_extraction",
)  # fmt: skip
_NOT_HERE_UNLESS_EMPTY = (
    "picture_description_local", "picture_description_api", "picture_description_preset",
    "picture_description_custom_config", "vlm_pipeline_model", "vlm_pipeline_model_local",
    "vlm_pipeline_model_api", "vlm_pipeline_preset", "vlm_pipeline_custom_config",
    "code_formula_preset", "code_formula_custom_config", "chart_extraction_preset",
    "chart_extraction_custom_config", "chunking_options", "chunking_preset",
)  # fmt: skip


class Asked(NamedTuple):
    """How documents are to be converted, and what was said about it that has no effect."""

    options: ConvertOptions
    notes: list[str]


def _invalid(name: str, why: str, hint: str = "see /openapi.json") -> DocumentRequestInvalid:
    return DocumentRequestInvalid(f"{name} cannot be used", why=why, hint=hint, param=name)


def flag_of(value: Any, name: str) -> bool:
    """Read yes or no, from JSON or a form."""
    text = str(value).strip().lower()
    if text in {"true", "1", "yes", "on"}:
        return True
    if text in {"false", "0", "no", "off", ""}:
        return False
    raise _invalid(name, f"{text[:40]!r} is neither true nor false")


def _number(value: Any, name: str, least: float, most: float) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not least <= found <= most:
        raise _invalid(name, f"{str(value)[:40]!r} is no number from {least} to {most}")
    return found


def _list(value: Any, name: str) -> list[str]:
    """Read one or several words; a form may have them as JSON, too, or with commas."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise _invalid(name, "it is no list in JSON") from error
    parts = value if isinstance(value, (list, tuple)) else str(value).split(",")
    return list(dict.fromkeys(text for each in parts if (text := str(each).strip())))


def _outputs(value: Any, name: str) -> tuple[str, ...]:
    found = _list(value, name)
    unknown = [each for each in found if each not in OUTPUTS]
    if unknown or not found:
        shown = unknown[0][:40] if unknown else "nothing"
        raise _invalid(name, f"{shown!r} is not made here; there are {', '.join(OUTPUTS)}")
    return tuple(each for each in OUTPUTS if each in found)


def _forms(value: Any, name: str) -> tuple[str, ...]:
    return tuple(_list(value, name))


def _pages(value: Any, name: str) -> tuple[int, int]:
    parts = value if isinstance(value, list) else _list(value, name)
    found = [str(each).strip() for each in parts]
    if len(found) != 2 or not all(each.isdecimal() for each in found):
        raise _invalid(name, "it is no first and last page, such as [1, 4]")
    first, last = (min(int(each[:18]), _MOST_PAGES) for each in found)
    if not 1 <= first <= last:
        raise _invalid(name, f"there are no pages from {first} to {last}")
    return first, last


def _images(value: Any, name: str) -> str:
    if value not in _IMAGES:
        raise _invalid(name, f"{str(value)[:40]!r} is none of {', '.join(_IMAGES)}")
    return str(value)


def _text(value: Any, name: str) -> str:
    if len(str(value)) > _LONGEST_NAME or not _is_whole(str(value)):
        raise _invalid(name, f"it is no text of at most {_LONGEST_NAME} characters")
    return str(value)


def _is_whole(text: str) -> bool:
    """Return whether a text has no half of a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_READ: Mapping[str, tuple[str, Callable[[Any, str], Any]]] = {
    "from_formats": ("forms", _forms),
    "to_formats": ("outputs", _outputs),
    "do_ocr": ("ocr", flag_of),
    "force_ocr": ("force_ocr", flag_of),
    "page_range": ("pages", _pages),
    "image_export_mode": ("images", _images),
    "include_page_images": ("page_images", flag_of),
    "images_scale": ("image_scale", lambda value, name: _number(value, name, *_SCALES)),
    "md_page_break_placeholder": ("page_break", _text),
    "md_compact_tables": ("compact_tables", flag_of),
    "document_timeout": ("longest_s", lambda value, name: _number(value, name, 0.1, 1e6)),
}
# For the interface's description.
CONVERT_FIELDS = tuple(_READ)


def options_of(given: Mapping[str, Any], usual: ConvertOptions) -> Asked:
    """Return how to convert, as ``given`` says, else as usual.

    Raises:
        DocumentRequestInvalid: an option is unknown, outside its limits, or not to be had here.
    """
    values: dict[str, Any] = {}
    notes = []
    for name, value in given.items():
        if name in _READ:
            if value is not None:
                field, read = _READ[name]
                values[field] = read(value, name)
        elif name in _NO_EFFECT:
            notes.append(f"{name} has no effect: {_NO_EFFECT[name]}")
        elif name in _NOT_HERE or name in _NOT_HERE_UNLESS_EMPTY:
            wanted = flag_of(value, name) if name in _NOT_HERE else value not in (None, "", "null")
            if wanted:
                raise _invalid(name, "this service has no model for it", f"leave {name} out")
        elif name == "pipeline":
            if value != "standard":
                raise _invalid(name, "there is the standard pipeline only", "leave it out")
        else:
            raise _invalid(name[:40], f"there is no such option; there are {', '.join(_READ)}")
    if "longest_s" in values:
        values["longest_s"] = min(values["longest_s"], usual.longest_s)
    fields = {each: getattr(usual, each) for each in usual.__dataclass_fields__}
    return Asked(ConvertOptions(**(fields | values)), notes)


def chunking_of(kind: str, given: Mapping[str, Any]) -> Chunking:
    """Return how to cut documents.

    Raises:
        DocumentRequestInvalid: an option is unknown, or outside its limits.
    """
    values: dict[str, Any] = {"kind": kind}
    flags = {
        "use_markdown_tables": "markdown_tables", "use_markdown_images": "markdown_images",
        "include_raw_text": "raw_text", "merge_peers": "merge_peers",
    }  # fmt: skip
    for name, value in given.items():
        if value is None or (name == "chunker" and value == kind):
            continue
        if name in flags and (name != "merge_peers" or kind == "hybrid"):
            values[flags[name]] = flag_of(value, name)
        elif name == "image_placeholder":
            values[name] = _text(value, name)
        elif name == "max_tokens" and kind == "hybrid":
            values[name] = int(_number(value, name, 8, 1_000_000))
        elif name == "tokenizer" and kind == "hybrid":
            _check_tokenizer(value)
        else:
            raise _invalid(name[:40], f"the {kind} chunker has no such option")
    return Chunking(**values)


def _check_tokenizer(value: Any) -> None:
    # Docling's client sends its own default along.
    if value not in ("", "sentence-transformers/all-MiniLM-L6-v2"):
        raise _invalid(
            "tokenizer", f"{str(value)[:80]!r} is not here, and none is fetched for a request",
            "leave it out; max_tokens says how long a piece may be",
        )  # fmt: skip


def target_of(kind: Any) -> str:
    """Return how a result is to come: ``inbody`` or ``zip``.

    Raises:
        DocumentRequestInvalid: in no way that there is here.
    """
    if kind in ("inbody", "zip"):
        return str(kind)
    if kind == "presigned_url":
        # Docling's client asks so first, and goes on with inbody by these words.
        raise _invalid(
            "target", "presigned_url needs artifact storage to be configured, and there is none",
            "inbody or zip",
        )  # fmt: skip
    raise _invalid("target", f"{str(kind)[:40]!r} is none of inbody, zip", "inbody or zip")


def file_name(told: str) -> str:
    """Return the name of a file that somebody sent: no folders, nothing that cannot be shown."""
    last = told.replace("\\", "/").rpartition("/")[2]
    shown = "".join(each for each in last if each.isprintable()).strip().strip(".")
    return shown[-_LONGEST_NAME:] or "document"


def source_of(given: Any, at: int) -> tuple[Source, Sequence[bytes]]:
    """Return a document that JSON describes, and its content in pieces where it came along.

    Raises:
        DocumentRequestInvalid: it describes none.
        DocumentAddressRefused: its address may not be fetched.
    """
    place = f"sources.{at}"
    if not isinstance(given, dict):
        raise _invalid(place, "it is no object")
    kind = given.get("kind")
    if kind == "file":
        return Source(file_name(str(given.get("filename", "")))), _decoded(given, place)
    if kind == "http":
        url = str(given.get("url", ""))
        check_url(url)
        return Source(file_name(name_of(url)), url, headers_of(given.get("headers"), place)), ()
    raise _invalid(f"{place}.kind", f"{str(kind)[:40]!r} is neither file nor http")


def _decoded(given: Mapping[str, Any], place: str) -> list[bytes]:
    text, name = given.get("base64_string"), f"{place}.base64_string"
    if not isinstance(text, str):
        raise _invalid(name, "it is missing", "base64 -w 0 FILE")
    try:
        # As programs print it: in lines, and perhaps as a data: URL.
        told = text.partition(",")[2] if text.startswith("data:") else text
        return [base64.b64decode("".join(told.split()), validate=True)]
    except ValueError as error:
        raise _invalid(name, str(error), "base64 -w 0 FILE") from error


def headers_of(given: Any, place: str) -> dict[str, str]:
    """Return headers that can be sent to another server.

    Raises:
        DocumentRequestInvalid: some cannot.
    """
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise _invalid(f"{place}.headers", "they are no object")
    found = {str(name): str(value) for name, value in given.items()}
    for name, value in found.items():
        sendable = name.isascii() and name.isprintable() and value.isascii() and value.isprintable()
        if not sendable or not name.replace("-", "").isalnum():
            raise _invalid(f"{place}.headers", f"{name[:40]!r} cannot be sent")
        lower = name.lower()
        if lower in _NOT_THEIRS or lower.startswith(("webhook-", "proxy-")):
            raise _invalid(f"{place}.headers", f"{name} is not the caller's to say")
    return found
