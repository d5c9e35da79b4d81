"""What a model needs of the machine, and what the machine has."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Machine", "Needs", "process_memory_mb", "this_machine"]

_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is. ``memory_mb`` is None where it cannot be found out."""

    memory_mb: int | None


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model needs, in MB of memory."""

    memory_mb: int = 0

    def on(self, machine: Machine) -> dict[str, Any]:
        """Return the needs, whether ``machine`` meets them, and why not."""
        short = machine.memory_mb is not None and machine.memory_mb < self.memory_mb
        why = f"needs {self.memory_mb} MB of memory, has {machine.memory_mb} MB" if short else ""
        return {"memory_mb": self.memory_mb, "met": not short, "why": why}


def this_machine() -> Machine:
    """Return what this machine has: all its memory, or what this container may use of it."""
    limits = [limit for limit in (_physical_mb(), _container_mb()) if limit is not None]
    return Machine(min(limits, default=None))


def process_memory_mb() -> float | None:
    """Return what this process holds in memory, in MB; None where that is not told."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / _MB
    except (OSError, ValueError, AttributeError):
        return None


def _physical_mb() -> int | None:
    if sys.platform == "win32":
        return None
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MB
    except (OSError, ValueError):
        return None


def _container_mb() -> int | None:
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) // _MB if text.isdigit() else None
