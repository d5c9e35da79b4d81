"""Voices by what their folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.runtime import EngineUnusable
from holdfast.speech.engines.espeak import DATA, load_espeak

if TYPE_CHECKING:
    from holdfast.speech._synthesis import SynthesisEngine

__all__ = ["load_synthesis"]


def load_synthesis(folder: Path, device: str = "cpu") -> SynthesisEngine:
    """Load the voice that a folder holds.

    Raises:
        EngineUnusable: it holds none, or it is damaged; ``device`` cannot be used.
        MissingExtra: a library is not installed.
    """
    if (folder / DATA).is_dir():
        return load_espeak(folder, device)
    raise EngineUnusable(
        f"{folder} holds no voice", why=f"there is no {DATA}/",
        hint="export HOLDFAST_SPEECH_SYNTHESIS_MODEL=facebook/mms-tts-eng",
    )  # fmt: skip
