"""Readers of speech by what their folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.runtime import EngineUnusable
from holdfast.speech.engines.sphinx import ACOUSTIC, load_sphinx
from holdfast.speech.engines.whisper import WEIGHTS, load_whisper
from holdfast.speech.engines.whisper_transformers import load_whisper_transformers

if TYPE_CHECKING:
    from holdfast.speech._transcript import TranscriptionEngine

__all__ = ["load_reader"]


def load_reader(folder: Path, device: str = "cpu") -> TranscriptionEngine:
    """Load the reader that a folder holds.

    Args:
        folder: a Whisper model for CTranslate2 (``model.bin``) or for Transformers
            (``model.safetensors``), or pocketsphinx' (``en-us/``).
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        EngineUnusable: it is none of these, or is damaged; ``device`` cannot be used.
        MissingExtra: a library is not installed.
    """
    if (folder / WEIGHTS).is_file():
        return load_whisper(folder, device)
    if (folder / ACOUSTIC).is_dir():
        return load_sphinx(folder, device)
    if (folder / "model.safetensors").is_file():
        return load_whisper_transformers(folder, device)
    raise EngineUnusable(
        f"{folder} holds no reader of speech",
        why=f"there is no {WEIGHTS} of CTranslate2, no model.safetensors and no {ACOUSTIC}/",
        hint="export HOLDFAST_SPEECH_TRANSCRIPTION_MODEL=Systran/faster-whisper-tiny",
    )
