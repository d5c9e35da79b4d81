"""Documents through the queue beside docling called directly, on the same corpus; and memory.

    python -m benchmarks.documents [--rounds N] [--documents N] [--json FILE]

The peer is a program that calls docling, with its own stages and the layout by geometry, for which
docling has nothing without a model. Beside it stands the engine of our processes without queue,
processes and HTTP, so that what these cost is not hidden by what the engine saves. Exits with 1
when a target is missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.support.documents import MADE, scan_of
from tests.support.serving import served

from benchmarks.figures import Row, Section
from benchmarks.program import options, report
from holdfast.client import Client
from holdfast.documents import (
    ConvertOptions,
    DocumentWorkers,
    Source,
    WorkersAsked,
    document_job,
)
from holdfast.jobs import JobState, Limits, SqliteJobs

ONE, TWO = 0.95, 1.6
MANY = 300
# A program of whoever has no Holdfast. Only the layout is ours: docling's own needs a model.
_DOCLING = """
from docling.datamodel.base_models import DocumentStream, InputFormat
from docling.datamodel.pipeline_options import RapidOcrOptions, ThreadedPdfPipelineOptions
from docling.document_converter import DocumentConverter, ImageFormatOption, PdfFormatOption
from docling.models.stages.page_preprocessing.page_preprocessing_model import PagePreprocessingModel
from docling.pipeline.standard_pdf_pipeline import StandardPdfPipeline
from holdfast.documents.engines.docling_layout import GeometryLayoutOptions, GeometryPdfPipeline
class Pipeline(GeometryPdfPipeline):
    def _init_models(self):
        super()._init_models()
        self.preprocessing_model = PagePreprocessingModel(self.preprocessing_model.options)
    _make_ocr_model = StandardPdfPipeline._make_ocr_model
how = {"pipeline_cls": Pipeline, "pipeline_options": ThreadedPdfPipelineOptions(
    layout_options=GeometryLayoutOptions(), do_table_structure=False,
    ocr_options=RapidOcrOptions(backend="onnxruntime"))}
converter = DocumentConverter(format_options={
    InputFormat.PDF: PdfFormatOption(**how), InputFormat.IMAGE: ImageFormatOption(**how)})
def convert(path):
    stream = DocumentStream(name=path.name, stream=io.BytesIO(path.read_bytes()))
    converter.convert(stream).document.export_to_markdown()
"""
# The engine of our processes, without them.
_ENGINE = """
def convert(path):
    engine.convert(path.name, path.read_bytes(), ConvertOptions(), lambda _: None)
"""
_ALONE = """
import io, sys, time
from pathlib import Path
from holdfast.documents import ConvertOptions
from holdfast.documents.engines.docling import load_docling
engine = load_docling(Path())
{convert}
paths = [Path(line) for line in sys.stdin.readline().strip().split("|")]
for path in paths[:24]:
    convert(path)
print("ready", flush=True)
sys.stdin.readline()
started = time.perf_counter()
for path in paths:
    convert(path)
print(time.perf_counter() - started, flush=True)
"""


def corpus(folder: Path, count: int) -> list[Path]:
    """Write so many documents: papers, invoices, reports, office files, and a scan in thirty."""
    contents = 5 * [(name, make()) for name, make in MADE.items()]
    contents[7] = ("scan.png", scan_of(MADE["invoice.pdf"]()))
    paths = []
    for number in range(count):
        name, content = contents[number % len(contents)]
        paths.append(folder / f"{number}-{name}")
        paths[-1].write_bytes(content)
    return paths


def alone(convert: str, paths: Sequence[Path]) -> float:
    """Return the seconds that one process takes that converts without a queue."""
    with subprocess.Popen(
        [sys.executable, "-c", _ALONE.format(convert=convert)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("|".join(map(str, paths)) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdin.write("go\n")
        process.stdin.flush()
        return float(process.stdout.readline())


class Queue:
    """Our side: a database, and processes that are warm."""

    def __init__(self, folder: Path, processes: int, first: Path) -> None:
        database = folder / f"jobs{processes}.sqlite"
        self._workers = DocumentWorkers(WorkersAsked(database, processes, most_jobs=100_000))
        self._jobs = SqliteJobs(database)
        self._number = 0
        for _ in range(4 * processes):
            self.seconds([first])

    def seconds(self, paths: Sequence[Path]) -> float:
        """Return the seconds until all are converted and kept."""
        started = time.perf_counter()
        names = []
        for path in paths:
            self._number += 1
            names.append(f"j{self._number}")
            self._jobs.put_blob(names[-1], "in/0", [path.read_bytes()])
            job = document_job("benchmark", [Source(path.name)], ConvertOptions())
            self._jobs.submit(names[-1], job, Limits(10**6, 10**6))
        while not all(self._jobs.status(name).is_finished for name in names[-8:]):
            time.sleep(0.01)
        while any(not self._jobs.status(name).is_finished for name in names):
            time.sleep(0.01)
        took_s = time.perf_counter() - started
        assert all(self._jobs.status(name).state is JobState.SUCCESS for name in names)
        return took_s

    def memory_mb(self) -> float:
        """Return what its processes hold."""
        pages = sum(
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._workers.pids
        )
        return pages * 4096 / 1e6

    def close(self) -> None:
        """End the processes."""
        self._workers.close()
        self._jobs.close()


class OverHttp:
    """Our side as clients see it: a service, and some who ask it at a time, each for one document.

    Args:
        folder: where it keeps what it keeps.
        processes: that convert.
    """

    def __init__(self, folder: Path, processes: int) -> None:
        self._stack = ExitStack()
        place = folder / f"service{processes}"
        place.mkdir()
        self._service = self._stack.enter_context(
            served(
                place, HOLDFAST_DOCUMENTS_PROCESSES=str(processes),
                HOLDFAST_DOCUMENTS_RECYCLE_JOBS="100000", HOLDFAST_DOCUMENTS_CLIENT_JOBS="100000",
                HOLDFAST_SPEECH_TRANSCRIPTION_MODEL="none", HOLDFAST_SPEECH_SYNTHESIS_MODEL="none",
            )
        )  # fmt: skip
        self._client = self._stack.enter_context(Client(self._service.url))
        self._asking = self._stack.enter_context(ThreadPoolExecutor(4))

    def seconds(self, paths: Sequence[Path]) -> float:
        """Return the seconds until all are converted and their results have come."""
        started = time.perf_counter()
        found = list(self._asking.map(self._client.convert, paths))
        assert all(each.status == "success" for each in found)
        return time.perf_counter() - started

    def memory_mb(self) -> tuple[float, float]:
        """Return what the server holds, and what its processes do."""
        own, *others = (
            int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
            for pid in self._service.family()
        )
        return own, sum(others)

    def close(self) -> None:
        """End it."""
        self._stack.close()


def over_http(folder: Path, paths: Sequence[Path], without: Without) -> list[Row]:
    """Return what clients of a service see, and how it grows over 300 conversions."""
    rows = []
    for processes in (1, 2):
        service = OverHttp(folder, processes)
        try:
            service.seconds(paths)
            before = service.memory_mb()
            seconds: list[float] = []
            done = 0
            while done < MANY or len(seconds) < len(without.docling):
                seconds.append(service.seconds(paths))
                done += len(paths)
            grown = [now - then for now, then in zip(service.memory_mb(), before, strict=True)]
        finally:
            service.close()
        rows += without.rows(f"over HTTP, {processes} process(es)", processes, seconds)
        for who, more in zip(("server", "processes"), grown, strict=True):
            rows.append(
                Row(f"growth of the {who} a conversion, over {done}", "MB", [more / done], [],
                    compare="ours")
            )  # fmt: skip
    return rows


class Without:
    """What one process takes that has no queue: seconds of docling, and of our engine."""

    def __init__(self) -> None:
        self.docling: list[float] = []
        self.engine: list[float] = []

    def measure(self, paths: Sequence[Path]) -> None:
        """Measure both once more."""
        self.docling.append(alone(_DOCLING, paths))
        self.engine.append(alone(_ENGINE, paths))

    def rows(self, how: str, processes: int, seconds: Sequence[float]) -> list[Row]:
        """Return what compares our seconds with both."""
        target = ONE if processes == 1 else TWO
        ours = list(seconds)
        return [
            Row(f"{how}, beside docling", "s", ours, self.docling, target=target),
            Row(f"{how}, beside the engine alone", "s", ours, self.engine, quoted=False),
        ]


def measure(rounds: int, count: int, folder: Path) -> list[Section]:
    """Return the figures."""
    paths = corpus(folder, count)
    without = Without()
    queued: dict[int, list[float]] = {1: [], 2: []}
    grown = []
    sides = {number: Queue(folder, number, paths[0]) for number in queued}
    try:
        for side in sides.values():
            side.seconds(paths)
        for _ in range(rounds):
            without.measure(paths)
            for number, side in sides.items():
                queued[number].append(side.seconds(paths))
            grown.append(sides[1].memory_mb())
    finally:
        for side in sides.values():
            side.close()
    rows = [row for number in queued for row in without.rows(
        f"the queue, {number} process(es)", number, queued[number])]  # fmt: skip
    rows.append(
        Row(f"memory after {count * (rounds - 1)} more, of one process", "MB",
            [grown[-1] - grown[0]], [], compare="ours")
    )  # fmt: skip
    rows += over_http(folder, paths, without)
    return [Section("documents", f"{count} documents, in one process without a queue and in ours",
                    rows, peer="without")]  # fmt: skip


def main() -> int:
    """Measure and print."""
    parser = options("documents", __doc__, rounds=3)
    parser.add_argument("--documents", type=int, default=120)
    chosen: argparse.Namespace = parser.parse_args()
    return report(lambda folder: measure(chosen.rounds, chosen.documents, folder), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
