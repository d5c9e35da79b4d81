"""Speaking beside Transformers: one VITS of full size, the same random weights on both sides.

    python -m benchmarks.speaking [--rounds N] [--json FILE]

Needs .venv-libraries (`bootstrap.py test` makes it). Each side is a process that stays; they take
turns, text by text. Exits with 1 when a target is missed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.libraries import environment

from benchmarks.figures import Row, Section
from benchmarks.program import options, report
from benchmarks.voiceprint import surroundings

PEER, OURS = "transformers", "holdfast"
AS_FAST, FIRST_SHARE = 0.95, 0.35
_PAUSE_S = 0.3


def command(side: str, folder: Path) -> list[str]:
    """Return what starts a side: the libraries' Python, and behind it what only Holdfast needs."""
    import unicode_rbnf

    more = str(Path(unicode_rbnf.__file__).parents[1])
    code = (
        f"import sys; sys.path.append({more!r}); from pathlib import Path; "
        f"from benchmarks.speaking_side import main; main({side!r}, Path({str(folder)!r}))"
    )
    return [str(environment.PYTHON), "-c", code]


@contextmanager
def started(side: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a side for as long as it is wanted."""
    with subprocess.Popen(
        command(side, folder),
        env=surroundings(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str]) -> tuple[float, float, float]:
    """Return seconds to the first sentence, seconds to the last, and seconds of sound."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"a side ended with {process.wait()}")
    first_s, all_s, sound_s = json.loads(line)
    return first_s, all_s, sound_s


def measure(rounds: int, folder: Path) -> Section:
    """Return the figures."""
    subprocess.run(command("make", folder), env=surroundings(), check=True)
    found: dict[str, list[tuple[float, float, float]]] = {PEER: [], OURS: []}
    with started(PEER, folder) as peer, started(OURS, folder) as ours:
        for number in range(-1, rounds):
            for name, side in ((PEER, peer), (OURS, ours)):
                time.sleep(_PAUSE_S)
                answer = ask(side)
                if number >= 0:
                    found[name].append(answer)
    whole = {name: [1000 * all_s for _, all_s, _ in rows] for name, rows in found.items()}
    rows = [
        Row("five sentences", "ms", whole[OURS], whole[PEER], target=AS_FAST),
        Row("time to the first sentence, of the whole", "",
            [first_s / all_s for first_s, all_s, _ in found[OURS]], [], target=FIRST_SHARE,
            compare="ours"),
        Row("time for a second of sound", "s",
            [all_s / sound_s for _, all_s, sound_s in found[OURS]],
            [all_s / sound_s for _, all_s, sound_s in found[PEER]], quoted=False),
    ]  # fmt: skip
    what = "VITS of the size of facebook/mms-tts-eng, random weights, VitsModel beside"
    return Section("speaking", what, rows, peer=PEER)


def main() -> int:
    """Measure and print."""
    parser = options("speaking", __doc__, rounds=7)
    chosen = parser.parse_args()
    if reason := environment.missing():
        parser.error(reason)
    return report(lambda folder: [measure(chosen.rounds, folder)], chosen.json)


if __name__ == "__main__":
    sys.exit(main())
