"""Short recordings of two voices, to try things with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = ["SampleVoices", "sample_voices"]


class SampleVoices(NamedTuple):
    """Two recordings of one voice, and one of another; see ``samples/README.md``."""

    first: Path
    second: Path
    other: Path


def sample_voices() -> SampleVoices:
    """Return them."""
    folder = Path(__file__).with_name("samples")
    return SampleVoices(folder / "her-1.flac", folder / "her-2.flac", folder / "him.flac")
