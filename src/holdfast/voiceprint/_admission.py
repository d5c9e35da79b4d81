"""Whether a recording may join those that are enrolled of a speaker.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from holdfast.voiceprint._decide import Scale
from holdfast.voiceprint._quality import Refusal

__all__ = ["Admission"]

# The same samples give the same embedding, up to rounding; what is said twice does not.
_SAME = 0.999_99


class Admission:
    """Takes recordings one after the other; the first decides who the speaker is.

    Args:
        vectors: shape (dimension,) each, of what is enrolled with this model.
        alike: returns the cosine between two vectors.
        score: returns how alike two vectors are, as a scale reads it.
    """

    def __init__(
        self,
        vectors: Sequence[Any],
        alike: Callable[[Any, Any], float],
        score: Callable[[Scale, Any, Any], float],
    ) -> None:
        import numpy as np

        self._vectors = [vector / np.linalg.norm(vector) for vector in vectors]
        self._alike, self._score = alike, score

    def wrong(self, vector: Any, scale: Scale) -> list[Refusal]:
        """Return what speaks against a recording; where nothing does, it is taken.

        Args:
            vector: shape (dimension,), its embedding.
            scale: says what is another voice.
        """
        import numpy as np

        if any(self._alike(known, vector) > _SAME for known in self._vectors):
            return [Refusal("same-recording", "this recording is enrolled already")]
        if self._vectors:
            score = self._score(scale, np.mean(self._vectors, axis=0), vector)
            if score < scale.reject_below:
                return [
                    Refusal(
                        "another-voice",
                        f"it scores {score:.3f} with the speaker's other recordings, and below "
                        f"{scale.reject_below:.3f} a voice is another",
                    )
                ]
        self._vectors.append(vector / np.linalg.norm(vector))
        return []
