"""Voice activity: the model, and what is asked of it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.runtime import Job, Needs, Supervisor, check_wanted
from holdfast.speech.engines.silero import load_silero

if TYPE_CHECKING:
    from holdfast.media import AudioSource, RawAudio, Waveform
    from holdfast.speech import Segment, VadOptions, VoiceActivityEngine

__all__ = ["VAD_MODEL", "VoiceActivity", "sendable", "vad_description"]

VAD_MODEL = "silero-vad"
# One recording takes one core.
_THREADS = min(os.cpu_count() or 1, 4)


def vad_description() -> dict[str, Any]:
    """Return what the model is and needs, in the terms of `ModelSpec`."""
    return {
        "task": "voice-activity-detection",
        "licence": "MIT",
        "load": load_silero,
        "needs": Needs(memory_mb=100),
        "threads": _THREADS,
    }


def sendable(supervisor: Supervisor, model: str, source: AudioSource) -> AudioSource:
    """Return a recording in a form that reaches a model: an open file enters no other process."""
    from holdfast.media import Recording

    given = source if isinstance(source, Recording) else Recording(source)
    if isinstance(given.file, Path) or not supervisor.is_isolated(model):
        return source
    return replace(given, file=io.BytesIO(given.file.read()))


@dataclass(frozen=True, slots=True)
class VoiceActivity:
    """Finds speech with whatever engine the supervisor has loaded under ``model``.

    ``longest_s`` is how long a recording may be; any length when None.
    """

    supervisor: Supervisor
    model: str = VAD_MODEL
    longest_s: float | None = None

    def submit(
        self, source: AudioSource, options: VadOptions | None = None, raw: RawAudio | None = None
    ) -> Job[list[Segment]]:
        """Ask for the segments of speech in a recording.

        Raises:
            ModelNotReady: the model has failed, or was unloaded.
            ModelBusy: too many requests wait for it.
        """
        source = sendable(self.supervisor, self.model, source)
        return self.supervisor.submit(
            self.model, _find_speech, source, options, raw, self.longest_s
        )

    def detect(
        self, source: AudioSource, options: VadOptions | None = None, raw: RawAudio | None = None
    ) -> list[Segment]:
        """Return the segments of speech in a recording.

        Raises:
            HoldfastError: as `submit`; the model does not become ready or answer in time.
            MediaError: the recording cannot be used.
        """
        return self.submit(source, options, raw).result()


def _find_speech(
    engine: VoiceActivityEngine,
    source: AudioSource,
    options: VadOptions | None,
    raw: RawAudio | None,
    longest_s: float | None,
) -> list[Segment]:
    from holdfast.media import audio_blocks
    from holdfast.speech import detect_speech

    def blocks() -> Iterator[Waveform]:
        for block in audio_blocks(source, raw=raw, longest_s=longest_s):
            check_wanted()
            yield block

    return detect_speech(engine, blocks(), options)
