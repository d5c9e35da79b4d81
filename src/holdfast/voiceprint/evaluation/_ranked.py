"""Error rates of the same trials under many weights: sorted once, however often they are drawn.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from holdfast.voiceprint.evaluation._curves import Curve, Floats

__all__ = ["Ranked", "below"]


class Ranked:
    """Trials of some kinds in the order of their scores.

    Args:
        scores: shape (n,), of all trials.
        kinds: for each kind the indices of its trials, shape (m,); the first are the targets.

    Raises:
        ValueError: a kind has no trials, or a score is not finite.
    """

    def __init__(self, scores: Floats, kinds: Sequence[Any]) -> None:
        if not all(len(kind) for kind in kinds):
            raise ValueError("trials of both kinds are needed")
        chosen = np.concatenate(kinds)
        of = scores[chosen]
        if not np.isfinite(of).all():
            raise ValueError("every score must be a finite number")
        order = np.argsort(of, kind="stable")
        ranked = of[order]
        self._starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        self.trials = chosen[order]
        borders = np.cumsum([len(kind) for kind in kinds])
        self._kind = np.searchsorted(borders, order, side="right").astype(np.uint8)
        self._kinds = len(kinds)
        self.thresholds: Floats = np.append(ranked[self._starts], np.inf)

    def shares(self, weights: Floats) -> list[Floats]:
        """Return the share of each kind at each score, shape (thresholds - 1,); its sum is 1.

        Args:
            weights: shape (n,), of all trials, at least 0.

        Raises:
            ValueError: no trial of a kind has any weight.
        """
        ranked = weights[self.trials]
        found = []
        for kind in range(self._kinds):
            of_kind = np.where(self._kind == kind, ranked, 0.0)
            at_score = np.add.reduceat(of_kind, self._starts)
            total = at_score.sum()
            if not total > 0:
                raise ValueError("trials of both kinds are needed")
            found.append(at_score / total)
        return found

    def curve(self, targets: Floats, others: Floats) -> Curve:
        """Return the error rates of two kinds, of which `shares` gave the shares."""
        return Curve(self.thresholds, below(targets), 1.0 - below(others))


def below(shares: Floats) -> Floats:
    """Return the share below each threshold: from 0 to exactly 1."""
    summed = np.concatenate([[0.0], np.minimum(np.cumsum(shares), 1.0)])
    summed[-1] = 1.0
    return summed
