"""Voiceprints: the model, the speech that it is given, and where enrolled voices are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.config import ServiceSettings
from holdfast.runtime import Needs, Supervisor, check_wanted
from holdfast.voiceprint import (
    Gates,
    Heard,
    Limits,
    RecordingTooLong,
    Voiceprint,
    load_voice,
    measure,
    spoken,
    with_pauses,
)
from holdfast.wiring._speech import VAD_MODEL, sendable
from holdfast.wiring._spoof import ChosenDetector
from holdfast.wiring._voices import KeptVoices

if TYPE_CHECKING:
    from holdfast.media import AudioSource
    from holdfast.speech import VoiceActivityEngine

__all__ = ["VOICE_MODEL", "voice_description", "voiceprint_of"]

VOICE_MODEL = "voiceprint"
_LONGEST_S = 600
_RATE_HZ = 16_000


def voice_description() -> dict[str, Any]:
    """Return what the model is and needs, in the terms of `ModelSpec`."""
    return {
        "task": "speaker-verification",
        "licence": "Apache-2.0",
        "load": load_voice,
        "needs": Needs(memory_mb=300),
        "max_batch": 8,
    }


def voiceprint_of(
    supervisor: Supervisor,
    service: ServiceSettings,
    kept: KeptVoices,
    detector: ChosenDetector | None = None,
) -> Voiceprint:
    """Return the application over a supervisor's models."""

    def hear(source: AudioSource) -> Any:
        return supervisor.submit(VAD_MODEL, _listen, sendable(supervisor, VAD_MODEL, source))

    snr = service.voiceprint_min_snr_db
    limits = Limits(
        enrol=Gates(min_speech_s=service.voiceprint_utterance_s, min_snr_db=snr),
        verify=Gates(min_speech_s=service.voiceprint_min_speech_s, min_snr_db=snr),
        enrol_speech_s=service.voiceprint_enrol_s,
        keep_audio=service.voiceprint_keep_audio,
    )
    return Voiceprint(
        supervisor,
        VOICE_MODEL,
        hear,
        kept.open,
        limits,
        kept.scale,
        kept.cohort,
        None if detector is None else detector.detection,
    )


def _listen(engine: VoiceActivityEngine, source: AudioSource) -> Heard:
    """Read a recording, and keep the speech in it and what it is good for."""
    import numpy as np

    from holdfast.media import audio_blocks
    from holdfast.speech import VadOptions, detect_speech

    blocks, samples = [], 0
    for block in audio_blocks(source):
        check_wanted()
        blocks.append(block)
        samples += len(block)
        if samples > _LONGEST_S * _RATE_HZ:
            raise RecordingTooLong(
                f"a recording for a voiceprint may last at most {_LONGEST_S} s",
                why="a voice is known after some twenty seconds of speech",
                hint=f"ffmpeg -i RECORDING -t {_LONGEST_S} SHORTER.flac",
            )
    waveform = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    found = detect_speech(engine, blocks, VadOptions(speech_pad_ms=60))
    per_ms = _RATE_HZ // 1000
    segments = [(each.start_ms * per_ms, each.stop_ms * per_ms) for each in found]
    natural = spoken(waveform, with_pauses(segments, len(waveform)))
    return Heard(spoken(waveform, segments), natural, measure(waveform, segments))
