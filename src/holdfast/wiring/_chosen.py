"""Which models read and speak, as the settings or the profile say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.refs import RepoRef, RevisionRef
from holdfast.runtime import Engine, Needs
from holdfast.speech.engines.reader import load_reader
from holdfast.speech.engines.synthesis import load_synthesis
from holdfast.wiring._licences import UNSTATED
from holdfast.wiring._named import NONE, NamedModel, below, named_model
from holdfast.wiring._starter import STT_REPO, TTS_REPO

if TYPE_CHECKING:
    from holdfast.config import ServiceSettings
    from holdfast.speech import SynthesisEngine, TranscriptionEngine

__all__ = ["STT_MODEL", "TTS_MODEL", "Chosen", "chosen_reader", "chosen_voice"]

STT_MODEL = "speech-to-text"
TTS_MODEL = "text-to-speech"
_STT_SETTING = "HOLDFAST_SPEECH_TRANSCRIPTION_MODEL"
_TTS_SETTING = "HOLDFAST_SPEECH_SYNTHESIS_MODEL"
_STT_HUB_REPO = RepoRef("openai/whisper-tiny")
_TTS_HUB_REPO = RepoRef("facebook/mms-tts-eng")

# Of repositories that hold one model in many forms, the one that is used.
_READER_FILES = (
    "*.json", "merges.txt", "vocabulary.txt", "model.safetensors", "model.bin", "README.md",
    "LICENSE*",
)  # fmt: skip
_VOICE_FILES = (
    "*.json", "*.onnx", "model.safetensors", "vocab.txt", "README.md", "LICENSE*", "MODEL_CARD",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A model that is to be mounted.

    Attributes:
        id: at the supervisor.
        named: where it comes from.
        files: which of its repository are used; empty for all.
        description: what it is and needs, in the terms of `ModelSpec`.
    """

    id: str
    named: NamedModel
    files: Sequence[str] = ()
    description: Mapping[str, Any] = field(default_factory=dict)


def chosen_reader(service: ServiceSettings) -> Chosen | None:
    """Return what reads speech; None for nothing.

    Raises:
        ConfigInvalid: what the settings name is no repository.
    """
    text, starter = service.speech_transcription_model, service.profile == "starter"
    if text == NONE:
        return None
    licence, memory_mb = UNSTATED, 500
    if text is not None:
        named = named_model(_STT_SETTING, text, "Systran/faster-whisper-tiny")
    elif starter:
        named, licence, memory_mb = NamedModel(RevisionRef(STT_REPO)), "BSD-2-Clause", 150
    else:
        named, licence = NamedModel(RevisionRef(_STT_HUB_REPO)), "Apache-2.0"
    return Chosen(
        id=STT_MODEL,
        named=named,
        files=_below(named.folder, _READER_FILES) if named.ref.repo != STT_REPO else (),
        description={
            "task": "automatic-speech-recognition",
            "licence": licence,
            "load": partial(_load_below, load_reader, named.folder),
            "describe": reads,
            "needs": Needs(memory_mb=memory_mb),
            # Readers hold the interpreter while they are imported, or while they work.
            "isolate": True,
            "max_batch": 8,
            **_on_gpu(service),
        },
    )


def chosen_voice(service: ServiceSettings) -> Chosen | None:
    """Return what speaks; None for nothing.

    Raises:
        ConfigInvalid: what the settings name is no repository.
    """
    text, starter = service.speech_synthesis_model, service.profile == "starter"
    if text == NONE:
        return None
    licence, memory_mb = UNSTATED, 500
    if text is not None:
        example = "rhasspy/piper-voices#en/en_US/ljspeech/high"
        named = named_model(_TTS_SETTING, text, example)
    elif starter:
        named, licence, memory_mb = NamedModel(RevisionRef(TTS_REPO)), "GPL-3.0", 50
    else:
        named, licence = NamedModel(RevisionRef(_TTS_HUB_REPO)), "CC-BY-NC-4.0"
        memory_mb = 1000
    return Chosen(
        id=TTS_MODEL,
        named=named,
        files=_below(named.folder, _VOICE_FILES) if named.ref.repo != TTS_REPO else (),
        description={
            "task": "text-to-speech",
            "licence": licence,
            "load": partial(_load_below, load_synthesis, named.folder),
            "describe": speaks,
            "needs": Needs(memory_mb=memory_mb),
            # espeak-ng is another licence's program, and torch holds everybody up.
            "isolate": True,
            **_on_gpu(service),
        },
    )


def reads(engine: TranscriptionEngine) -> dict[str, Any]:
    """Return what a reader can do, for ``/models``."""
    return {"languages": list(engine.languages), "tasks": list(engine.tasks)}


def speaks(engine: SynthesisEngine) -> dict[str, Any]:
    """Return the voices that a model has, for ``/models``."""
    voices = [{"id": voice.id, "language": voice.language} for voice in engine.voices]
    return {"voices": voices, "rate_hz": engine.rate_hz}


def _load_below(
    load: Callable[[Path, str], Engine], inner: str, folder: Path, device: str
) -> Engine:
    return load(below(folder, inner), device)


def _below(folder: str, patterns: Sequence[str]) -> tuple[str, ...]:
    """Return patterns for what is in a folder, and for what is said of all the repository."""
    if not folder:
        return tuple(patterns)
    return (*(f"{folder}/{pattern}" for pattern in patterns), "README.md", "LICENSE*")


def _on_gpu(service: ServiceSettings) -> dict[str, Any]:
    gpu = service.profile == "gpu"
    return {"device": "cuda", "devices": ("cpu", "cuda")} if gpu else {}
