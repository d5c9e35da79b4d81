"""A benchmark's command: its options, the folder that it works in, and what it prints."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.figures import Section
from benchmarks.measure import Others
from benchmarks.report import as_data, as_text, machine

__all__ = ["options", "report"]


def options(module: str, about: str | None, rounds: int) -> argparse.ArgumentParser:
    """Return the parser of what every benchmark is asked.

    Args:
        module: its name below ``benchmarks``.
        about: its docstring.
        rounds: how many there are unless somebody says otherwise.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{module}", description=about)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    return parser


def report(
    measure: Callable[[Path], Sequence[Section]], file: Path | None, libraries: Sequence[str] = ()
) -> int:
    """Measure in a folder of its own, and print; return 1 when a target is missed.

    Args:
        measure: given the folder.
        file: where every figure goes, too.
        libraries: whose versions are told beside the machine.
    """
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        others = Others()
        sections = list(measure(Path(name)))
        where = machine(Path(name), libraries)
        where["meanwhile"] = f"other programs took {100 * others.share():.0f} % of the cores"
    print("\n\n".join(as_text(section) for section in sections))
    print("\n".join(f"{name}: {value}" for name, value in where.items()))
    if file is not None:
        file.write_text(json.dumps(as_data(sections, where), indent=1) + "\n")
    return int(any(row.reached is False for section in sections for row in section.rows))
