"""Audio in any form as mono samples at 16 kHz.

Needs the ``speech`` extra; its libraries load when the first file is read, not when this is
imported.
"""

from holdfast.media._decode import (
    RATE_HZ,
    AudioInfo,
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
    ChannelMissing,
    MediaError,
    NotAudio,
)
from holdfast.media._source import (
    AudioSource,
    RawAudio,
    Recording,
    raw_of_media_type,
    raw_of_text,
)

__all__ = [
    "RATE_HZ",
    "AudioDamaged",
    "AudioEmpty",
    "AudioInfo",
    "AudioSource",
    "AudioTruncated",
    "ChannelMissing",
    "MediaError",
    "NotAudio",
    "RawAudio",
    "Recording",
    "Waveform",
    "audio_blocks",
    "flac_bytes",
    "probe_audio",
    "raw_of_media_type",
    "raw_of_text",
    "read_audio",
]
