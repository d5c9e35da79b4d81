"""Documents through the queue beside docling called directly, on the same corpus; and memory.

    python -m benchmarks.documents [--rounds N] [--documents N] [--json FILE]

Both sides use the same engine, docling with the layout by geometry: what is measured is what the
queue, the processes, the database and HTTP cost, what a second process gains, and whether a service
grows with the documents that it has converted. Exits with 1 when a target is missed.
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
_DIRECT = """
import sys, time
from pathlib import Path
from holdfast.documents import ConvertOptions
from holdfast.documents.engines.docling import load_docling
engine = load_docling(Path())
paths = [Path(line) for line in sys.stdin.readline().strip().split("|")]
engine.convert(paths[0].name, paths[0].read_bytes(), ConvertOptions(), lambda _: None)
print("ready", flush=True)
sys.stdin.readline()
started = time.perf_counter()
for path in paths:
    engine.convert(path.name, path.read_bytes(), ConvertOptions(), lambda _: None)
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


def direct(paths: Sequence[Path]) -> float:
    """Return the seconds that one process takes that calls the engine."""
    with subprocess.Popen(
        [sys.executable, "-c", _DIRECT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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
        self._asking = self._stack.enter_context(ThreadPoolExecutor(2 * processes))

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


def over_http(folder: Path, paths: Sequence[Path], alone: list[float]) -> list[Row]:
    """Return what clients of a service see, and how it grows over 300 conversions."""
    rows = []
    for processes, target in ((1, ONE), (2, TWO)):
        service = OverHttp(folder, processes)
        try:
            service.seconds(paths)
            before = service.memory_mb()
            seconds, done = [], 0
            while done < MANY or len(seconds) < len(alone):
                seconds.append(service.seconds(paths))
                done += len(paths)
            grown = [now - then for now, then in zip(service.memory_mb(), before, strict=True)]
        finally:
            service.close()
        name = f"{len(paths)} documents over HTTP, {processes} process(es)"
        rows.append(Row(name, "s", seconds, alone, target=target))
        for who, more in zip(("server", "processes"), grown, strict=True):
            rows.append(
                Row(f"growth of the {who} a conversion, over {done}", "MB", [more / done], [],
                    compare="ours")
            )  # fmt: skip
    return rows


def measure(rounds: int, count: int, folder: Path) -> list[Section]:
    """Return the figures."""
    paths = corpus(folder, count)
    alone: list[float] = []
    queued: dict[int, list[float]] = {1: [], 2: []}
    grown = []
    sides = {number: Queue(folder, number, paths[0]) for number in queued}
    try:
        for turn in range(-1, rounds):
            seconds = direct(paths)
            alone += [seconds] if turn >= 0 else []
            for number, side in sides.items():
                seconds = side.seconds(paths)
                queued[number] += [seconds] if turn >= 0 else []
            grown.append(sides[1].memory_mb())
    finally:
        for side in sides.values():
            side.close()
    many = f"{count} documents"
    rows = [
        Row(f"{many}, one process", "s", queued[1], alone, target=ONE),
        Row(f"{many}, two processes", "s", queued[2], alone, target=TWO),
        Row(f"memory after {count} more, of one process", "MB",
            [grown[-1] - grown[0]], [], compare="ours"),
    ]  # fmt: skip
    rows += over_http(folder, paths, alone)
    return [Section("documents", "through the queue; docling called directly", rows, peer="direct")]


def main() -> int:
    """Measure and print."""
    parser = options("documents", __doc__, rounds=3)
    parser.add_argument("--documents", type=int, default=120)
    chosen: argparse.Namespace = parser.parse_args()
    return report(lambda folder: measure(chosen.rounds, chosen.documents, folder), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
