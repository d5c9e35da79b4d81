"""Embeddings beside SpeechBrain: one full-size ECAPA-TDNN, the same random weights on both sides.

    python -m benchmarks.voiceprint [--rounds N] [--sides graph,torch] [--json FILE]

Needs .venv-libraries (`bootstrap.py test` makes it). Each side is a process that stays; they take
turns, batch by batch. Exits with 1 when a target is missed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from tests.libraries import environment

from benchmarks.figures import Row, Section
from benchmarks.measure import clean_environment
from benchmarks.program import options, report

BATCHES = (1, 8, 32)
PEER = "speechbrain"
TARGET = 1.5
_LIBRARIES = ("numpy", "onnxruntime", "onnx")
# Threads of a library that has just answered may still wait busily for more to do.
_PAUSE_S = 0.3
_ROOT = Path(__file__).resolve().parents[1]


class Side:
    """A process that embeds on request."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name, self._process = name, process

    def ask(self, count: int) -> object:
        """Return the seconds that so many clips take; for 0, two embeddings."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self._process.wait()}")
        return json.loads(line)


def command(side: str, folder: Path) -> list[str]:
    """Return what starts a side: our graph in the Python that has no torch."""
    python = sys.executable if side == "graph" else str(environment.PYTHON)
    return [python, "-m", "benchmarks.speaker_side", side, str(folder)]


def surroundings() -> dict[str, str]:
    """Return the variables of every side."""
    path = f"{_ROOT}:{_ROOT / 'src'}:{environment.STUBS}"
    return clean_environment(PYTHONPATH=path, HF_HUB_OFFLINE="1")


@contextmanager
def started(side: str, folder: Path) -> Iterator[Side]:
    """Run a side for as long as it is wanted."""
    with subprocess.Popen(
        command(side, folder),
        env=surroundings(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Side(side, process)
        finally:
            process.kill()


def difference(ours: Side, peer: Side) -> float:
    """Return by how much the cosine of the same clip's embeddings is not 1, at most."""
    one, other = (np.array(side.ask(0), float) for side in (ours, peer))
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float((1 - (one * other).sum(axis=1) / lengths).max())


def measure(names: list[str], rounds: int, folder: Path) -> list[Section]:
    """Return a section for each side beside SpeechBrain; times are of one embedding."""
    subprocess.run(
        [str(environment.PYTHON), "-m", "benchmarks.speaker_side", "make", str(folder)],
        env=surroundings(),
        check=True,
    )
    with ExitStack() as stack:
        sides = [stack.enter_context(started(name, folder)) for name in (PEER, *names)]
        apart = {side.name: difference(side, sides[0]) for side in sides[1:]}
        times: dict[tuple[str, int], list[float]] = {}
        for number in range(-1, rounds):
            for batch in BATCHES:
                for side in sides:
                    time.sleep(_PAUSE_S)
                    seconds = float(str(side.ask(batch)))
                    if number >= 0:
                        times.setdefault((side.name, batch), []).append(1000 * seconds / batch)
    sections = []
    for name in names:
        rows = [
            Row(f"an embedding, batch {batch}", "ms", times[name, batch], times[PEER, batch],
                target=TARGET)
            for batch in BATCHES
        ]  # fmt: skip
        rows.append(
            Row("largest cosine difference", "", [apart[name]], [], target=1e-5, compare="ours")
        )
        what = "clips of 3 s, ECAPA-TDNN with 1024 channels, SpeechBrain's EncoderClassifier beside"
        sections.append(Section(f"voiceprint-{name}", what, rows, peer=PEER))
    return sections


def main() -> int:
    """Measure and print."""
    parser = options("voiceprint", __doc__, rounds=7)
    parser.add_argument("--sides", default="graph", help="graph, torch; with commas between")
    chosen = parser.parse_args()
    if reason := environment.missing():
        parser.error(reason)
    sides = chosen.sides.split(",")
    return report(lambda folder: measure(sides, chosen.rounds, folder), chosen.json, _LIBRARIES)


if __name__ == "__main__":
    sys.exit(main())
