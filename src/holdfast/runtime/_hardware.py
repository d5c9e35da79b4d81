"""What a model needs of the machine, what the machine has, and which device follows from it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import ConfigInvalid
from holdfast.runtime._errors import HardwareMissing

__all__ = ["Gpu", "Machine", "Needs", "check_device", "choose_device", "process_memory_mb",
           "this_machine"]  # fmt: skip

_MB = 1_000_000
_ASK_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU that CUDA programs can use."""

    name: str
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is. ``memory_mb`` is None where it cannot be found out, ``gpus`` until it is."""

    memory_mb: int | None
    gpus: tuple[Gpu, ...] | None = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        gpus = [{"name": gpu.name, "memory_mb": gpu.memory_mb} for gpu in self.gpus or ()]
        return {"memory_mb": self.memory_mb, "gpus": gpus}


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model needs: MB of memory, and MB of memory on a GPU where it must have one."""

    memory_mb: int = 0
    gpu_memory_mb: int = 0

    def lacking(self, machine: Machine) -> str:
        """Return what ``machine`` lacks, or ""."""
        lacking = []
        if machine.memory_mb is not None and machine.memory_mb < self.memory_mb:
            lacking.append(f"needs {self.memory_mb} MB of memory, has {machine.memory_mb} MB")
        if self.gpu_memory_mb and machine.gpus is not None:
            largest = max((gpu.memory_mb for gpu in machine.gpus), default=0)
            has = f"the largest here has {largest} MB" if largest else "there is none here"
            if largest < self.gpu_memory_mb:
                lacking.append(f"needs a GPU with {self.gpu_memory_mb} MB, {has}")
        return "; ".join(lacking)

    def on(self, machine: Machine) -> dict[str, Any]:
        """Return the needs, whether ``machine`` meets them, and why not."""
        why = self.lacking(machine)
        return {
            "memory_mb": self.memory_mb,
            "gpu_memory_mb": self.gpu_memory_mb,
            "met": not why,
            "why": why,
        }


def check_device(device: str) -> str:
    """Return ``device`` if it is ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        ConfigInvalid: it is none of these.
    """
    kind, colon, number = device.partition(":")
    if device in {"auto", "cpu", "cuda"} or (kind == "cuda" and colon and number.isdecimal()):
        return device
    raise ConfigInvalid(
        f"there is no device {device!r}",
        why="it must be auto, cpu, cuda, or cuda:0, cuda:1 ...",
        hint='device = "auto"',
    )


def choose_device(wanted: str, supported: tuple[str, ...], machine: Machine) -> str:
    """Return ``cpu`` or ``cuda:N``: what was asked for, or the best that both sides can.

    Args:
        wanted: as `check_device` takes it.
        supported: of ``cpu`` and ``cuda``, what the engine runs on.
        machine: what there is.

    Raises:
        HardwareMissing: a GPU was asked for, or is needed, and cannot be had.
    """
    kind, _, number = check_device(wanted).partition(":")
    if kind == "auto":
        if "cuda" in supported and machine.gpus:
            return "cuda:0"
        kind = "cpu" if "cpu" in supported else "cuda"
    if kind not in supported:
        raise HardwareMissing(
            f"this model does not run on {kind}",
            why=f"it runs on {' or '.join(supported)}", hint='device = "auto"',
        )  # fmt: skip
    if kind == "cpu":
        return "cpu"
    index = int(number or 0)
    count = len(machine.gpus or ())
    if index >= count:
        has = f"it has {count}" if count else "it has none"
        raise HardwareMissing(
            f"there is no GPU cuda:{index} on this machine", why=has,
            hint="nvidia-smi shows those there are; or device = \"cpu\", where the model can",
        )  # fmt: skip
    return f"cuda:{index}"


def this_machine() -> Machine:
    """Return what this machine has: all its memory, or what this container may use of it."""
    limits = [limit for limit in (_physical_mb(), _container_mb()) if limit is not None]
    return Machine(min(limits, default=None), _gpus())


def process_memory_mb(pid: int | None = None) -> float | None:
    """Return what a process, or this one, holds in memory, in MB; None where that is not told."""
    try:
        pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / _MB
    except (OSError, ValueError, AttributeError):
        return None


def _gpus() -> tuple[Gpu, ...]:
    """Ask NVIDIA's own tool, which is there wherever its driver is: no heavy library is loaded."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    question = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(
            question,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ASK_WITHIN_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    found = []
    for line in done.stdout.splitlines():
        name, _, mebibytes = line.rpartition(",")
        with contextlib.suppress(ValueError):  # "[N/A]" where memory is shared with the processor
            found.append(Gpu(name.strip(), int(mebibytes) * 1_048_576 // _MB))
    return tuple(found)


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
