"""Who of a million speakers is this? Our search beside FAISS and usearch, exact on all sides.

    python -m benchmarks.voiceprint_search [--count N] [--rounds N] [--json FILE] [--peers PYTHON]

Random vectors of 192 numbers, the same for all. Each side is a process that stays; they take turns,
probe by probe, with the threads that each uses by itself. Then a gallery of as many speakers: what
its first question costs, and one more enrolment. Exits with 1 when a target is missed.

Peers come from .venv-libraries (`bootstrap.py test` makes it), or the Python that is named.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from tests.libraries import environment

from benchmarks.figures import Row, Section
from benchmarks.gallery_corpus import KEY, MODEL, fill_gallery, unit_rows_of
from benchmarks.measure import clean_environment
from benchmarks.program import options, report
from benchmarks.search_side import MOST, chunks, memory_mb
from holdfast.voiceprint.gallery import Gallery, Profile, SqliteStore, Utterance, Vault

OURS, PEERS = "holdfast", ("faiss", "usearch")
_PROBES = 40
# Threads of a library that has just answered may still wait busily for more to do.
_PAUSE_S = 0.2
_ROOT = Path(__file__).resolve().parents[1]


class Side:
    """A process that holds all vectors."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name, self._process = name, process
        self.threads = int(self._answer()["threads"])

    def ask(self, question: str) -> dict[str, Any]:
        """Return what it says to a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{question}\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a side ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def started(name: str, python: str, *arguments: str) -> Iterator[Side]:
    """Run a side for as long as it is wanted."""
    path = f"{_ROOT}:{_ROOT / 'src'}" if name == OURS else str(_ROOT)
    with subprocess.Popen(
        [python, "-m", "benchmarks.search_side", name, *arguments],
        env=clean_environment(PYTHONPATH=path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Side(name, process)
        finally:
            process.kill()


def reference(path: Path, count: int, probes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best places and their scores for every probe, in double precision."""
    scores = np.concatenate(
        [rows.astype(np.float64) @ probes.T.astype(np.float64) for rows in chunks(str(path), count)]
    )
    places = np.argsort(-scores, axis=0, kind="stable")[:MOST].T
    return places, np.take_along_axis(scores.T, places, axis=1)


def wrong(answers: dict[int, dict[str, Any]], right: tuple[np.ndarray, np.ndarray]) -> list[float]:
    """Return how many probes had other speakers than the reference, and the largest difference."""
    others, largest = 0, 0.0
    for number, answer in answers.items():
        others += answer["ids"] != right[0][number].tolist()
        largest = max(largest, float(np.abs(right[1][number] - answer["scores"]).max()))
    return [float(others), largest]


def compared(count: int, rounds: int, peers: str, folder: Path) -> list[Section]:
    """Return a section for each peer."""
    vectors, probes = folder / "vectors", folder / "probes.npy"
    random = np.random.default_rng(1)
    first = next(unit_rows_of(count))
    # Half of them are somebody's voice on another day, half are nobody's.
    asked = random.standard_normal((_PROBES, first.shape[1]), dtype=np.float32)
    asked[::2] = first[: _PROBES // 2] + 0.05 * asked[::2]
    np.save(probes, asked / np.linalg.norm(asked, axis=1, keepdims=True))
    with vectors.open("wb") as file:
        for rows in unit_rows_of(count):
            rows.tofile(file)
    right = reference(vectors, count, np.load(probes))
    with ExitStack() as stack:
        sides = [
            stack.enter_context(
                started(name, sys.executable if name == OURS else peers,
                        str(vectors), str(count), str(probes))
            )
            for name in (OURS, *PEERS)
        ]  # fmt: skip
        times: dict[str, list[float]] = {side.name: [] for side in sides}
        answers: dict[str, dict[int, dict[str, Any]]] = {side.name: {} for side in sides}
        for number in range(-2, rounds):
            for turn in range(len(sides)):
                side = sides[(number + turn) % len(sides)]
                time.sleep(_PAUSE_S)
                answer = side.ask(str(number % _PROBES))
                if number >= 0:
                    times[side.name].append(1000 * answer["seconds"])
                answers[side.name][number % _PROBES] = answer
        held = {side.name: side.ask("memory") for side in sides}
    others = {name: wrong(found, right) for name, found in answers.items()}
    threads = {side.name: side.threads or "all" for side in sides}
    sections = []
    for peer in PEERS:
        what = (
            f"one probe among {count:,} speakers, the {MOST} best, exact; "
            f"threads: {threads[OURS]} and {threads[peer]}"
        )
        rows_of = [
            Row("a search, p50", "ms", times[OURS], times[peer], target=0.9),
            Row("memory of the process", "MB", [held[OURS]["now"]], [held[peer]["now"]],
                target=1.1, compare="share"),
            Row("memory at most", "MB", [held[OURS]["most"]], [held[peer]["most"]],
                target=1.1, compare="share"),
            Row("probes with other speakers than in double precision", "",
                [others[OURS][0]], [others[peer][0]], target=0, compare="ours"),
            Row("largest difference of a score", "", [others[OURS][1]], [others[peer][1]],
                target=1e-5, compare="ours"),
        ]  # fmt: skip
        sections.append(Section(f"voiceprint-search-{peer}", what, rows_of, peer=peer))
    return sections


def opened(folder: Path) -> Gallery:
    """Return the gallery in a folder."""
    vault = Vault(KEY)
    return Gallery(SqliteStore(folder, vault.chain), vault)


def of_gallery(count: int, rounds: int, folder: Path) -> Section:
    """Return what a gallery of so many speakers costs; SQLite, one utterance each."""
    opened(folder).close()
    fill_gallery(folder, unit_rows_of(count))
    probes = next(unit_rows_of(rounds, seed=2))
    before = memory_mb()["now"]
    gallery = opened(folder)
    begun = time.perf_counter()
    gallery.search(MODEL, probes[0], MOST, 0.5)
    first_s = time.perf_counter() - begun
    held = memory_mb()["now"] - before
    times: dict[str, list[float]] = {}

    def timed(what: str, work: Any) -> None:
        start = time.perf_counter()
        work()
        times.setdefault(what, []).append(1000 * (time.perf_counter() - start))

    for number, probe in enumerate(probes):
        said = Utterance(vector=probe, model=MODEL, speech_s=5.0)
        name = f"new-{number}"
        timed("search", lambda probe=probe: gallery.search(MODEL, probe, MOST, 0.5))
        gallery.put(Profile(id=name))
        timed("enrol", lambda name=name, said=said: gallery.enrol(name, [said]))
        timed("after", lambda probe=probe: gallery.search(MODEL, probe, MOST, 0.5))
        assert gallery.search(MODEL, probe, 1, 0.99)[0].speaker == name
    gallery.close()
    rows_of = [
        Row("until the first answer", "s", [first_s], []),
        Row("memory for it", "MB", [held], []),
        Row("a search", "ms", times["search"], []),
        Row("one more enrolment", "ms", times["enrol"], []),
        Row("the search after it", "ms", times["after"], []),
    ]
    what = f"{count:,} speakers in SQLite, one utterance each, opened anew"
    return Section("voiceprint-gallery", what, rows_of, peer="-")


def main() -> int:
    """Measure and print."""
    parser = options("voiceprint_search", __doc__, rounds=51)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--peers", metavar="PYTHON", help="has faiss and usearch")
    chosen = parser.parse_args()
    if chosen.peers is None and (reason := environment.missing()):
        parser.error(reason)
    peers = chosen.peers or str(environment.PYTHON)

    def measure(folder: Path) -> list[Section]:
        return [
            *compared(chosen.count, chosen.rounds, peers, folder),
            of_gallery(chosen.count, chosen.rounds, folder / "gallery"),
        ]

    return report(measure, chosen.json, ["numpy"])


if __name__ == "__main__":
    sys.exit(main())
