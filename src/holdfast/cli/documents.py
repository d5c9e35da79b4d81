"""The command that converts documents."""

from __future__ import annotations

import argparse
import logging
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli._context import Context, folder, render_error
from holdfast.cli._count import Count
from holdfast.cli._files import new_file
from holdfast.cli._readings import Readings
from holdfast.cli._sources import Kind, found_sources, outputs, written_over
from holdfast.cli.service import extra
from holdfast.errors import ConfigInvalid, HoldfastError

if TYPE_CHECKING:
    from holdfast.config import ServiceSettings
    from holdfast.documents import ConvertOptions, DocumentWorkers
    from holdfast.jobs import JobStatus, SqliteJobs

__all__ = ["DOCUMENTS", "add_commands"]

_SUFFIXES = {"md": "md", "json": "json", "html": "html", "text": "txt", "doctags": "doctags"}
_BY_SUFFIX = {suffix: form for form, suffix in _SUFFIXES.items()}
DOCUMENTS = Kind(
    "document", "convert",
    frozenset({
        ".pdf", ".docx", ".dotx", ".docm", ".pptx", ".potx", ".ppsx", ".pptm", ".xlsx", ".xlsm",
        ".odt", ".ods", ".odp", ".html", ".htm", ".xhtml", ".md", ".adoc", ".asciidoc", ".csv",
        ".nxml", ".vtt", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp",
    }),
    frozenset(f".{suffix}" for suffix in _SUFFIXES.values()),
)  # fmt: skip
_POLL_S = 0.1
# Of each process one document is at work, and one waits.
_AHEAD = 2


def add_commands(commands: Any) -> None:
    """Add this module's commands to the parser."""
    convert = commands.add_parser(
        "convert", help="make text with structure of documents: PDF, scans, office files, HTML ..."
    )
    convert.add_argument("files", nargs="+", metavar="FILE",
                         help="documents, patterns such as '*.pdf', or folders")  # fmt: skip
    convert.add_argument("-o", "--output", type=_named, metavar="PATH",
                         help="a file for one document, a folder for several, - for the terminal; "
                         "else beside each of several")  # fmt: skip
    convert.add_argument("--to", type=_forms, metavar="FORM,...",
                         help=f"{', '.join(_SUFFIXES)} (by --output, else md)")  # fmt: skip
    convert.add_argument("--workers", type=_workers, default=1, metavar="N",
                         help="documents at a time, each in a process of its own (1)")  # fmt: skip
    convert.add_argument("--pages", type=_pages, metavar="A-B", help="only these, from 1")
    scans = convert.add_mutually_exclusive_group()
    scans.add_argument("--no-ocr", action="store_true", help="leave text in pictures unread")
    scans.add_argument("--force-ocr", action="store_true",
                       help="read pages as they look, also where they have text")  # fmt: skip
    convert.add_argument("--images", choices=("placeholder", "embedded"), default="placeholder",
                         help="what becomes of pictures (placeholder)")  # fmt: skip
    convert.add_argument("--again", action="store_true",
                         help="convert also what has been converted already")  # fmt: skip
    convert.add_argument("--profile", metavar="NAME",
                         help="starter (default), standard or gpu: what finds the layout of pages"
                         )  # fmt: skip
    convert.set_defaults(run=_convert)


def _named(text: str) -> str:
    """Read a path that is not empty, which would mean the present folder."""
    folder(text)
    return text


def _forms(text: str) -> tuple[str, ...]:
    forms = tuple(dict.fromkeys(each.strip() for each in text.split(",")))
    for form in forms:
        if form not in _SUFFIXES:
            raise argparse.ArgumentTypeError(f"{form!r} is none of {', '.join(_SUFFIXES)}")
    return forms


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 64")
    return int(text)


def _pages(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last:
        raise argparse.ArgumentTypeError(f"{text!r} is no range of pages such as 3-7")
    return first, last


@dataclass(frozen=True, slots=True)
class _Work:
    """A document, and a file for each form; None for the terminal."""

    source: Path
    targets: dict[str, Path] | None


def _convert(args: argparse.Namespace, context: Context) -> int:
    with extra("documents"):
        from holdfast.documents import OUTPUTS, ConvertOptions
    from holdfast.wiring import chosen_document_models

    service = context.service(profile=args.profile)
    models = chosen_document_models(service)
    output = None if args.output in (None, "-") else Path(args.output)
    forms = args.to or _form_of(output)
    options = ConvertOptions(
        outputs=[form for form in OUTPUTS if form in forms], ocr=not args.no_ocr,
        force_ocr=args.force_ocr, images=args.images, pages=args.pages or ConvertOptions().pages,
    )  # fmt: skip
    asked = options.to_dict() | {"outputs": list(forms)}
    if models is not None:
        asked["models"] = [str(each) for each in models if each is not None]
    readings = Readings(".holdfast-documents.json", asked)
    sources, wrong = found_sources(args.files, DOCUMENTS)
    # Of Markdown comes Markdown: what was made here is a document by its name only.
    sources = [
        each for each in sources if str(each[0]) in args.files or readings.is_foreign(each[0])
    ]
    if wrong and not sources:
        raise wrong[0]
    work = _work(args, sources, output, forms)
    left, foreign = (work, []) if args.again else _left(work, readings, context, output)
    wrong += foreign
    for error in wrong:
        context.tell(render_error(error, as_json=context.json))
    code = wrong[0].exit_code if wrong else 0
    if not left:
        return code
    with _office(min(args.workers, len(left)), context, service) as (store, workers):
        context.say(f"converted by docling: {workers.about['layout']}")
        run = _Run(context, store, readings, options, explicit=output)
        return run.all(left, _AHEAD * args.workers) or code


def _form_of(output: Path | None) -> tuple[str, ...]:
    if output is None or output.is_dir() or not output.suffix:
        return ("md",)
    form = _BY_SUFFIX.get(output.suffix.lower().removeprefix("."))
    if form is None:
        raise ConfigInvalid(
            f"{output} has no form that can be written",
            why=f"there are {', '.join(f'.{each}' for each in _BY_SUFFIX)}",
            hint="-o TEXT.md, or --to FORM where it is a folder",
        )  # fmt: skip
    return (form,)


def _work(
    args: argparse.Namespace,
    sources: Sequence[tuple[Path, Path]],
    output: Path | None,
    forms: Sequence[str],
) -> list[_Work]:
    paths = [path for path, _ in sources]
    if args.output == "-" and len(forms) > 1:
        raise ConfigInvalid(
            "the terminal takes one form at a time", why=f"--to has {', '.join(forms)}",
            hint="-o FOLDER",
        )  # fmt: skip
    only = len(paths) == len(forms) == 1 and str(paths[0]) in args.files  # of a folder it is not
    if args.output == "-" or (args.output is None and only):
        return [_Work(path, None) for path in paths]
    if output is not None and output.suffix and not output.is_dir() and len(forms) > 1:
        raise ConfigInvalid(
            f"{output} takes one form", why=f"--to has {', '.join(forms)}", hint="-o FOLDER"
        )
    by_form = {}
    for form in forms:
        named = args.files if output is not None else [*args.files, ""]  # beside it, also for one
        found = outputs(sources, named, output, _SUFFIXES[form], DOCUMENTS)
        beside = [path.with_suffix(f".{_SUFFIXES[form]}") for path in paths]
        by_form[form] = [each or other for each, other in zip(found, beside, strict=True)]
    return [
        _Work(path, {form: by_form[form][at] for form in forms}) for at, path in enumerate(paths)
    ]


def _left(
    work: Sequence[_Work], readings: Readings, context: Context, output: Path | None
) -> tuple[list[_Work], list[ConfigInvalid]]:
    """Return what is still to be converted, and what is wrong with the rest."""
    left, wrong, done = [], [], 0
    for each in work:
        targets = [] if each.targets is None else [*each.targets.values()]
        foreign = [target for target in targets if readings.is_foreign(target)]
        if not targets or targets == [output]:
            left.append(each)
        elif all(readings.has(target, each.source) for target in targets):
            done += 1
        elif foreign:
            wrong.append(written_over(foreign[0]))
        else:
            left.append(each)
    if done:
        context.say(f"{done} of {len(work)} are converted already (--again: anew)")
    return left, wrong


@contextmanager
def _office(
    processes: int, context: Context, service: ServiceSettings
) -> Iterator[tuple[SqliteJobs, DocumentWorkers]]:
    """A queue of the command's own, and processes that work on it."""
    from holdfast.documents import DocumentWorkers, WorkersAsked
    from holdfast.jobs import SqliteJobs
    from holdfast.wiring import LOAD_DOCUMENTS, document_models, told_settings

    try:
        models, device = document_models(context.settings, service, context.env, context.reporter)
    except HoldfastError:
        context.say("without any model: HOLDFAST_DOCUMENTS_LAYOUT_MODEL=geometry")
        raise
    with tempfile.TemporaryDirectory(prefix="holdfast-convert-") as name:
        database = Path(name) / "jobs.sqlite"
        more = told_settings(context.settings, service)
        workers = DocumentWorkers(
            WorkersAsked(
                database,
                processes,
                LOAD_DOCUMENTS,
                models,
                device,
                more=more,
                # What was wrong with a document is told once, by this process.
                log_level=logging.WARNING if context.verbose else logging.ERROR,
            )
        )
        store = SqliteJobs(database)
        try:
            yield store, workers
        finally:
            workers.close(patience_s=0)
            store.close()


class _Run:
    """One run over many documents: what is on its way, and what went wrong."""

    def __init__(
        self,
        context: Context,
        store: SqliteJobs,
        readings: Readings,
        options: ConvertOptions,
        explicit: Path | None,
    ) -> None:
        self._context = context
        self._store = store
        self._readings = readings
        self._options = options
        self._explicit = explicit
        self._code = 0
        self._failed: list[str] = []

    def all(self, work: Sequence[_Work], ahead: int) -> int:
        """Convert everything; return the exit code of the first that could not be."""
        waiting, on_way = list(reversed(work)), dict[str, _Work]()
        with Count(self._context, "documents", len(work)) as count:
            while waiting or on_way:
                while waiting and len(on_way) < ahead:
                    each = waiting.pop()
                    if self._sent(job := f"{len(work) - len(waiting)}", each):
                        on_way[job] = each
                    else:
                        count.step()
                for job in list(on_way):
                    if (status := self._store.status(job)).is_finished:
                        self._take(job, status, on_way.pop(job))
                        count.step()
                time.sleep(_POLL_S)
        if self._failed and len(work) > 1:
            named = ", ".join(self._failed[:10]) + (" ..." if len(self._failed) > 10 else "")
            self._context.say(
                f"{len(work) - len(self._failed)} of {len(work)} converted; not: {named}"
            )
        return self._code

    def _sent(self, job: str, work: _Work) -> bool:
        from holdfast.documents import DocumentUnreadable, Source, document_job

        try:
            with work.source.open("rb") as file:
                self._store.put_blob(job, "in/0", iter(lambda: file.read(1 << 20), b""))
        except OSError as error:
            self._fail(
                work,
                DocumentUnreadable(
                    f"{work.source} cannot be read", why=error.strerror or str(error),
                    hint=f"ls -l {work.source}",
                ),
            )  # fmt: skip
            return False
        source = Source(work.source.name)
        self._store.submit(job, document_job("command line", [source], self._options))
        return True

    def _take(self, job: str, status: JobStatus, work: _Work) -> None:
        """Hand over what came of a document."""
        from holdfast.documents import document_error, results

        found = results(self._store, job)
        if not found or "error" in found[0]:
            told = found[0]["error"] if found else status.error
            self._fail(work, document_error(told or {}))
        else:
            self._keep(job, work, found[0])
        self._store.delete(job)

    def _fail(self, work: _Work, error: HoldfastError) -> None:
        self._code = self._code or error.exit_code
        self._failed.append(str(work.source))
        self._context.tell(render_error(error, as_json=self._context.json))

    def _keep(self, job: str, work: _Work, report: dict[str, Any]) -> None:
        for page, message in report["flaws"]:
            where = f"{work.source}, page {page}" if page else f"{work.source}"
            self._context.say(f"{where}: {message}")
        if work.targets is None:
            (only,) = self._options.outputs
            text = b"".join(self._store.blob(job, f"out/0/{only}")).decode()
            if self._context.json:
                self._context.result_json_line({"file": str(work.source), only: text})
            else:
                self._context.result(text.rstrip("\n"))
            return
        for form, target in work.targets.items():
            if target != self._explicit:
                # First: one that was cut off here is done again, and not taken for foreign.
                self._readings.note(target, work.source)
            with new_file(target) as file:
                for piece in self._store.blob(job, f"out/0/{form}"):
                    file.write(piece)
        named = {form: str(target) for form, target in work.targets.items()}
        if self._context.json:
            self._context.result_json_line({"file": str(work.source), "output": named, **report})
        else:
            for target in work.targets.values():
                self._context.result_path(target)
        self._context.out.flush()
        pages = f", {report['pages']} pages" if report["pages"] else ""
        self._context.say(f"{work.source}: {report['seconds']:.1f} s{pages}")
