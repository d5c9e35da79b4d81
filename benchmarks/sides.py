"""The two that are compared, each driven as its users drive it, each with a folder of its own."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Cost, clean_environment, disk_bytes, run
from benchmarks.rig import Hub

__all__ = ["HoldfastSide", "HubSide", "Pull", "Side"]

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Pull:
    """One pull: what the process cost, what it says itself, and what the hub and the disk saw."""

    cost: Cost
    inner_s: float
    path: Path
    requests: int
    heads: int
    fetched_mb: float
    disk_mb: float

    def figures(self) -> dict[str, float]:
        """Return every figure by name, for the report."""
        return {
            "wall_s": self.cost.wall_s,
            "inner_s": self.inner_s,
            "durable_s": self.cost.wall_s + self.cost.settle_s,
            "cpu_s": self.cost.cpu_s,
            "peak_mb": self.cost.peak_mb,
            "written_mb": self.cost.written_mb,
            "requests": float(self.requests),
            "heads": float(self.heads),
            "fetched_mb": self.fetched_mb,
            "disk_mb": self.disk_mb,
        }


class Side:
    """One of the two. ``home`` is new after :meth:`fresh`."""

    name = ""

    def __init__(self, home: Path, hub: Hub) -> None:
        self.home, self.hub = home, hub
        self._count = itertools.count(1)

    def fresh(self) -> None:
        """Start from nothing.

        The home before is set aside, its space freed, and removed with everything at the end:
        ext4 will not use an inode again within a minute of its removal, and searches past such
        ones for every file that is made (1 ms each, after some hundred removals).
        """
        if self.home.exists():
            aside = self.home.with_name(f"{self.home.name}-{next(self._count)}")
            self.home.rename(aside)
            for path in aside.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    os.truncate(path, 0)
        self.home.mkdir(parents=True)

    def command(self, repository: str, revision: str) -> list[str]:
        """Return the command that pulls."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Return the environment it runs in."""
        raise NotImplementedError

    def pull(self, repository: str, revision: str, before: Sequence[str] = ()) -> Pull:
        """Pull once, with ``before`` put before the command, and measure it."""
        self.hub.reset_log()
        cost = run([*before, *self.command(repository, revision)], self.environment())
        traffic = self.hub.traffic()
        said = json.loads(cost.output.strip().splitlines()[-1])
        return Pull(
            cost=cost,
            inner_s=float(said["seconds"]),
            path=Path(said["path"]),
            requests=traffic.requests,
            heads=traffic.heads,
            fetched_mb=traffic.bytes_sent / 1e6,
            disk_mb=disk_bytes(self.home) / 1e6,
        )


class HubSide(Side):
    """huggingface_hub, unmodified, over plain HTTP."""

    name = "huggingface_hub"

    def command(self, repository: str, revision: str) -> list[str]:
        """Return ``snapshot_download`` in a process."""
        return [sys.executable, str(_HERE / "hub_side.py"), repository, revision]

    def environment(self) -> dict[str, str]:
        """Return its settings: this hub, this home, no Xet, no progress bars, no reports."""
        return clean_environment(
            HF_HOME=str(self.home),
            HF_ENDPOINT=self.hub.endpoint,
            HF_HUB_DISABLE_XET="1",
            HF_HUB_DISABLE_PROGRESS_BARS="1",
            HF_HUB_DISABLE_TELEMETRY="1",
        )


class HoldfastSide(Side):
    """Holdfast by its command line: durable and verified."""

    name = "holdfast"

    @property
    def program(self) -> list[str]:
        """Return the start of every command."""
        endpoint = ["--endpoint", self.hub.endpoint]
        return [sys.executable, "-m", "holdfast", "--home", str(self.home), *endpoint]

    def command(self, repository: str, revision: str) -> list[str]:
        """Return ``holdfast pull``; ``main`` is what it pulls by itself."""
        reference = repository if revision == "main" else f"{repository}@{revision}"
        return [*self.program, "pull", reference, "--json", "--quiet"]

    def environment(self) -> dict[str, str]:
        """Return a bare environment, with the sources where holdfast is not installed."""
        return holdfast_environment()


def holdfast_environment() -> dict[str, str]:
    """Return the environment in which ``holdfast`` can be imported."""
    if importlib.util.find_spec("holdfast") is not None:
        return clean_environment()
    return clean_environment(PYTHONPATH=str(_HERE.parent / "src"))
