"""How alike two voices are, as a scale reads it: by cosine, or normalised with a cohort."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from holdfast.voiceprint._cohort import Cohort, CohortInvalid
from holdfast.voiceprint._decide import Scale

if TYPE_CHECKING:
    from holdfast.voiceprint.gallery import Gallery

__all__ = ["Scores", "alike", "unit"]

# With normalisation, of how many by cosine the normalised scores are looked at.
_SHORTLIST = 200


class Scores:
    """Scores pairs of embeddings.

    Args:
        cohort: opens the voices that a scale normalises scores with.
    """

    def __init__(self, cohort: Callable[[], Cohort | None] = lambda: None) -> None:
        self._cohort = cohort

    def score(self, scale: Scale, enrolled: Any, probe: Any) -> float:
        """Return how alike two embeddings are, as the scale reads it.

        Args:
            scale: says whether scores are cosines, or normalised.
            enrolled: shape (dimension,).
            probe: shape (dimension,).

        Raises:
            CohortInvalid: the scale's cohort is not here.
        """
        score = alike(enrolled, probe)
        cohort = self.cohort_of(scale)
        return score if cohort is None else cohort.normalised(score, enrolled, probe)

    def cohort_of(self, scale: Scale) -> Cohort | None:
        """Return what a scale normalises scores with; None where they are cosines.

        Raises:
            CohortInvalid: the scale's cohort is not here.
        """
        if not scale.cohort:
            return None
        cohort = self._cohort()
        if cohort is None or cohort.digest != scale.cohort or cohort.model != scale.model:
            raise CohortInvalid(
                "scores cannot be normalised",
                why=f"the scale was fitted with the cohort {scale.cohort}, and here is "
                f"{'none' if cohort is None else cohort.digest}",
                hint="bring the cohort back, or fit again: holdfast voiceprint calibrate TRIALS "
                "--data TEXT [--cohort DIR]",
            )
        return cohort

    def ranked(
        self, gallery: Gallery, model: str, scale: Scale, vector: Any, most: int
    ) -> list[tuple[str, float]]:
        """Return the speakers at and above the threshold, the best first.

        Normalised scores are those of the most alike by cosine: one who is not among these would
        have to be brought up by the cohort past two hundred others.

        Args:
            gallery: the enrolled voices.
            model: fingerprint of the model that embedded the voice.
            scale: how scores are read.
            vector: the voice, shape (dimension,).
            most: how many at most.

        Raises:
            CohortInvalid: the scale's cohort is not here.
        """
        from holdfast.voiceprint.gallery import TemplateTampered, UnknownSpeaker

        probe = unit(vector)
        cohort = self.cohort_of(scale)
        if cohort is None:
            return [*gallery.search(model, probe, most, scale.accept_at)]
        scored = []
        for speaker, _ in gallery.search(model, probe, max(_SHORTLIST, most), -1.0):
            try:
                template = gallery.template(speaker, model)
            except (TemplateTampered, UnknownSpeaker):
                continue
            if template is not None:
                cosine = alike(template.centroid, probe)
                scored.append((speaker, cohort.normalised(cosine, template.centroid, probe)))
        accepted = [each for each in scored if each[1] >= scale.accept_at]
        return sorted(accepted, key=lambda each: -each[1])[:most]


def alike(first: Any, second: Any) -> float:
    """Return the cosine between two embeddings, shape (dimension,) each; -1 to 1."""
    return float(unit(first) @ unit(second))


def unit(vector: Any) -> Any:
    """Return a vector of length 1, float32; one of length 0 as it is."""
    import numpy as np

    length = float(np.linalg.norm(vector))
    return (vector / length).astype(np.float32) if length else vector
