"""A short recording of speech, to try things with."""

from __future__ import annotations

from pathlib import Path

__all__ = ["sample_recording"]


def sample_recording() -> Path:
    """Return a FLAC file of 6.9 s with two sentences and a pause; see ``samples/README.md``."""
    return Path(__file__).with_name("samples") / "two-sentences.flac"
