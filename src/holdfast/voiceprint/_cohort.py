"""Adaptive score normalisation: how a score compares with those of strangers who sound alike.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FEWEST_IN_COHORT", "Cohort", "CohortInvalid", "mean_voice"]

# Fewer strangers say nothing about how strangers score.
FEWEST_IN_COHORT = 20
_MOST_ALIKE = 300
_AT_ONCE = 1024
_MAGIC = b"holdfast-cohort-1"


class CohortInvalid(HoldfastError):
    """Voices of others that scores cannot be normalised with."""

    code = "cohort-invalid"
    exit_code = 2
    http_status = 503


@dataclass(frozen=True, slots=True)
class Cohort:
    """Voices of people who are not enrolled, one vector each.

    Attributes:
        model: fingerprint of the model that made the vectors.
        rows: float32, shape (people, dimension), of length 1 each.
    """

    model: str
    rows: NDArray[np.float32]

    @classmethod
    def of(cls, model: str, voices: Sequence[Any]) -> Cohort:
        """Return the cohort of people's voices, shape (dimension,) each, of length 1."""
        import numpy as np

        return cls(model, np.stack(voices).astype(np.float32))

    @property
    def digest(self) -> str:
        """What tells it from others: 16 hexadecimal digits of its sha256."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:16]

    def normalised(self, score: float, enrolled: Any, probe: Any) -> float:
        """Return a cosine in standard deviations above strangers' scores (adaptive s-norm).

        Both voices are compared with the whole cohort; of each, the scores of those who sound most
        alike give a mean and a deviation, and the two normalised scores are averaged (AS-norm1 in
        Matejka et al., Interspeech 2017).

        Args:
            score: cosine of ``enrolled`` and ``probe``.
            enrolled: shape (dimension,).
            probe: shape (dimension,).
        """
        import numpy as np

        means, spreads = self.statistics(np.stack([enrolled, probe]))
        return float(((score - means) / spreads).mean())

    def statistics(self, voices: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean and the deviation of voices' scores with their nearest in the cohort.

        Args:
            voices: shape (n, dimension).

        Returns:
            shape (n,) each.
        """
        import numpy as np

        rows = np.asarray(voices, np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.maximum(lengths, 1e-12)
        count = min(_MOST_ALIKE, len(self.rows))
        means, spreads = np.empty(len(rows)), np.empty(len(rows))
        for start in range(0, len(rows), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            scores = rows[part] @ self.rows.T
            nearest = np.partition(scores, scores.shape[1] - count, axis=1)[:, -count:]
            means[part] = nearest.mean(axis=1, dtype=np.float64)
            spreads[part] = nearest.std(axis=1, dtype=np.float64)
        return means, np.maximum(spreads, 1e-6)

    def to_bytes(self) -> bytes:
        """Return it as bytes, which `from_bytes` reads."""
        people, dimension = self.rows.shape
        head = f"{self.model} {people} {dimension}".encode()
        return b"\n".join([_MAGIC, head, self.rows.astype("<f4").tobytes()])

    @classmethod
    def from_bytes(cls, content: bytes) -> Cohort:
        """Return the cohort that bytes hold.

        Raises:
            CohortInvalid: they hold none.
        """
        import numpy as np

        try:
            magic, head, rows = content.split(b"\n", 2)
            model, people, dimension = head.decode("ascii").split(" ")
            if magic != _MAGIC:
                raise ValueError("it is no cohort")  # noqa: TRY301
            shape = (int(people), int(dimension))
            return cls(model, np.frombuffer(rows, "<f4").reshape(shape))
        except (ValueError, UnicodeDecodeError) as error:
            raise CohortInvalid(
                "the cohort cannot be read", why=str(error),
                hint="holdfast voiceprint calibrate TRIALS --data TEXT --cohort DIR makes one",
            ) from error  # fmt: skip


def mean_voice(vectors: Sequence[Any]) -> NDArray[np.float32]:
    """Return one person's vector out of several: the mean of their directions, of length 1."""
    import numpy as np

    rows = np.stack(vectors).astype(np.float64)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    mean = rows.mean(axis=0)
    found: NDArray[np.float32] = (mean / max(float(np.linalg.norm(mean)), 1e-12)).astype(np.float32)
    return found
