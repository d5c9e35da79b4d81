"""Figures as a table for people, as JSON for programs, and as the page kept in the docs."""

from __future__ import annotations

import math
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.figures import Row, Section

__all__ = ["INTRODUCTION", "as_data", "as_page", "as_text", "machine"]

_HEADINGS = ("", "ours", "peer", "ratio", "target")
_MOST_DIGITS = 6


def machine(folder: Path, libraries: Sequence[str]) -> dict[str, str]:
    """Describe where the figures were taken, without naming the machine."""
    versions = {name: _version(name) for name in libraries}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "file system": _file_system(folder),
        "python": platform.python_version(),
        **versions,
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _file_system(folder: Path) -> str:
    words = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(folder)]
    if shutil.which(words[0]) is None:
        return "unknown"
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _number(figures: list[float], unit: str) -> str:
    if not figures:
        return "-"
    value = median(figures)
    if unit == "" and value == int(value):
        return str(int(value))
    # Three figures say as much as the measurement does.
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    if digits > _MOST_DIGITS:
        return f"{value:.1e} {unit}".strip()
    return f"{value:.{digits}f} {unit}".strip()


def _plain(value: float) -> str:
    return f"{value:.0f}" if value >= 1 else f"{value:g}"


def _ratio(row: Row) -> str:
    """Say how the two compare; the ratio of times is marked where it is the one to quote."""
    if not row.ours or not row.peer:
        return "-"
    ours, peer = median(row.ours), median(row.peer)
    if row.compare == "share":
        return f"{ours / peer:.2f} of it" if peer else "-"
    if not ours:
        return "none" if peer else "same"
    mark = "**" if row.quoted else ""
    return f"{mark}{ours / peer if row.compare == 'gain' else peer / ours:.2f}x{mark}"


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    wanted = {
        "ratio": f"at least {row.target:g}x",
        "gain": f"at least {row.target:g}x",
        "share": f"at most {row.target:g} of it",
        "ours": f"at most {_plain(row.target)} {row.unit}".rstrip(),
    }[row.compare]
    verdict = {True: "reached", False: "MISSED", None: "not run"}[row.reached]
    return f"{wanted}: {verdict}"


def _cells(section: Section) -> list[tuple[str, ...]]:
    lines: list[tuple[str, ...]] = [("", section.ours, section.peer, "ratio", "target")]
    for row in section.rows:
        numbers = (_number(row.ours, row.unit), _number(row.peer, row.unit))
        lines.append((row.label, *numbers, _ratio(row), _target(row)))
    return lines


def as_text(section: Section) -> str:
    """Return one case as a table for a terminal."""
    lines = [tuple(cell.replace("**", "") for cell in line) for line in _cells(section)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    body = [
        "  ".join(
            cell.ljust(width) if column in (0, 4) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([f"{section.name}: {section.what}", *(f"  {line}" for line in body), ""])


def as_data(sections: list[Section], where: dict[str, str]) -> dict[str, Any]:
    """Return everything, every single figure included, as JSON-ready data."""
    return {"machine": where, "cases": [section.to_dict() for section in sections]}


INTRODUCTION = """\
# Benchmarks

Made by `python -m benchmarks --write-docs docs/benchmarks.md`. Both sides take turns on the same
hub (nginx, several times faster than either of them), each as a process of its own with an empty
home of its own, the disk quiet before. What Holdfast has done by the end is verified and on the
disk; `huggingface_hub` checks sizes only and leaves the bytes to the system's cache: "until all is
on the disk" adds the time that the system then needs. Figures are medians. The ratio in bold is
the one to quote: of the whole process, or of the time inside it where starting Python is more than
half of the whole. What the service costs and how soon it answers has
[a page of its own](benchmarks-service.md).
"""


def as_page(sections: list[Section], where: dict[str, str], introduction: str) -> str:
    """Return the page that is kept in the documentation."""
    parts = [introduction]
    parts.append("Measured on: " + "; ".join(f"{name} {value}" for name, value in where.items()))
    for section in sections:
        table = [f"\n## {section.name}\n\n{section.what[0].upper()}{section.what[1:]}.\n"]
        for number, line in enumerate(_cells(section)):
            table.append(f"| {' | '.join(line)} |")
            if number == 0:
                table.append("|---|--:|--:|--:|---|")
        parts.append("\n".join(table))
    return "\n".join(parts) + "\n"
