"""Chance for pauses, so that many who wait do not all come back at once."""

from __future__ import annotations

import random

__all__ = ["chance", "jittered"]

# A generator of its own: a program that Holdfast is in has seeded Python's, and counts on it.
_GENERATOR = random.Random()  # noqa: S311 - no secret


def chance() -> float:
    """Return a number of at least 0 and less than 1."""
    return _GENERATOR.random()


def jittered(pause_s: float) -> float:
    """Return a pause, in seconds, of 0.8 to 1.2 times as long."""
    return pause_s * _GENERATOR.uniform(0.8, 1.2)
