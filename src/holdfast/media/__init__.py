"""Audio in any form as mono samples at 16 kHz.

Needs the ``speech`` extra; its libraries load when the first file is read, not when this is
imported.
"""

from holdfast.media._decode import (
    RATE_HZ,
    AudioInfo,
    AudioSource,
    RawAudio,
    Waveform,
    audio_blocks,
    probe_audio,
    read_audio,
)
from holdfast.media._encode import flac_bytes
from holdfast.media._errors import (
    AudioDamaged,
    AudioEmpty,
    AudioTruncated,
    MediaError,
    NotAudio,
)

__all__ = [
    "RATE_HZ",
    "AudioDamaged",
    "AudioEmpty",
    "AudioInfo",
    "AudioSource",
    "AudioTruncated",
    "MediaError",
    "NotAudio",
    "RawAudio",
    "Waveform",
    "audio_blocks",
    "flac_bytes",
    "probe_audio",
    "read_audio",
]
