"""What detectors of spoofing have in common: which output is which, one score of many windows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from holdfast.runtime import EngineAnswerInvalid, EngineUnusable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["chosen_output", "log_odds", "mean_score"]


def chosen_output(labels: Sequence[str], bona_fide: str, name: str) -> int:
    """Return which output stands for bona fide speech.

    Nothing is guessed: a detector that is read the wrong way round lets every attack in.

    Args:
        labels: the outputs' names, or their numbers where they have none.
        bona_fide: the one that was named in the settings.
        name: the model's file or folder, for the error.

    Raises:
        EngineUnusable: there is no such output, or no other.
    """
    known = ", ".join(labels)
    if labels.count(bona_fide) != 1 or len(labels) < 2:
        raise EngineUnusable(
            f"{name} cannot be read as a detector of spoofing",
            why=f"which output is a person's own speech was given as {bona_fide!r}, and it has: "
            f"{known or 'none'}",
            # None of them is offered: pasted, the wrong one would let every attack in.
            hint="look into the model's card, and set the one that stands for a person's own "
            "speech: HOLDFAST_VOICEPRINT_SPOOF_BONA_FIDE=LABEL",
        )
    return labels.index(bona_fide)


def log_odds(logits: NDArray[np.float32], bona_fide: int) -> NDArray[np.float64]:
    """Return the natural log-odds of one output against all others together.

    Args:
        logits: shape (clips, outputs), before or after a log-softmax: that cancels out.
        bona_fide: the output's number.

    Returns:
        shape (clips,).

    Raises:
        EngineAnswerInvalid: they are not made of numbers.
    """
    if not np.isfinite(logits).all():
        raise EngineAnswerInvalid(
            "a detector's answer is not made of numbers",
            why="the recording holds samples that are no numbers, or the model's weights do",
            hint="holdfast verify",
        )
    values = logits.astype(np.float64)
    others = np.delete(values, bona_fide, axis=1)
    top = others.max(axis=1, keepdims=True)
    against = top[:, 0] + np.log(np.exp(others - top).sum(axis=1))
    odds: NDArray[np.float64] = values[:, bona_fide] - against
    return odds


def mean_score(scores: Sequence[float], samples: Sequence[int]) -> float:
    """Return one score for the windows of a recording, each counting as its length."""
    return float(np.average(scores, weights=samples))
