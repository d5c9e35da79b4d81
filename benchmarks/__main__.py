"""Compare Holdfast with huggingface_hub and print the ratios.

    python -m benchmarks [CASE ...] [--rounds N] [--json FILE] [--write-docs docs/benchmarks.md]

Exits with 1 when a target is missed, with 2 when a measured command fails.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import cases
from benchmarks.cases import Bench
from benchmarks.corpus import Corpus, build
from benchmarks.figures import Section
from benchmarks.measure import MeasurementError
from benchmarks.programs import programs
from benchmarks.report import as_data, as_page, as_text, machine
from benchmarks.rig import Hub, nginx_hub
from benchmarks.sides import HoldfastSide, HubSide, holdfast_environment

CASES = {**cases.CASES, "programs": programs}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, help="rounds of every case (usually 3 to 15)")
    parser.add_argument("--scale", type=float, default=1.0, help="shrink the files, for a look")
    parser.add_argument("--work", type=Path, help="folder on the disk to measure (temporary)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--write-docs", type=Path, metavar="FILE", help="write the page there")
    parser.add_argument("--peer-only", action="store_true", help="measure huggingface_hub alone")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.cases) - set(CASES))
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    return chosen


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _holdfast_runs() -> bool:
    command = [sys.executable, "-m", "holdfast", "--help"]
    done = subprocess.run(command, env=holdfast_environment(), capture_output=True, check=False)
    return done.returncode == 0


@contextlib.contextmanager
def _hub(folder: Path, corpus: Corpus) -> Iterator[tuple[Hub, str]]:
    """Serve from nginx, or from the mirror with a word about it."""
    with nginx_hub(folder / "nginx", corpus.repositories) as hub:
        if hub is not None:
            yield hub, ""
            return
    # Imports a web framework: only where it is needed.
    from benchmarks.mirror_rig import mirror_hub

    note = "nginx is missing here: served by holdfast.mirror, which limits both sides."
    _say(note)
    with mirror_hub(folder / "mirror", corpus.repositories) as mirror:
        yield mirror, note


def _measure(options: argparse.Namespace, folder: Path) -> tuple[list[Section], str]:
    _say("making the repositories")
    corpus = build(folder / "blobs", options.scale)
    runs = not options.peer_only and _holdfast_runs()
    if not runs:
        _say("holdfast is not run: only the other side's figures are taken")
    sections: list[Section] = []
    with _hub(folder, corpus) as (hub, note):
        bench = Bench(
            corpus=corpus,
            hub=hub,
            ours=HoldfastSide(folder / "ours", hub) if runs else None,
            peer=HubSide(folder / "peer", hub),
            rounds=options.rounds,
            say=_say,
        )
        for name in options.cases or CASES:
            _say(name)
            for section in CASES[name](bench):
                sections.append(section)
                print(as_text(section), flush=True)
    return sections, note


def _keep(options: argparse.Namespace, sections: list[Section], where: dict[str, str]) -> None:
    """Write the files that were asked for."""
    if options.json is not None:
        options.json.write_text(json.dumps(as_data(sections, where), indent=1) + "\n")
    if options.write_docs is not None:
        options.write_docs.parent.mkdir(parents=True, exist_ok=True)
        options.write_docs.write_text(as_page(sections, where))


def main() -> int:
    """Run the chosen cases and report."""
    options = _arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=options.work) as name:
            where = machine(Path(name))
            sections, note = _measure(options, Path(name))
    except MeasurementError as error:
        _say(f"failed: {error}")
        return 2
    if note:
        where["hub"] = note
    _keep(options, sections, where)
    missed = [
        f"{section.name}, {row.label}: {row.value:.2f}"
        for section in sections
        for row in section.rows
        if row.reached is False
    ]
    for line in missed:
        _say(f"missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
