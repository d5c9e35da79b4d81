"""What a run found out: rows of figures for both sides, medians, ratios, targets. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

__all__ = ["Row", "Section", "startup_dominates"]


@dataclass
class Row:
    """One quantity, measured several times on each side.

    Attributes:
        label: what it is.
        unit: its unit.
        ours: Holdfast's figures.
        peer: the other side's figures.
        target: what to reach, for example 1.3; None where nothing was promised.
        compare: ``ratio`` is peer over ours (higher is better), ``ours`` is our figure itself
            (lower is better), ``share`` is ours over peer where that may not exceed the target,
            ``gain`` is ours over peer (higher is better).
        quoted: whether this row's ratio is the one to quote.
    """

    label: str
    unit: str
    ours: list[float]
    peer: list[float]
    target: float | None = None
    compare: str = "ratio"
    quoted: bool = True

    @property
    def value(self) -> float | None:
        """Return the figure that is compared with the target, from the medians."""
        ours = median(self.ours) if self.ours else None
        peer = median(self.peer) if self.peer else None
        if self.compare == "ours":
            return ours
        if ours is None or peer is None:
            return None
        if self.compare in {"share", "gain"}:
            return ours / peer if peer else None
        return peer / ours if ours else None

    @property
    def reached(self) -> bool | None:
        """Return whether the target is reached; None without a target or without figures."""
        if self.target is None or self.value is None:
            return None
        if self.compare in {"ratio", "gain"}:
            return self.value >= self.target
        return self.value <= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        return {
            "label": self.label,
            "unit": self.unit,
            "ours": self.ours,
            "peer": self.peer,
            "ours_median": median(self.ours) if self.ours else None,
            "peer_median": median(self.peer) if self.peer else None,
            "compare": self.compare,
            "value": self.value,
            "target": self.target,
            "reached": self.reached,
            "quoted": self.quoted,
        }


@dataclass
class Section:
    """One case: its name, what was done, its rows, and what the two sides are called."""

    name: str
    what: str
    rows: list[Row] = field(default_factory=list)
    peer: str = "huggingface_hub"
    ours: str = "holdfast"

    def to_dict(self) -> dict[str, Any]:
        """Return the section as JSON-ready data."""
        rows = [row.to_dict() for row in self.rows]
        sides = {"ours": self.ours, "peer": self.peer}
        return {"name": self.name, "what": self.what, **sides, "rows": rows}


def startup_dominates(wall: list[float], inner: list[float]) -> bool:
    """Return whether more than half of a process's time was not spent on the operation."""
    return bool(wall and inner) and median(inner) < median(wall) / 2
