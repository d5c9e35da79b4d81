"""The model that travels with the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["starter_model"]


def starter_model() -> Path:
    """Return a folder in SpeechBrain's layout, with a graph: a demonstration, trained on synthetic
    voices only; see its ``README.md``."""
    return Path(__file__).with_name("starter")
