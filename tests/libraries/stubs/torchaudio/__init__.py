"""Enough of torchaudio for SpeechBrain's import: this project's tests have no audio backend."""

__version__ = "2.11.0"


def list_audio_backends() -> list[str]:
    return ["soundfile"]
