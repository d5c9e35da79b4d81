"""Telling from a model's folder which engine speaks with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.runtime import EngineUnusable
from holdfast.speech.engines.espeak import DATA, load_espeak
from holdfast.speech.engines.piper import load_piper, piper_voices
from holdfast.speech.engines.vits import VITS_FILES, load_vits

if TYPE_CHECKING:
    from holdfast.speech._synthesis import SynthesisEngine

__all__ = ["load_synthesis"]


def load_synthesis(folder: Path, device: str = "cpu") -> SynthesisEngine:
    """Load what speaks: espeak-ng's data, a Piper voice, or a VITS voice of Transformers.

    Args:
        folder: the model's.
        device: ``cpu``, ``cuda`` or ``cuda:N``, where the engine runs on it.

    Raises:
        EngineUnusable: it is none of these, or its engine cannot load it.
        MissingExtra: what its engine needs is not installed.
    """
    if (folder / DATA).is_dir():
        return load_espeak(folder, device)
    if piper_voices(folder):
        return load_piper(folder, device)
    if (folder / "config.json").is_file():
        return load_vits(folder, device)
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    raise EngineUnusable(
        f"{folder} holds no voice that is known here",
        why=f"looked for {DATA}/, for NAME.onnx with NAME.onnx.json, and for "
        f"{', '.join(VITS_FILES)}; there is {', '.join(there[:12]) or 'nothing'}",
        hint="choose a voice such as facebook/mms-tts-eng, or: holdfast repair",
    )
