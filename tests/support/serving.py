"""The service in a process of its own: what is left of it can be seen from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

__all__ = ["NO_DOCUMENTS", "Served", "served"]

# For services that are started for something else: docling takes 2 s of a processor to load.
NO_DOCUMENTS = {"HOLDFAST_DOCUMENTS_PROCESSES": "0"}

_READY_WITHIN_S = 90.0
_QUIET_WITHIN_S = 20.0


@dataclass(frozen=True)
class Served:
    """A service that answers at ``url``.

    Attributes:
        url: where it is.
        pid: its process; its models' processes are below it.
        scratch: the only place for its temporary files.
        log: what it says on standard error.
    """

    url: str
    pid: int
    scratch: Path
    log: Path

    def models(self) -> dict[str, dict[str, Any]]:
        """Return what each model is doing."""
        found = urllib3.request("GET", f"{self.url}/models", timeout=10, retries=False).json()
        return {model["id"]: model for model in found["models"]}

    def wait_ready(self) -> None:
        """Wait until every model answers."""
        self._until(lambda: not self._unready(), _READY_WITHIN_S, self._unready)

    def wait_quiet(self) -> None:
        """Wait until no model works or has work; fail where that does not come to be."""
        self._until(lambda: not self._busy(), _QUIET_WITHIN_S, self._busy)

    def left_behind(self) -> list[str]:
        """Return the names of temporary files."""
        return sorted(path.name for path in self.scratch.iterdir())

    def open_files(self) -> int:
        """Return how many files and connections the process has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208

    def forget_peaks(self) -> None:
        """Have `peak_mb` begin anew."""
        for pid in self.family():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def peak_mb(self) -> float:
        """Return the most memory that the processes have had together, since it was forgotten."""
        return sum(_kilobytes(pid, "VmHWM") for pid in self.family()) / 1e3

    def process_of(self, library: str) -> int:
        """Return the process below it that has loaded a library with this in its name."""
        for pid in self.family()[1:]:
            if library in Path(f"/proc/{pid}/maps").read_text():
                return pid
        raise AssertionError(f"nothing here has loaded {library}")

    def family(self) -> list[int]:
        """Return the service's process, and those that it has begun."""
        family = [self.pid]
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            family += map(int, (task / "children").read_text().split())
        return family

    def _unready(self) -> list[str]:
        # Nothing is mounted where a language model would be.
        return [name for name, model in self.models().items()
                if model["state"] != "ready" and name != "language"]  # fmt: skip

    def _busy(self) -> list[Any]:
        return [(model["id"], model["requests"]) for model in self.models().values()
                if any(model["requests"].values())]  # fmt: skip

    def _until(
        self, met: Callable[[], bool], within_s: float, why: Callable[[], list[Any]]
    ) -> None:
        deadline = time.monotonic() + within_s
        while not met():
            assert time.monotonic() < deadline, (why(), self.log.read_text()[-2_000:])
            time.sleep(0.05)


@contextmanager
def served(folder: Path, config: str = "", **variables: str) -> Iterator[Served]:
    """Run ``holdfast up`` with the starter set; everything it keeps is below ``folder``.

    Args:
        folder: an empty one.
        config: what its settings' file says.
        variables: of its environment.
    """
    scratch, log, settings = folder / "scratch", folder / "log", folder / "holdfast.toml"
    scratch.mkdir()
    settings.write_text(config)
    env = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "HOLDFAST_HOME": str(folder / "models"),
        "HOLDFAST_DATA": str(folder / "data"), "TMPDIR": str(scratch), **NO_DOCUMENTS, **variables,
    }  # fmt: skip
    command = [sys.executable, "-m", "holdfast", "up", "--json", "--port", "0",
               "--config", str(settings)]  # fmt: skip
    with (
        log.open("w") as said,
        subprocess.Popen(
            command, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            found = Served(json.loads(line)["url"], process.pid, scratch, log)
            found.wait_ready()
            yield found
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()


def _kilobytes(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise AssertionError(name)
