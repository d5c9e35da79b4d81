"""Docling: office formats, HTML, Markdown and more by its readers, PDF and images page by page.

The layout of pages is found by docling's model where the folder has one, else by geometry, without
a model; rapidocr's own models read scans.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.documents._artifacts import HERON, ModelSet
from holdfast.documents._errors import (
    DocumentDamaged,
    DocumentEncrypted,
    DocumentError,
    DocumentRequestInvalid,
    DocumentTooLong,
    DocumentUnsupported,
)
from holdfast.documents._inspect import inspect
from holdfast.documents._model import (
    OCR_FOLDER,
    Converted,
    ConvertOptions,
    Flaw,
    Output,
    Progress,
    Status,
)
from holdfast.documents._word import as_docx
from holdfast.documents.engines._placeholders import stand_in
from holdfast.errors import MissingExtra

if TYPE_CHECKING:
    from holdfast.documents.engines.docling_models import LoadedModels

__all__ = ["DoclingEngine", "load_docling"]

_log = logging.getLogger(__name__)
# Readers that want what is not installed here, or that call other programs, are not offered.
_FORMS = (
    "pdf", "image", "docx", "pptx", "xlsx", "odt", "ods", "odp", "html", "md", "asciidoc", "csv",
    "xml_jats", "vtt", "json_docling",
)  # fmt: skip
_LABEL = "layout by geometry, no model"
_SETTING = "HOLDFAST_DOCUMENTS_"
# Of clients' making are as many as they like: so many are kept.
_MOST_CONVERTERS = 4
_PDFIUM = "PDFium"
_PAGED = frozenset({"pdf", "image"})
# What docling writes into the text where a picture is not to be had.
_NO_PICTURE = re.compile(r"<!-- 🖼️❌ Image not available\.[^>]*-->")


def load_docling(folder: Path, device: str = "cpu") -> DoclingEngine:
    """Load docling.

    Args:
        folder: of models, laid out as docling's ``artifacts_path``: what reads scans is in
            ``RapidOcr``; where it is not, the models are used that rapidocr's package has. Where
            it has a layout model, that is used; the layout by geometry needs none.
        device: ``cpu``; for the models of layouts and tables ``cuda`` or ``cuda:N``, too.

    Raises:
        MissingExtra: docling is not installed, or what its models need.
        EntryNotFound: a file of a model is not there.
        EngineUnusable: a file of a model is not what it is to be.
    """
    # What docling says of a document is told in its error; Transformers misses torch, nobody else.
    logging.getLogger("docling").setLevel(logging.CRITICAL)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    stand_in()
    try:
        import docling.document_converter  # noqa: F401 - here, so that loading takes the time
    except ImportError as error:
        raise MissingExtra(
            "documents cannot be converted here", why=f"{error.name} is not installed",
            hint="pip install 'holdfast[documents]'",
        ) from error  # fmt: skip
    from holdfast.documents.engines.docling_layout import register

    register()
    held, loaded = ModelSet.read(folder), None
    if held is not None:
        from holdfast.documents.engines.docling_models import load_models

        loaded = load_models(folder, held, device)
    return DoclingEngine(folder if (folder / OCR_FOLDER).is_dir() else None, loaded)


class DoclingEngine:
    """Loaded converters; see `holdfast.documents.DocumentEngine`.

    Args:
        models: their folder; None for those in packages.
        loaded: docling's own models of layouts and tables; None for the layout by geometry.
    """

    def __init__(self, models: Path | None = None, loaded: LoadedModels | None = None) -> None:
        self._models = models
        self._loaded = loaded
        self._converters: dict[tuple[object, ...], Any] = {}

    def describe(self) -> Mapping[str, Any]:
        """Return what it can do, by which models, and how to have those that are not in force."""
        about: dict[str, Any] = {"forms": list(_FORMS), "layout": _LABEL, "tables": "by rules"}
        missing = {
            "layout model": f"{_SETTING}LAYOUT_MODEL={HERON}; pip install "
            "'holdfast[documents-models]'",
            "table model": f"{_SETTING}TABLE_MODEL=docling-project/docling-models@v2.3.0, besides "
            "a layout model; pip install 'holdfast[documents-tables]'",
        }
        if self._loaded is not None:
            held = self._loaded.about
            about |= {"layout": held.layout.repository, "models": held.to_dict()}
            del missing["layout model"]
            if held.tables is not None:
                about["tables"] = held.tables.repository
                del missing["table model"]
        return about | {"missing": missing}

    def close(self) -> None:
        """Give its memory back."""
        self._converters.clear()
        self._loaded = None

    def convert(
        self,
        name: str,
        content: bytes,
        options: ConvertOptions,
        told: Callable[[Progress], None],
    ) -> Converted:
        """Convert a document; see `DocumentEngine`."""
        from docling.datamodel.base_models import DocumentStream
        from docling.exceptions import BaseError

        inspect(name, content)
        content = as_docx(name, content)
        source = DocumentStream(name=name, stream=io.BytesIO(content))
        read = 0

        def on_event(event: Any) -> None:
            nonlocal read
            if event.kind.value == "page_completed":
                read = max(read, event.completed_pages)
                told(Progress(read, event.total_pages))

        try:
            found = self._converter(options, content).convert(
                source, raises_on_error=False, page_range=options.pages,
                max_num_pages=_most_pages(options), progress_callback=on_event,
            )  # fmt: skip
        except (BaseError, OSError, ValueError, RuntimeError) as error:
            raise _refused(name, str(error), options) from error
        status = Status(found.status.value) if found.status.value in set(Status) else Status.FAILURE
        messages = [(each.page_no or 0, each.error_message) for each in found.errors]
        if status is Status.FAILURE:
            why = _of_pdfium(content) or "; ".join(text for _, text in messages)
            raise _refused(name, why, options)
        return Converted(
            status=status,
            form=found.input.format.value,
            outputs={
                each: self._exported(name, found.document, each, options)
                for each in options.outputs
            },
            flaws=[
                *_without_effect(found.input.format.value, options),
                *(Flaw(*each) for each in messages),
            ],
            pages=read,
        )

    def _exported(self, name: str, document: Any, output: Output, options: ConvertOptions) -> bytes:
        if output == "chunks":
            from holdfast.documents.engines.docling_chunks import chunks

            found = chunks(name, document, options.chunking, self._models)
            return json.dumps(found, ensure_ascii=False).encode(errors="replace")
        return _text_of(document, output, options).encode(errors="replace")

    def _converter(self, options: ConvertOptions, content: bytes) -> Any:
        """Return the converter for such options; the one that was used last is kept longest."""
        from holdfast.documents.engines.docling_stages import drawn_at

        drawn = drawn_at(content)
        if options.page_images or options.images == "embedded":
            drawn = max(drawn, options.image_scale)
        key = (
            drawn, options.ocr, options.force_ocr, options.images == "embedded",
            options.page_images, options.image_scale, frozenset(options.forms),
        )  # fmt: skip
        found = self._converters.pop(key, None)
        self._converters[key] = found or _made(options, drawn, self._models, self._loaded)
        while len(self._converters) > _MOST_CONVERTERS:
            del self._converters[next(iter(self._converters))]
        return self._converters[key]


def _made(
    options: ConvertOptions, drawn: float, models: Path | None, loaded: LoadedModels | None
) -> Any:
    from docling.datamodel.accelerator_options import AcceleratorOptions
    from docling.datamodel.backend_options import ThreadedDoclingParseBackendOptions
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.pipeline_options import (
        OcrMode,
        RapidOcrOptions,
        ThreadedPdfPipelineOptions,
    )
    from docling.document_converter import DocumentConverter, ImageFormatOption, PdfFormatOption

    from holdfast.documents.engines.docling_layout import GeometryLayoutOptions, GeometryPdfPipeline

    pipeline = ThreadedPdfPipelineOptions(
        # Docling makes stages of its own by these; those that were loaded take their places.
        layout_options=GeometryLayoutOptions(),
        do_table_structure=False,
        do_ocr=options.ocr or options.force_ocr,
        ocr_options=RapidOcrOptions(
            backend="onnxruntime",
            mode=OcrMode.FULL_PAGE if options.force_ocr else OcrMode.DEFAULT,
            rapidocr_params={"Global.log_level": "error"},  # a page without text is no news
        ),
        accelerator_options=AcceleratorOptions(device="cpu"),  # of what reads scans
        artifacts_path=models,
        generate_picture_images=options.images == "embedded",
        generate_page_images=options.page_images,
        images_scale=options.image_scale,
    )
    used = GeometryPdfPipeline if loaded is None else loaded.pipeline
    how: dict[str, Any] = {"pipeline_cls": used, "pipeline_options": pipeline}
    parsing = ThreadedDoclingParseBackendOptions(render_scale=drawn)
    return DocumentConverter(
        allowed_formats=[InputFormat(each) for each in _FORMS if each in (options.forms or _FORMS)],
        format_options={
            InputFormat.PDF: PdfFormatOption(**how, backend_options=parsing),
            InputFormat.IMAGE: ImageFormatOption(**how),
        },
    )


def _without_effect(form: str, options: ConvertOptions) -> list[Flaw]:
    """Return what was asked for that means nothing for a form."""
    if form in _PAGED or options.pages == ConvertOptions().pages:
        return []
    return [Flaw(0, f"{form} has no pages: all of it was converted")]


def _most_pages(options: ConvertOptions) -> int:
    """Return how many pages a document may have: of a few that are wanted, any number."""
    first, last = options.pages
    return sys.maxsize if last - first < options.most_pages else options.most_pages


def _refused(name: str, told: str, options: ConvertOptions) -> DocumentError:
    """Return what to say of a document by what docling says of it."""
    text, lower = told.strip() or "docling does not say why", told.lower()
    _log.warning("%s was not converted: %s", name, text)
    if "password" in lower or "encrypt" in lower:
        return DocumentEncrypted(
            f"{name} wants a password", why="it is encrypted", hint="save it without one"
        )
    if "format not allowed" in lower or "no matching format" in lower or "skipped" in lower:
        return DocumentUnsupported(
            f"{name} is in a form that is not read",
            why=f"there are {', '.join(options.forms or _FORMS)}",
            hint="convert it to PDF first",
        )  # fmt: skip
    if "num_pages" in lower or "pages exceed" in lower or "max_num_pages" in lower:
        return DocumentTooLong(
            f"{name} has too many pages", why=f"at most {options.most_pages} are read",
            hint="ask for a range of its pages",
        )  # fmt: skip
    if "page_range" in lower:
        return DocumentRequestInvalid(
            f"{name} has no such pages", why=text[:200], hint="ask for pages that it has"
        )
    # What its libraries say names their own insides; of PDFium it is for people.
    why = text[:200] if _PDFIUM in text else "its reader can make nothing of it"
    return DocumentDamaged(
        f"{name} cannot be read", why=why, hint="open it in a program of its kind"
    )


def _of_pdfium(content: bytes) -> str:
    """Return why a PDF cannot be opened: docling's own parser does not say."""
    if b"%PDF-" not in content[:1024]:
        return ""
    import pypdfium2

    try:
        pypdfium2.PdfDocument(content).close()
    except pypdfium2.PdfiumError as error:
        return str(error)
    return ""


def _text_of(document: Any, output: Output, options: ConvertOptions) -> str:
    from docling_core.types.doc import ImageRefMode

    images = ImageRefMode(options.images)
    made: str
    if output == "json":
        made = document.model_dump_json(by_alias=True, exclude_none=True)
    elif output == "md":
        made = document.export_to_markdown(
            image_mode=images, page_break_placeholder=options.page_break or None,
            compact_tables=options.compact_tables,
        )  # fmt: skip
    elif output == "html":
        made = document.export_to_html(image_mode=images)
    elif output == "text":
        made = document.export_to_text()
    else:
        made = document.export_to_doctags()
    return _NO_PICTURE.sub("<!-- image -->", made)
