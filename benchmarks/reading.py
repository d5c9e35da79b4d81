"""Reading speech beside faster-whisper and Transformers: whisper-tiny's size, the same weights.

    python -m benchmarks.reading [--rounds N] [--json FILE]

Needs .venv-libraries (`bootstrap.py test` makes it) and flite. Each side is a process that stays;
they take turns. Exits with 1 when a target is missed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from tests.libraries import environment
from tests.support.voices import SENTENCES, speak, write_wav

from benchmarks.figures import Row, Section
from benchmarks.program import options, report
from benchmarks.voiceprint import surroundings
from holdfast.media import read_audio

OURS, DIRECT, OTHER = "holdfast", "faster-whisper", "transformers"
AS_FAST, FASTER = 0.95, 1.0
STREAMS = 8
# Which both cut into one and into three: random weights write as much of a short piece as of a long
# one.
SHORT_S, LONG_S = 24, 80
# Streams at once, and how long a recording each reads.
ASKED = ((1, SHORT_S), (1, LONG_S), (STREAMS, LONG_S))
_PAUSE_S = 0.3


def command(side: str, folder: Path) -> list[str]:
    """Return what starts a side: this Python, or the libraries' with what only this one has."""
    if side in (OURS, DIRECT):
        return [sys.executable, "-m", "benchmarks.reading_side", side, str(folder)]
    import ctranslate2

    more = str(Path(ctranslate2.__file__).parents[1])
    code = (
        f"import sys; sys.path.append({more!r}); from pathlib import Path; "
        f"from benchmarks.reading_side import main; main({side!r}, Path({str(folder)!r}))"
    )
    return [str(environment.PYTHON), "-c", code]


@contextmanager
def started(side: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a side for as long as it is wanted."""
    with subprocess.Popen(
        command(side, folder), env=surroundings(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], streams: int, seconds: int) -> tuple[float, int]:
    """Return the seconds that reading took, and the letters that were read of one recording."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{streams} {seconds}\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a side ended with {process.wait()}")
    took_s, letters = json.loads(line)
    return took_s, letters


def record(folder: Path) -> None:
    """Write recordings of speech without long pauses."""
    parts = [read_audio(speak(folder, "flite:rms", text)) for text in SENTENCES * 3]
    for seconds in (SHORT_S, LONG_S):
        write_wav(folder / f"{seconds}.wav", np.concatenate(parts)[: seconds * 16_000])


def measure(rounds: int, folder: Path) -> list[Section]:
    """Return the figures."""
    subprocess.run(command("make", folder), env=surroundings(), check=True)
    record(folder)
    found: dict[tuple[str, int, int], list[float]] = {}
    letters: dict[str, int] = {}
    with ExitStack() as stack:
        sides = {name: stack.enter_context(started(name, folder)) for name in (OURS, DIRECT, OTHER)}
        for number in range(-1, rounds):
            for streams, seconds in ASKED:
                for name, side in sides.items():
                    if name == OTHER and streams > 1:
                        continue  # as many times as long
                    time.sleep(_PAUSE_S)
                    took_s, letters[name] = ask(side, streams, seconds)
                    if number >= 0:
                        found.setdefault((name, streams, seconds), []).append(took_s)
    print(f"letters that were read of {ASKED[-1][1]} s:", letters)
    return [_beside(DIRECT, found, ASKED), _beside(OTHER, found, ASKED[:-1])]


def _beside(
    peer: str, found: dict[tuple[str, int, int], list[float]], asked: Sequence[tuple[int, int]]
) -> Section:
    rows = [
        Row(f"{number} x {seconds} s of speech at once", "s", found[OURS, number, seconds],
            found[peer, number, seconds], target=AS_FAST if number == 1 else FASTER)
        for number, seconds in asked
    ]  # fmt: skip
    what = "whisper-tiny's size, random weights that write 80 letters a clip, beam 5, 2 cores"
    return Section("reading", f"{what}; {peer} directly", rows, peer=peer)


def main() -> int:
    """Measure and print."""
    parser = options("reading", __doc__, rounds=5)
    chosen = parser.parse_args()
    if reason := environment.missing():
        parser.error(reason)
    return report(lambda folder: measure(chosen.rounds, folder), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
