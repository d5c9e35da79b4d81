"""One side of `benchmarks.voiceprint_search`: holds all vectors, and answers probe by probe.

    python -m benchmarks.search_side SIDE VECTORS COUNT PROBES

Reads a probe's number, or "memory", from each line of standard input; answers in JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

DIMENSION = 192
MOST = 5
_CHUNK = 50_000
Ask = Callable[[np.ndarray], tuple[list[int], list[float]]]


def chunks(path: str, count: int) -> Iterator[np.ndarray]:
    """Yield the vectors; a mapped file would be counted as this process's memory."""
    with Path(path).open("rb") as file:
        for start in range(0, count, _CHUNK):
            rows = min(_CHUNK, count - start)
            yield np.fromfile(file, np.float32, rows * DIMENSION).reshape(rows, DIMENSION)


def holdfast(path: str, count: int) -> tuple[Ask, int]:
    from holdfast.voiceprint.gallery import VoiceIndex
    from holdfast.voiceprint.gallery._index import _processors

    index = VoiceIndex(DIMENSION)
    for rows in chunks(path, count):
        index.put_all([f"speaker-{len(index) + at:07}" for at in range(len(rows))], rows)

    def ask(probe: np.ndarray) -> tuple[list[int], list[float]]:
        found = index.search(probe, MOST, -1.0)
        return [int(each.speaker[8:]) for each in found], [each.score for each in found]

    return ask, _processors()


def faiss(path: str, count: int) -> tuple[Ask, int]:
    import faiss as library

    index = library.IndexFlatIP(DIMENSION)
    for rows in chunks(path, count):
        index.add(rows)

    def ask(probe: np.ndarray) -> tuple[list[int], list[float]]:
        scores, places = index.search(probe[np.newaxis], MOST)
        return places[0].tolist(), scores[0].tolist()

    return ask, library.omp_get_max_threads()


def usearch(path: str, count: int) -> tuple[Ask, int]:
    from usearch.index import MetricKind, search

    held = np.empty((count, DIMENSION), np.float32)
    done = 0
    for rows in chunks(path, count):
        held[done : done + len(rows)] = rows
        done += len(rows)

    def ask(probe: np.ndarray) -> tuple[list[int], list[float]]:
        found = search(held, probe, MOST, MetricKind.IP, exact=True)
        return found.keys.tolist(), (1 - found.distances).tolist()

    return ask, 0


def memory_mb() -> dict[str, float]:
    """Return what this process holds, and held at most, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {
        name: int(fields[field].split()[0]) * 1024 / 1e6
        for name, field in (("now", "VmRSS"), ("most", "VmHWM"))
    }


def main() -> None:
    side, path, count, of_probes = sys.argv[1:]
    probes = np.load(of_probes)
    ask, threads = {"holdfast": holdfast, "faiss": faiss, "usearch": usearch}[side](
        path, int(count)
    )
    print(json.dumps({"threads": threads}), flush=True)
    for line in sys.stdin:
        if line.strip() == "memory":
            print(json.dumps(memory_mb()), flush=True)
            continue
        probe = np.ascontiguousarray(probes[int(line)])
        begun = time.perf_counter()
        ids, scores = ask(probe)
        seconds = time.perf_counter() - begun
        print(json.dumps({"seconds": seconds, "ids": ids, "scores": scores}), flush=True)


if __name__ == "__main__":
    main()
