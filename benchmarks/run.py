"""How a run is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Run"]


@dataclass
class Run:
    """Where a run may write, how often and how much it measures, and who is told.

    Attributes:
        folder: empty at first; gone afterwards.
        rounds: of every case; None for as many as it usually has.
        scale: shrinks files and seconds, for a look.
        say: told how far it has come.
    """

    folder: Path
    rounds: int | None
    scale: float
    say: Callable[[str], None]

    def times(self, usual: int) -> range:
        """Return the rounds of a case that usually has so many."""
        return range(self.rounds if self.rounds is not None else usual)
