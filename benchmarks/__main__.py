"""Compare Holdfast with huggingface_hub, or the service with a bare one; print the ratios.

    python -m benchmarks [CASE ...] [--rounds N] [--json FILE] [--write-docs docs/benchmarks.md]
    python -m benchmarks service    [...]               [--write-docs docs/benchmarks-service.md]

Without a CASE: all that need a hub; `service`: all that need none.
Exits with 1 when a target is missed, with 2 when a measured command fails.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from benchmarks import cases
from benchmarks.cases import Bench
from benchmarks.corpus import Corpus, build
from benchmarks.figures import Section
from benchmarks.measure import MeasurementError, Others
from benchmarks.programs import programs
from benchmarks.report import INTRODUCTION, as_data, as_page, as_text, machine
from benchmarks.rig import Hub, nginx_hub
from benchmarks.run import Run
from benchmarks.service import cases as service
from benchmarks.sides import HoldfastSide, HubSide, holdfast_environment

HUB_CASES = {**cases.CASES, "programs": programs}
GROUP = "service"
R = TypeVar("R", bound=Run)
_LIBRARIES = ("huggingface_hub", "urllib3")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(_names()))
    parser.add_argument("--rounds", type=int, help="rounds of every case (usually 3 to 15)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="shrink files and times, for a look"
    )
    parser.add_argument("--work", type=Path, help="folder on the disk to measure (temporary)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--write-docs", type=Path, metavar="FILE", help="write the page there")
    parser.add_argument("--peer-only", action="store_true", help="measure huggingface_hub alone")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.cases) - set(_names()))
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(_names())}")
    wanted = chosen.cases or list(HUB_CASES)
    chosen.hub = [name for name in HUB_CASES if name in wanted]
    chosen.service = [name for name in service.CASES if {name, GROUP} & set(wanted)]
    return chosen


def _names() -> list[str]:
    return [*HUB_CASES, *service.CASES, GROUP]


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


def _measure_downloads(options: argparse.Namespace, run: Run) -> tuple[list[Section], str]:
    _say("making the repositories")
    corpus = build(run.folder / "blobs", options.scale)
    runs = not options.peer_only and _holdfast_runs()
    if not runs:
        _say("holdfast is not run: only the other side's figures are taken")
    with _hub(run.folder, corpus) as (hub, note):
        bench = Bench(
            **vars(run),
            corpus=corpus,
            hub=hub,
            ours=HoldfastSide(run.folder / "ours", hub) if runs else None,
            peer=HubSide(run.folder / "peer", hub),
        )
        return _told(HUB_CASES, options.hub, bench), note


def _told(cases: Mapping[str, Callable[[R], list[Section]]], names: list[str], run: R
          ) -> list[Section]:  # fmt: skip
    """Run cases, and print each section as it comes."""
    sections: list[Section] = []
    for name in names:
        _say(name)
        for section in cases[name](run):
            sections.append(section)
            print(as_text(section), flush=True)
    return sections


def _measure(options: argparse.Namespace, folder: Path) -> tuple[list[Section], str]:
    run = Run(folder, options.rounds, options.scale, _say)
    sections = _told(service.CASES, options.service, run)
    if not options.hub:
        return sections, ""
    others, note = _measure_downloads(options, run)
    return [*sections, *others], note


def _keep(options: argparse.Namespace, sections: list[Section], where: dict[str, str]) -> None:
    """Write the files that were asked for."""
    if options.json is not None:
        options.json.write_text(json.dumps(as_data(sections, where), indent=1) + "\n")
    if options.write_docs is not None:
        options.write_docs.parent.mkdir(parents=True, exist_ok=True)
        introduction = INTRODUCTION if options.hub else service.INTRODUCTION
        options.write_docs.write_text(as_page(sections, where, introduction))


def main() -> int:
    """Run the chosen cases and report."""
    options = _arguments()
    try:
        with tempfile.TemporaryDirectory(prefix="benchmarks-", dir=options.work) as name:
            where = machine(Path(name), _LIBRARIES if options.hub else service.LIBRARIES)
            others = Others()
            sections, note = _measure(options, Path(name))
            where["meanwhile"] = f"other programs took {100 * others.share():.0f} % of the cores"
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
