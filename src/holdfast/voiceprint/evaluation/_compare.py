"""From embeddings of recordings to the scores of trials, as the gallery compares: by centroids.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from holdfast.voiceprint.evaluation._forms import Trial
from holdfast.voiceprint.evaluation._kept import Measured
from holdfast.voiceprint.evaluation._trials import TrialList

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from holdfast.voiceprint._cohort import Cohort
    from holdfast.voiceprint._decide import SpoofVerdict

__all__ = ["pair_scores", "tandem_scores"]

_AT_ONCE = 1 << 13


def pair_scores(
    trials: TrialList,
    chosen: Sequence[Trial],
    known: Mapping[str, Measured],
    cohort: Cohort | None = None,
) -> NDArray[np.float64]:
    """Return the scores of trials, shape (chosen,); NaN where a side has no embedding.

    A model is the mean of its recordings' embeddings, of length 1 each, as an enrolled speaker's
    template is; recordings without an embedding are left out of it.

    Args:
        trials: the list, which knows what is behind each model.
        chosen: the trials to score.
        known: embeddings, by recording.
        cohort: what the scores are normalised with; they are cosines when None.
    """
    rows: list[NDArray[np.float32]] = []
    places: dict[tuple[str, ...], int] = {}

    def place(recordings: tuple[str, ...]) -> int:
        """Return the row of a side's direction, which is worked out once; -1 where it has none."""
        if recordings not in places:
            direction = _direction(recordings, known)
            places[recordings] = -1 if direction is None else len(rows)
            rows.extend([] if direction is None else [direction])
        return places[recordings]

    enrolled = np.array([place(trials.enrolled(trial.enrol)) for trial in chosen], np.int32)
    tested = np.array([place((trial.test,)) for trial in chosen], np.int32)
    found = np.full(len(chosen), np.nan)
    both = np.flatnonzero((enrolled >= 0) & (tested >= 0))
    if not len(both):
        return found
    directions = np.stack(rows)
    for start in range(0, len(both), _AT_ONCE):
        part = both[start : start + _AT_ONCE]
        found[part] = np.einsum("nd,nd->n", directions[enrolled[part]], directions[tested[part]])
    if cohort is not None:
        means, spreads = cohort.statistics(directions)
        of_both = [
            (found[both] - means[side]) / spreads[side] for side in (enrolled[both], tested[both])
        ]
        found[both] = (of_both[0] + of_both[1]) / 2
    return found


def tandem_scores(
    trials: Sequence[Trial], scores: NDArray[np.float64], spoof: Mapping[str, SpoofVerdict]
) -> NDArray[np.float64]:
    """Return the scores after a detector has had its say, as `holdfast.voiceprint.decide` lets it.

    What it takes for an attack, or could not judge, is never accepted, whatever the score: it gets
    a score below all others.

    Args:
        trials: n of them.
        scores: shape (n,), finite.
        spoof: what was said of tested recordings.
    """
    barred = {name for name, verdict in spoof.items() if verdict.decision != "bona_fide"}
    rejected = np.array([trial.test in barred for trial in trials])
    return np.where(rejected, scores.min() - 1.0, scores)


def _direction(
    recordings: Sequence[str], known: Mapping[str, Measured]
) -> NDArray[np.float32] | None:
    """Return the centroid of recordings, of length 1; None where none has an embedding."""
    from holdfast.voiceprint.gallery import Utterance
    from holdfast.voiceprint.gallery._records import template_of

    found = (known.get(name, Measured()).vector for name in recordings)
    template = template_of(
        [Utterance(vector=each, model="", speech_s=0.0) for each in found if each is not None]
    )
    return None if template is None else template.centroid
