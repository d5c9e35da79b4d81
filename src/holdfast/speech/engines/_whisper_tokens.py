"""Whisper's tokens as passages of text with times.

Rules only; nothing here does I/O.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["LADDER", "Stretch", "compression_ratio", "is_nonsense", "stretches"]

# Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 4.5.
_REPETITIVE = 2.4
_IMPROBABLE = -1.0
_SILENT = 0.6
_STEP_S = 0.02
# Sampled with where the likeliest text is nonsense (ibid.).
LADDER = (0.2, 0.4, 0.6, 0.8, 1.0)


class Stretch(NamedTuple):
    """Tokens of text between two times, in seconds from the clip's beginning."""

    start_s: float
    end_s: float
    tokens: Sequence[int]


def stretches(tokens: Sequence[int], first_time: int, end: int, length_s: float) -> list[Stretch]:
    """Divide what a model wrote at its times.

    A time closes a stretch, and the next one opens another; text behind the last time lasts until
    the clip ends, and text before any time begins with it.

    Args:
        tokens: text, and tokens from ``first_time`` on, which are times in steps of 20 ms.
        first_time: the token that means 0 s.
        end: the token that ends a text; it and all behind it are no text.
        length_s: of the clip; no time lies behind it.
    """
    found = []
    start_s, held = 0.0, list[int]()
    for token in tokens:
        if token < first_time:
            if token < end:
                held.append(token)
            continue
        at_s = min((token - first_time) * _STEP_S, length_s)
        if held:
            found.append(Stretch(start_s, max(at_s, start_s), held))
            held = []
        start_s = at_s
    if held:
        found.append(Stretch(start_s, length_s, held))
    return found


def compression_ratio(text: str) -> float:
    """Return how well zlib packs a text; a model that repeats itself packs well."""
    content = text.encode()
    return len(content) / len(zlib.compress(content)) if content else 1.0


def is_nonsense(ratio: float, avg_logprob: float, no_speech_prob: float) -> bool | None:
    """Return whether a text is to be tried again; None where nobody speaks at all.

    Args:
        ratio: see `compression_ratio`.
        avg_logprob: mean natural log-probability of its tokens.
        no_speech_prob: probability that the model gave to silence.
    """
    if no_speech_prob > _SILENT and avg_logprob < _IMPROBABLE:
        return None
    return ratio > _REPETITIVE or avg_logprob < _IMPROBABLE
