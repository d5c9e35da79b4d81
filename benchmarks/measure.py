"""Running one command as a process of its own and taking down what it cost."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Cost", "MeasurementError", "Others", "clean_environment", "disk_bytes", "run"]

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "SYSTEMROOT")


@dataclass(frozen=True)
class Cost:
    """What a process took, from its start to its end.

    Attributes:
        wall_s: seconds from start to end.
        cpu_s: seconds of processor time, children included.
        peak_mb: largest resident set, in 10^6 bytes.
        written_mb: what it wrote to files, in 10^6 bytes, by the kernel's account.
        settle_s: seconds that the system needed afterwards to bring it all to the disk.
        output: what it printed.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    written_mb: float
    settle_s: float
    output: str


class MeasurementError(RuntimeError):
    """The measured command did not succeed; its figures would mean nothing."""


class Others:
    """What programs besides this one and those that it has run take of the processors."""

    def __init__(self) -> None:
        self._started, self._before_s = time.monotonic(), self._taken_s()

    def share(self) -> float:
        """Return their share since this was made, 0 to 1."""
        passed_s = (time.monotonic() - self._started) * (os.cpu_count() or 1)
        return max(self._taken_s() - self._before_s, 0.0) / passed_s

    def _taken_s(self) -> float:
        words = Path("/proc/stat").read_text().splitlines()[0].split()
        user, nice, system, _idle, _waiting, irq, soft, stolen = map(int, words[1:9])
        all_s = (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
            usage = resource.getrusage(who)
            all_s -= usage.ru_utime + usage.ru_stime
        return all_s


def clean_environment(**settings: str) -> dict[str, str]:
    """Return the few variables a program needs, and ``settings``; nothing that steers a library."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | settings


def run(command: Sequence[str], environment: dict[str, str], *, settle: bool = True) -> Cost:
    """Run the command and measure it; the disk is quiet before, and timed to be quiet after."""
    if settle:
        os.sync()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        settle_s = _settle() if settle else 0.0
        output.seek(0)
        text = output.read().decode(errors="replace")
        if process.returncode != 0:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()[-2000:]
            raise MeasurementError(
                f"{' '.join(command)} exited with {process.returncode}: {said or text}"
            )
    return Cost(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * 1024 / 1e6,
        written_mb=usage.ru_oublock * 512 / 1e6,
        settle_s=settle_s,
        output=text,
    )


def _settle() -> float:
    started = time.perf_counter()
    os.sync()
    return time.perf_counter() - started


def disk_bytes(folder: Path) -> int:
    """Return the bytes that a folder takes on the disk; hard links and shared files count once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            info = (Path(root) / name).lstat()
            if (info.st_dev, info.st_ino) not in seen:
                seen.add((info.st_dev, info.st_ino))
                total += info.st_blocks * 512
    return total
